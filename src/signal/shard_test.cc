#include "signal/shard.h"

#include "proto/signalexchange.pb.h"
#include "signal/fake_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::signal {
namespace {

using namespace std::chrono_literals;
using test::FakeCall;
using test::FakeLoop;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::string message_to(const std::string& peer, const std::string& body = "body",
                       const std::string& from = "alice") {
  signalexchange::EncryptedMessage message;
  message.set_key(from);
  message.set_remotekey(peer);
  message.set_body(body);
  return message.SerializeAsString();
}

class TurnedClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override { return {}; }
  [[nodiscard]] Instant now() const override { return time; }
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds /*time*/) override { co_return; }
  Instant time = Instant{} + 1h;
};

struct Peer {
  std::unique_ptr<FakeCall> call;
  std::unique_ptr<net::GrpcStreamHandler> handler;
};

class ShardTest : public testing::Test {
 protected:
  ShardTest() { build({}); }
  ~ShardTest() override {
    for (Peer* peer : live_) peer->handler->on_end(*peer->call);
  }
  void build(Options options) {
    shards.clear();
    context = std::make_unique<ShardContext>(options, metrics, clock, Logger());
    for (auto& loop : loops) {
      context->mail_bytes.push_back(std::make_unique<std::atomic<std::size_t>>(0));
      shards.push_back(std::make_unique<Shard>(loop, *context));
    }
    context->post_shard = [this](std::uint32_t loop, std::vector<ShardMail> mail) {
      loops[loop].post([this, loop, mail] { shards[loop]->receive(mail); });
    };
  }
  void with_exchange() {
    context->post_home = [this](std::vector<HomeMail> mail) {
      for (auto& item : mail) home.push_back(std::move(item));
    };
  }
  void settle() {
    while (loops[0].turn() || loops[1].turn()) {
    }
  }
  Peer& connect(const std::string& id, std::size_t loop = 0) {
    auto peer = std::make_unique<Peer>();
    peer->call = std::make_unique<FakeCall>(
        loops[loop],
        std::map<std::string, std::string, std::less<>>{{"x-wiretrustee-peer-id", id}});
    peer->handler = shards[loop]->connect(*peer->call);
    peer->handler->on_start(*peer->call);
    live_.push_back(peer.get());
    peers_.push_back(std::move(peer));
    settle();
    return *peers_.back();
  }
  void end(Peer& peer) {
    std::erase(live_, &peer);
    peer.handler->on_end(*peer.call);
    settle();
  }
  FakeCall& send(const std::string& bytes, std::size_t loop = 0) {
    sends_.push_back(std::make_unique<FakeCall>(loops[loop]));
    shards[loop]->send(*sends_.back(), bytes);
    settle();
    return *sends_.back();
  }
  template <class T>
  std::vector<T> home_mail() {
    std::vector<T> found;
    for (auto& item : home)
      if (auto* mail = std::get_if<T>(&item)) found.push_back(*mail);
    return found;
  }

  MetricRegistry registry;
  SignalMetrics metrics{registry};
  TurnedClock clock;
  std::deque<FakeLoop> loops = [] {
    std::deque<FakeLoop> made;
    made.emplace_back(0);
    made.emplace_back(1);
    return made;
  }();
  std::unique_ptr<ShardContext> context;
  std::vector<std::unique_ptr<Shard>> shards;
  std::vector<HomeMail> home;

 private:
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<Peer*> live_;
  std::vector<std::unique_ptr<FakeCall>> sends_;
};

MATCHER_P(EndsWith, code, "") {
  return arg.status.has_value() && arg.status->code == code;
}

TEST_F(ShardTest, RegisteredHeaderLeavesAtOnce) {
  const Peer& peer = connect("bob");
  ASSERT_TRUE(peer.call->initial_headers);
  EXPECT_THAT(*peer.call->initial_headers,
              ElementsAre(testing::Pair("x-wiretrustee-peer-registered", "1")));
  EXPECT_FALSE(peer.call->status);
  EXPECT_EQ(metrics.active_peers.value(), 1);
}

TEST_F(ShardTest, MissingIdIsAFailedPrecondition) {
  const Peer& peer = connect("");
  EXPECT_THAT(*peer.call, EndsWith(Code::kFailedPrecondition));
  EXPECT_FALSE(peer.call->initial_headers);
  EXPECT_EQ(metrics.failed_missing_id.value(), 1U);
}

TEST_F(ShardTest, HalfCloseAndMessagesOfThePeerChangeNothing) {
  Peer& peer = connect("bob");
  peer.handler->on_message(*peer.call, "x");
  peer.handler->on_half_close(*peer.call);
  EXPECT_FALSE(peer.call->status);
  send(message_to("bob"));
  EXPECT_THAT(peer.call->written, SizeIs(1));
}

TEST_F(ShardTest, MessageIsWrittenVerbatimAndTheAnswerIsEmpty) {
  const Peer& peer = connect("bob");
  const std::string bytes = message_to("bob") + std::string("\x28\x07", 2);  // and an unknown field
  const FakeCall& call = send(bytes);
  EXPECT_THAT(peer.call->written, ElementsAre(bytes));
  EXPECT_THAT(call.written, ElementsAre(""));
  EXPECT_THAT(call, EndsWith(Code::kOk));
  EXPECT_EQ(metrics.forwarded.value(), 1U);
  EXPECT_EQ(metrics.hit_local.value(), 1U);
}

TEST_F(ShardTest, SelfAddressedHeartbeatComesBack) {
  const Peer& peer = connect("alice");
  send(message_to("alice"));
  EXPECT_THAT(peer.call->written, SizeIs(1));
}

TEST_F(ShardTest, PeerOfAnotherLoopIsReached) {
  const Peer& peer = connect("bob", 1);
  const FakeCall& call = send(message_to("bob"), 0);
  EXPECT_THAT(peer.call->written, SizeIs(1));
  EXPECT_THAT(call, EndsWith(Code::kOk));
  EXPECT_EQ(context->mail_bytes[1]->load(), 0U);
}

TEST_F(ShardTest, AbsentPeerIsAnsweredOk) {
  EXPECT_THAT(send(message_to("nobody")), EndsWith(Code::kOk));
  EXPECT_EQ(metrics.lost_not_connected.value(), 1U);
}

TEST_F(ShardTest, DummyProbeIsNoFailure) {
  EXPECT_THAT(send(message_to("dummy", "")), EndsWith(Code::kOk));
  EXPECT_EQ(metrics.lost_not_connected.value(), 0U);
  EXPECT_EQ(metrics.miss_local.value(), 0U);
}

TEST_F(ShardTest, MalformedAndOversizedMessagesAreRefused) {
  EXPECT_THAT(send("\x12\x05"), EndsWith(Code::kInternal));
  EXPECT_THAT(send(message_to("bob", std::string(65 * 1024, 'x'))),
              EndsWith(Code::kResourceExhausted));
  EXPECT_EQ(metrics.malformed.value(), 1U);
}

TEST_F(ShardTest, NewerStreamReplacesTheOlderWhichEndsUnknown) {
  const Peer& old = connect("bob");
  const Peer& fresh = connect("bob");
  EXPECT_THAT(*old.call, EndsWith(Code::kUnknown));
  EXPECT_FALSE(fresh.call->status);
  send(message_to("bob"));
  EXPECT_THAT(fresh.call->written, SizeIs(1));
  EXPECT_EQ(metrics.active_peers.value(), 1);
  EXPECT_EQ(metrics.registrations.value(), 1U) << "no counter changes";
  EXPECT_EQ(metrics.displaced_local.value(), 1U);
}

TEST_F(ShardTest, NewerStreamOnAnotherLoopReplacesTheOlder) {
  Peer& old = connect("bob", 0);
  const Peer& fresh = connect("bob", 1);
  EXPECT_THAT(*old.call, EndsWith(Code::kUnknown));
  end(old);
  EXPECT_EQ(metrics.active_peers.value(), 1);
  send(message_to("bob"), 0);
  EXPECT_THAT(fresh.call->written, SizeIs(1));
}

TEST_F(ShardTest, EndOfAStreamRemovesThePeer) {
  Peer& peer = connect("bob");
  end(peer);
  EXPECT_EQ(metrics.active_peers.value(), 0);
  EXPECT_EQ(metrics.deregistrations.value(), 1U);
  send(message_to("bob"));
  EXPECT_EQ(metrics.lost_not_connected.value(), 1U);
}

TEST_F(ShardTest, SlowPeersSendersWaitUntilItReads) {
  const Peer& peer = connect("bob");
  peer.call->blocked = true;
  peer.call->queued = 1 << 20;
  const FakeCall& call = send(message_to("bob"));
  EXPECT_FALSE(call.status);
  EXPECT_EQ(metrics.queued_messages.value(), 1);
  peer.call->queued = 0;
  peer.handler->on_writable(*peer.call);
  EXPECT_THAT(call, EndsWith(Code::kOk));
  EXPECT_THAT(peer.call->written, SizeIs(1));
  EXPECT_EQ(metrics.queued_messages.value(), 0);
}

TEST_F(ShardTest, SendersOfAnotherLoopWaitForASlowPeerToo) {
  const Peer& peer = connect("bob", 1);
  peer.call->queued = 1 << 20;
  send(message_to("bob"), 1);
  const FakeCall& call = send(message_to("bob"), 0);
  EXPECT_FALSE(call.status);
  peer.call->queued = 0;
  peer.handler->on_writable(*peer.call);
  settle();
  EXPECT_THAT(call, EndsWith(Code::kOk));
}

TEST_F(ShardTest, FullQueueThrowsTheOldestOutAndTellsItsSender) {
  const Peer& peer = connect("bob");
  peer.call->queued = 1 << 20;
  const FakeCall& oldest = send(message_to("bob", "first"));
  for (int i = 0; i < 255; ++i) send(message_to("bob"));
  EXPECT_FALSE(oldest.status);
  const FakeCall& newest = send(message_to("bob"));
  EXPECT_THAT(oldest, EndsWith(Code::kResourceExhausted));
  EXPECT_FALSE(newest.status);
  EXPECT_EQ(metrics.dropped_peer_queue.value(), 1U);
  EXPECT_EQ(metrics.queued_messages.value(), 256);
}

TEST_F(ShardTest, QueueIsBoundedInBytesToo) {
  const Peer& peer = connect("bob");
  peer.call->queued = 1 << 20;
  for (int i = 0; i < 100; ++i) send(message_to("bob", std::string(60'000, 'x')));
  EXPECT_LE(metrics.queued_bytes.value(), 1 << 20);
  EXPECT_GT(metrics.dropped_peer_queue.value(), 50U);
}

TEST_F(ShardTest, PeerThatReadsNothingIsCutOffAfterTheSendTimeout) {
  const Peer& peer = connect("bob");
  peer.call->queued = 1 << 20;
  const FakeCall& call = send(message_to("bob"));
  clock.time += 9'999ms;
  shards[0]->check_stalled();
  EXPECT_FALSE(call.status);
  clock.time += 1ms;
  shards[0]->check_stalled();
  EXPECT_THAT(call, EndsWith(Code::kOk)) << "dropped and counted, as official servers do";
  EXPECT_TRUE(peer.call->aborted);
  EXPECT_EQ(metrics.lost_timeout.value(), 1U);
  EXPECT_EQ(metrics.active_peers.value(), 0);
}

TEST_F(ShardTest, WaitingMessagesMoveToThePeersNewStream) {
  const Peer& old = connect("bob", 0);
  old.call->queued = 1 << 20;
  const FakeCall& call = send(message_to("bob", "waits"));
  const Peer& fresh = connect("bob", 1);
  EXPECT_THAT(fresh.call->written, ElementsAre(message_to("bob", "waits")));
  EXPECT_THAT(call, EndsWith(Code::kOk));
}

TEST_F(ShardTest, PeerThatLeftBeforeItReadIsNoErrorOfTheSender) {
  Peer& peer = connect("bob");
  peer.call->queued = 1 << 20;
  const FakeCall& call = send(message_to("bob"));
  end(peer);
  EXPECT_THAT(call, EndsWith(Code::kOk));
  EXPECT_EQ(metrics.lost_disconnected.value(), 1U);
}

TEST_F(ShardTest, FlappingKeyWaitsAndTheNewestOfTheWaitingWins) {
  for (int i = 0; i < 6; ++i) connect("bob");
  const Peer& waiting = connect("bob");
  EXPECT_FALSE(waiting.call->initial_headers);
  EXPECT_FALSE(waiting.call->status);
  const Peer& newer = connect("bob");
  EXPECT_THAT(*waiting.call, EndsWith(Code::kUnknown));
  EXPECT_FALSE(newer.call->status);
  EXPECT_EQ(metrics.throttled.value(), 2U);
}

TEST_F(ShardTest, FlappingKeyIsAcceptedAfterItsDelay) {
  build({.replace_burst = 1, .replace_delay = 1ms});
  connect("bob");
  connect("bob");
  const Peer& delayed = connect("bob");
  const auto limit = std::chrono::steady_clock::now() + 5s;
  while (!delayed.call->initial_headers && std::chrono::steady_clock::now() < limit) settle();
  EXPECT_TRUE(delayed.call->initial_headers);
}

TEST_F(ShardTest, MorePeersThanAllowedAreRefused) {
  build({.peers_max = 1});
  connect("a");
  EXPECT_THAT(*connect("b").call, EndsWith(Code::kResourceExhausted));
}

TEST_F(ShardTest, RateLimitsPerSourceRefuse) {
  build({.source_connects_per_second = 1, .source_sends_per_second = 1});
  connect("a");
  connect("b");
  EXPECT_THAT(*connect("c").call, EndsWith(Code::kResourceExhausted));
  send(message_to("a"));
  send(message_to("a"));
  EXPECT_THAT(send(message_to("a")), EndsWith(Code::kResourceExhausted));
}

TEST_F(ShardTest, PeersAndMessagesForOthersGoToTheExchange) {
  with_exchange();
  Peer& peer = connect("bob");
  ASSERT_THAT(home_mail<AttachMail>(), SizeIs(1));
  EXPECT_EQ(home_mail<AttachMail>()[0].peer, "bob");
  const FakeCall& call = send(message_to("carol"));
  ASSERT_THAT(home_mail<Parcel>(), SizeIs(1));
  EXPECT_FALSE(call.status);
  shards[0]->receive({ReplyMail{home_mail<Parcel>()[0].sender.ticket, Code::kUnavailable, "gone"}});
  EXPECT_THAT(call, EndsWith(Code::kUnavailable));
  end(peer);
  EXPECT_THAT(home_mail<DetachMail>(), SizeIs(1));
}

TEST_F(ShardTest, ForwardedMessageIsAnsweredWithItsOutcome) {
  with_exchange();
  connect("bob");
  shards[0]->receive(
      {Parcel{.peer = "bob", .message = "m", .sender = {.origin = {"b", 7}}, .since = clock.time}});
  settle();
  ASSERT_THAT(home_mail<DeliveredMail>(), SizeIs(1));
  EXPECT_EQ(home_mail<DeliveredMail>()[0].outcome, Outcome::kAccepted);
  shards[0]->receive({Parcel{
      .peer = "carol", .message = "m", .sender = {.origin = {"b", 8}}, .since = clock.time}});
  settle();
  EXPECT_EQ(home_mail<DeliveredMail>().at(1).outcome, Outcome::kNotHere);
}

TEST_F(ShardTest, SupersededStreamEndsAndItsMessagesGoToTheExchange) {
  with_exchange();
  const Peer& peer = connect("bob");
  peer.call->queued = 1 << 20;
  send(message_to("bob"));
  const auto place = context->registry.find("bob");
  shards[0]->receive({EndMail{"bob", place->stream, EndReason::kSuperseded}});
  settle();
  EXPECT_THAT(*peer.call, EndsWith(Code::kUnknown));
  EXPECT_THAT(home_mail<Parcel>(), SizeIs(1));
  EXPECT_EQ(metrics.active_peers.value(), 0);
  EXPECT_EQ(metrics.displaced_remote.value(), 1U);
}

TEST_F(ShardTest, DrainEndsStreamsUnavailableAndRefusesNewOnes) {
  const Peer& first = connect("a");
  const Peer& second = connect("b");
  context->draining = true;
  EXPECT_FALSE(shards[0]->end_some(1));
  EXPECT_TRUE(shards[0]->end_some(1));
  EXPECT_THAT(*first.call, EndsWith(Code::kUnavailable));
  EXPECT_THAT(*second.call, EndsWith(Code::kUnavailable));
  EXPECT_THAT(*connect("c").call, EndsWith(Code::kUnavailable));
}

}  // namespace
}  // namespace nb::signal
