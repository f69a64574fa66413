// The relay over sockets, each rule of contract/signal-relay-ops.md §3.4 by its name.
#include "relay/service.h"

#include "relay/relay_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace nb::relay {
namespace {

using namespace std::chrono_literals;
using net::testing::client_frame;
using net::testing::eventually;
using ::testing::Eq;
using testing::id;
using ::testing::Optional;
using testing::RawPeer;
using testing::Rig;
using testing::token;

std::string packet(std::string_view key, std::string_view payload) {
  return make_transport(id(key), payload);
}
std::string ids(Type type, std::string_view key) {
  return make_ids(type, std::vector<PeerId>{id(key)});
}

/// Both with one loop and across two; connections land on either by chance of the kernel.
struct RelayService : ::testing::TestWithParam<std::size_t> {
  Rig rig{{}, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Loops, RelayService, ::testing::Values(1, 2));

TEST_P(RelayService, CarriesPacketsBothWaysWithTheSendersId) {
  RawPeer a(rig, "a");
  RawPeer b(rig, "b");
  for (const std::size_t size : {0UL, 1UL, 80UL, 87UL, 88UL, 1'300UL, kPayloadMax}) {
    const std::string payload(size, 'p');
    a.send(packet("b", payload));
    EXPECT_THAT(b.next(), Optional(Eq(packet("a", payload)))) << size;
    b.send(packet("a", payload));
    EXPECT_THAT(a.next(), Optional(Eq(packet("b", payload)))) << size;
  }
  EXPECT_EQ(rig.metrics.sent_bytes.value(), rig.metrics.received_bytes.value());
}

// Contract §3.4 "Do better" (a): an answer that comes second breaks the client's handshake.
TEST_P(RelayService, TheAnswerComesBeforeThePacketsOfThoseWhoKnowNoBetter) {
  RawPeer eager(rig, "eager");
  std::atomic<bool> done{false};
  std::thread flood([&] {
    const std::string frame = client_frame(2, packet("late", std::string(200, 'x')));
    while (!done) eager.client.send(frame);
  });
  for (int i = 0; i < 50; ++i) {
    RawPeer late(rig);
    late.authenticate("late");
    const auto first = late.next();
    ASSERT_TRUE(first) << i;
    EXPECT_EQ(first->substr(0, 2), "\x01\x07") << i;
    late.send("\x01\x04");
    late.close_code();
  }
  done = true;
  flood.join();
}

TEST_P(RelayService, KeepsTheOrderOfPackets) {
  RawPeer a(rig, "a");
  RawPeer b(rig, "b");
  std::string burst;
  for (int n = 0; n < 500; ++n)
    burst += client_frame(2, packet("b", std::to_string(n) + std::string(400, '.')));
  a.client.send(burst);
  for (int n = 0; n < 500; ++n) {
    const auto got = b.next();
    ASSERT_TRUE(got) << n;
    EXPECT_EQ(std::stoi(got->substr(kTransportHeadBytes)), n);
  }
}

TEST_P(RelayService, PacketsForNobodyAreDroppedSilently) {
  RawPeer a(rig, "a");
  a.send(packet("nobody", "x"));
  a.send(packet("a", "to myself"));
  EXPECT_THAT(a.next(), Optional(Eq(packet("a", "to myself"))));
  EXPECT_EQ(rig.metrics.dropped_absent.value(), 1U);
}

TEST_P(RelayService, ANewConnectionTakesTheIdOverWithoutAnOfflineNotice) {
  RawPeer watcher(rig, "w");
  RawPeer old(rig, "a");
  watcher.send(ids(Type::kSubscribe, "a"));
  EXPECT_THAT(watcher.next(), Optional(Eq(ids(Type::kPeersOnline, "a"))));
  RawPeer fresh(rig, "a");
  EXPECT_EQ(old.close_code(), 1008);
  watcher.send(packet("a", "for the new one"));
  EXPECT_THAT(fresh.next(), Optional(Eq(packet("w", "for the new one"))));
  EXPECT_EQ(watcher.next(200ms), std::nullopt);
  EXPECT_EQ(rig.metrics.reconnections.value(), 1U);
}

TEST_P(RelayService, APeerIsFoundAgainWhereverItComesBack) {
  RawPeer a(rig, "a");
  for (int n = 0; n < 16; ++n) {  // on two loops it hardly ever stays on one
    RawPeer b(rig, "b");
    a.send(packet("b", std::to_string(n)));
    ASSERT_THAT(b.next(), Optional(Eq(packet("a", std::to_string(n)))));
    b.send("\x01\x04");
    EXPECT_EQ(b.close_code(), 1000);
  }
}

TEST_P(RelayService, PresenceIsToldAsTheContractSays) {
  RawPeer watcher(rig, "w");
  watcher.send(ids(Type::kSubscribe, "a"));
  {
    RawPeer a(rig, "a");
    EXPECT_THAT(watcher.next(), Optional(Eq(ids(Type::kPeersOnline, "a"))));
    a.send("\x01\x04");
    EXPECT_THAT(watcher.next(), Optional(Eq(ids(Type::kPeersOffline, "a"))));
    EXPECT_EQ(a.close_code(), 1000);
  }
  {
    RawPeer again(rig, "a");
    EXPECT_EQ(watcher.next(200ms), std::nullopt) << "online is told once";
  }
  EXPECT_THAT(watcher.next(), Optional(Eq(ids(Type::kPeersOffline, "a"))));
  watcher.send(ids(Type::kUnsubscribe, "a"));
  watcher.send(packet("w", "done"));
  EXPECT_THAT(watcher.next(), Optional(Eq(packet("w", "done"))));
  { const RawPeer once_more(rig, "a"); }
  EXPECT_EQ(watcher.next(200ms), std::nullopt);
}

TEST_P(RelayService, StateOfManyIdsComesInOneMessage) {
  RawPeer a(rig, "a");
  RawPeer b(rig, "b");
  RawPeer watcher(rig, "w");
  watcher.send(make_ids(Type::kSubscribe, std::vector<PeerId>{id("a"), id("x"), id("b")}));
  EXPECT_THAT(watcher.next(),
              Optional(Eq(make_ids(Type::kPeersOnline, std::vector<PeerId>{id("a"), id("b")}))));
}

TEST_P(RelayService, WhoeverIsNotLetInIsToldByTheCloseCodeOnly) {
  const auto code = [&](const std::string& frames) {
    RawPeer peer(rig);
    peer.client.send(frames);
    return peer.close_code();
  };
  const auto with = [&](const crypto::RelayToken& t) {
    return client_frame(2, make_auth(id("a"), t));
  };
  EXPECT_EQ(code(with(token(1h, "another secret"))), 1008);
  EXPECT_EQ(code(with(token(-10s))), 1008);
  std::string algorithm = make_auth(id("a"), token());
  algorithm[42] = 2;
  EXPECT_EQ(code(client_frame(2, algorithm)), 1008);
  EXPECT_EQ(rig.metrics.refused_token.value(), 3U);
  EXPECT_EQ(code(client_frame(2, packet("a", "first"))), 1008);
  EXPECT_EQ(code(client_frame(2, std::string(213, 'x'))), 1008);
  EXPECT_EQ(code(client_frame(1, "text")), 1003);
  EXPECT_EQ(code(client_frame(2, "")), 1008);
  EXPECT_EQ(rig.metrics.refused_protocol.value(), 4U);
  EXPECT_TRUE(eventually([&] { return rig.metrics.handshakes.value() == 0; }));
}

TEST_P(RelayService, WhoeverSpeaksNonsenseIsEndedAndNobodyElse) {
  RawPeer bystander(rig, "bystander");
  const auto code = [&](const std::string& frames) {
    RawPeer peer(rig, "bad");
    peer.client.send(frames);
    const int closed = peer.close_code();
    EXPECT_TRUE(eventually([&] { return rig.service.peers() == 1; }));
    return closed;
  };
  EXPECT_EQ(code(client_frame(2, "\x01")), 1008);
  EXPECT_EQ(code(client_frame(2, "")), 1008);
  EXPECT_EQ(code(client_frame(2, "\x02\x03")), 1008);
  EXPECT_EQ(code(client_frame(2, "\x01\x0a")), 1008);
  EXPECT_EQ(code(client_frame(1, "hello")), 1003);
  EXPECT_EQ(code(client_frame(2, std::string(kMessageMax + 1, 'x'))), 1009);
  EXPECT_EQ(code(client_frame(3, "x")), 1002);
  EXPECT_EQ(rig.metrics.ended_malformed.value(), 5U);
  bystander.send(packet("bystander", "still here"));
  EXPECT_THAT(bystander.next(), Optional(Eq(packet("bystander", "still here"))));
}

TEST_P(RelayService, StateMessagesOfABadLengthAreIgnored) {
  RawPeer a(rig, "a");
  a.send(ids(Type::kSubscribe, "a") + "x");
  a.send("\x01\x08");
  a.send("\x01\x03short");
  a.send(packet("a", "go on"));
  EXPECT_THAT(a.next(), Optional(Eq(packet("a", "go on"))));
  EXPECT_EQ(rig.metrics.malformed.value(), 3U);
}

TEST(RelayTimeouts, AHandshakeHasItsTime) {
  Rig rig({.handshake_timeout = 100ms});
  RawPeer silent(rig);
  EXPECT_EQ(silent.close_code(), 1008);
  EXPECT_EQ(rig.metrics.refused_timeout.value(), 1U);
}

TEST(RelayTimeouts, WhoDoesNotAnswerHealthChecksIsEnded) {
  Rig rig({.health_interval = 50ms, .health_check = 300ms});
  RawPeer well(rig, "well");
  RawPeer dead(rig, "dead");
  dead.stop_answering();
  well.send(ids(Type::kSubscribe, "dead"));
  EXPECT_THAT(well.next(), Optional(Eq(ids(Type::kPeersOnline, "dead"))));
  EXPECT_THAT(well.next(), Optional(Eq(ids(Type::kPeersOffline, "dead"))));
  EXPECT_EQ(dead.close_code(), 0) << "cut, since nobody listens";
  EXPECT_EQ(well.next(400ms), std::nullopt);
  EXPECT_EQ(rig.service.peers(), 1U);
  EXPECT_EQ(rig.metrics.ended_dead.value(), 1U);
}

TEST(RelayLimits, ASlowReaderLosesItsOwnPacketsAndThenItsConnection) {
  Rig rig({.write_timeout = 300ms, .queue_bytes_max = 256 * 1024}, 1);
  RawPeer slow(rig, "slow");
  RawPeer sender(rig, "sender");
  RawPeer other(rig, "other");
  const std::string frame = client_frame(2, packet("slow", std::string(8'000, 'x')));
  // Until sockets' buffers and the sender's half of the queue are full.
  ASSERT_TRUE(eventually([&] {
    for (int i = 0; i < 100; ++i) sender.client.send(frame);
    return rig.metrics.dropped_unfair.value() > 0;
  }));
  sender.send(packet("other", "not held up"));
  EXPECT_THAT(other.next(), Optional(Eq(packet("sender", "not held up"))));
  EXPECT_TRUE(eventually([&] { return rig.metrics.ended_slow.value() == 1; }, 20s));
  EXPECT_TRUE(eventually([&] { return rig.service.peers() == 2; }));
}

TEST(RelayLimits, SubscriptionsAreCounted) {
  Rig rig({.subscriptions_max = 2});
  RawPeer a(rig, "a");
  a.send(make_ids(Type::kSubscribe, std::vector<PeerId>{id("1"), id("2"), id("a"), id("1")}));
  a.send(packet("a", "done"));
  EXPECT_THAT(a.next(), Optional(Eq(packet("a", "done"))));
  EXPECT_EQ(rig.metrics.subscriptions_refused.value(), 1U);
  EXPECT_EQ(rig.metrics.subscriptions.value(), 2);
  a.send("\x01\x04");
  a.close_code();
  EXPECT_TRUE(eventually([&] { return rig.metrics.subscriptions.value() == 0; }));
}

TEST(RelayLimits, AFloodOfHandshakesIsTurnedAway) {
  Rig rig({.handshakes_max = 2});
  RawPeer one(rig);
  RawPeer two(rig);
  RawPeer three(rig);
  EXPECT_EQ(three.close_code(), 1013);
  one.authenticate("a");
  EXPECT_TRUE(one.next());
  RawPeer four(rig, "b");
  EXPECT_EQ(rig.metrics.refused_full.value(), 1U);
}

TEST(RelayDrain, EveryPeerIsTold) {
  Rig rig({.drain_time = 100ms});
  RawPeer a(rig, "a");
  RawPeer b(rig, "b");
  RawPeer unauthenticated(rig);
  rig.server->drain(5s);
  for (RawPeer* peer : {&a, &b}) {
    EXPECT_THAT(peer->next(), Optional(Eq("\x01\x04")));
    EXPECT_EQ(peer->close_code(), 1001);
  }
  EXPECT_EQ(unauthenticated.close_code(), 1001);
  EXPECT_EQ(rig.service.peers(), 0U);
}

}  // namespace
}  // namespace nb::relay
