// The defects S1 to S23 of contract/signal-relay-ops.md §2.2 and the faults of §7.5 and §7.6, as
// requirements; docs/signal-ha.md has the table.
#include "ha/envelope.h"
#include "raw_redis.h"
#include "signal/bus_codec.h"
#include "signal_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* kRegistry = "nb:signal:registry";
constexpr const char* kEpoch = "nb:signal:registry:epoch";

SignalServerOptions quick() {
  return {.env = {{"NB_SIGNAL_PEER_TTL", "3s"}, {"NB_SIGNAL_HEARTBEAT_INTERVAL", "1s"}}};
}
SignalServerOptions with_secret(const std::string& secret, const std::string& previous = {}) {
  SignalServerOptions options;
  options.env["NB_SIGNAL_SECRET"] = secret;
  if (!previous.empty()) options.env["NB_SIGNAL_SECRET_PREVIOUS"] = previous;
  return options;
}

std::string forward_to(const std::string& peer, const std::string& body, const std::string& from,
                       std::uint64_t id) {
  signal::BusWriter writer(from);
  writer.forward(id, message("intruder", peer, body).SerializeAsString());
  return writer.take();
}
std::string enveloped(const std::string& payload, const std::string& sender,
                      const std::string& channel, const std::string& secret, std::uint64_t counter,
                      std::chrono::seconds skew = 0s) {
  const auto now = std::chrono::duration_cast<milliseconds>(
      (std::chrono::system_clock::now() + skew).time_since_epoch());
  return ha::encode_envelope({.sender = sender,
                              .sent_ms = now.count(),
                              .boot = 77,
                              .counter = counter,
                              .payload = payload},
                             channel, Secret(secret));
}
long long commands(const RedisServer& redis) {
  const std::string info = redis.cli({"INFO", "stats"});
  const auto at = info.find("total_commands_processed:");
  return std::stoll(info.substr(at + 25));
}

TEST(SignalHa, S1_DocumentedNamesByteForByteAndNoCollisions) {
  SignalPair pair;
  SignalPeer odd(pair.one.address(), "a:b*c?[d");
  SignalPeer plain(pair.two.address(), "a_b_c__d");
  ASSERT_TRUE(odd.registered() && plain.registered());
  EXPECT_TRUE(pair.owned_by("a:b*c?[d", "signal-1"));
  EXPECT_TRUE(pair.owned_by("a_b_c__d", "signal-2"));
  EXPECT_EQ(pair.redis.cli({"EXISTS", "nb_signal_registry"}), "0");
  EXPECT_EQ(pair.redis.cli({"EXISTS", "nb:signal:alive:signal-1"}), "1");
  EXPECT_EQ(pair.redis.cli({"PUBSUB", "NUMSUB", "nb:signal:instance:signal-1"}),
            "nb:signal:instance:signal-1\n1");
  ASSERT_TRUE(send(odd.channel(), message("a:b*c?[d", "a_b_c__d", "x")).ok());
  EXPECT_TRUE(plain.got("x"));
}

TEST(SignalHa, S1_ConfiguredNamesAreUsedAndChecked) {
  RedisServer redis;
  SignalServer server(
      {.instance = "s",
       .redis = redis.address(),
       .env = {{"NB_SIGNAL_REGISTRY_KEY", "my:reg"}, {"NB_SIGNAL_CHANNEL_PREFIX", "my:chan:"}}});
  SignalPeer peer(server.address(), "p");
  ASSERT_TRUE(peer.registered());
  EXPECT_TRUE(eventually([&] { return redis.cli({"HGET", "my:reg", "p"}) == "s"; }));
  EXPECT_EQ(redis.cli({"PUBLISH", "my:chan:s", "ping"}), "1");
  const auto refused = run({.argv = {SignalServer::program(), "run", "--log-file", "console",
                                     "--signal-registry-key", "with blank"}});
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.output.find("signal-registry-key"), std::string::npos);
}

TEST(SignalHa, S2_DeadInstancesEntriesDoNotOutliveTheTtlWhileOthersBeat) {
  SignalPair pair(quick());
  SignalPeer dead(pair.one.address(), "dead");
  SignalPeer live(pair.two.address(), "live");
  ASSERT_TRUE(dead.registered() && live.registered());
  ASSERT_TRUE(pair.owned_by("dead", "signal-1") && pair.owned_by("live", "signal-2"));
  EXPECT_GT(std::stol(pair.redis.cli({"PTTL", "nb:signal:alive:signal-1"})), 0);
  EXPECT_LE(std::stol(pair.redis.cli({"PTTL", "nb:signal:alive:signal-1"})), 3'000);
  pair.one.kill();
  EXPECT_TRUE(pair.owned_by("dead", "", 8s));
  EXPECT_EQ(pair.redis.cli({"HGET", kEpoch, "dead"}), "");
  EXPECT_EQ(pair.owner("live"), "signal-2");
  EXPECT_GT(std::stol(pair.redis.cli({"TTL", kRegistry})), 0);
}

TEST(SignalHa, S3_SenderToADeadInstanceIsToldQuicklyAndTheEntryGoes) {
  SignalPair pair;  // with the long TTL: death is known from the receiver count
  SignalPeer victim(pair.one.address(), "victim");
  SignalPeer sender(pair.two.address(), "sender");
  ASSERT_TRUE(victim.registered() && sender.registered());
  ASSERT_TRUE(pair.owned_by("victim", "signal-1"));
  pair.one.kill();
  const auto first = send(sender.channel(), message("sender", "victim", "x"));
  EXPECT_EQ(first.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_LT(first.took, patient(1500ms));
  EXPECT_TRUE(pair.owned_by("victim", "", 1s));
  const auto later = send(sender.channel(), message("sender", "victim", "x"));
  EXPECT_LT(later.took, patient(100ms));
}

TEST(SignalHa, S4_OldStreamsEndNeverDeletesTheNewRegistration) {
  SignalPair pair;
  for (int round = 0; round < 10; ++round) {
    const std::string id = "mover-" + std::to_string(round);
    auto old = std::make_unique<SignalPeer>(pair.one.address(), id);
    ASSERT_TRUE(old->registered());
    ASSERT_TRUE(pair.owned_by(id, "signal-1"));
    SignalPeer fresh(pair.two.address(), id);
    ASSERT_TRUE(fresh.registered());
    ASSERT_TRUE(pair.owned_by(id, "signal-2"));
    old.reset();
    for (int i = 0; i < 20; ++i) ASSERT_EQ(pair.owner(id), "signal-2");
    // (b) displaced on one instance: its clean-up does not race the new registration
    SignalPeer again(pair.two.address(), id);
    ASSERT_TRUE(again.registered());
    fresh.close();
    for (int i = 0; i < 20; ++i) ASSERT_EQ(pair.owner(id), "signal-2");
  }
}

TEST(SignalHa, S4_NoMessageIsLostWhileThePeerMoves) {
  SignalPair pair;
  SignalPeer sender(pair.one.address(), "sender");
  ASSERT_TRUE(sender.registered());
  std::vector<std::unique_ptr<SignalPeer>> streams;
  streams.push_back(std::make_unique<SignalPeer>(pair.one.address(), "mover"));
  ASSERT_TRUE(streams.back()->registered());
  ASSERT_TRUE(pair.owned_by("mover", "signal-1"));
  std::atomic<bool> stop = false;
  std::set<std::string> accepted;
  std::thread sending([&] {
    for (int i = 0; !stop; ++i) {
      const std::string body = std::to_string(i);
      if (send(sender.channel(), message("sender", "mover", body)).ok()) accepted.insert(body);
    }
  });
  for (int move = 0; move < 4; ++move) {
    const auto until = Clock::now() + 300ms;
    while (Clock::now() < until) std::this_thread::yield();
    SignalServer& to = move % 2 == 0 ? pair.two : pair.one;
    streams.push_back(std::make_unique<SignalPeer>(to.address(), "mover"));
    ASSERT_TRUE(streams.back()->registered());
    ASSERT_TRUE(pair.owned_by("mover", to.instance()));
  }
  stop = true;
  sending.join();
  EXPECT_GT(accepted.size(), 100U);
  EXPECT_TRUE(eventually(
      [&] {
        std::set<std::string> got;
        for (const auto& stream : streams)
          for (const auto& m : stream->messages()) got.insert(m.body());
        return std::includes(got.begin(), got.end(), accepted.begin(), accepted.end());
      },
      3s))
      << "a message that was answered OK never arrived";
}

TEST(SignalHa, S5_UnsignedForgedStaleAndReplayedEnvelopesAreRefused) {
  SignalPair pair(with_secret("correct horse"));
  SignalPeer peer(pair.one.address(), "target");
  SignalPeer other(pair.two.address(), "other");
  ASSERT_TRUE(peer.registered() && other.registered());
  ASSERT_TRUE(pair.owned_by("target", "signal-1"));
  RawRedis redis(pair.redis.port());
  const std::string channel = "nb:signal:instance:signal-1";
  const auto inject = [&](const std::string& envelope) {
    EXPECT_EQ(redis.publish(channel, envelope), 1);
  };
  inject(enveloped(forward_to("target", "unsigned", "signal-2", 1), "signal-2", channel, "", 1));
  inject(enveloped(forward_to("target", "forged", "signal-2", 2), "signal-2", channel, "wrong", 2));
  inject(enveloped(forward_to("target", "other channel", "signal-2", 3), "signal-2",
                   "nb:signal:instance:signal-2", "correct horse", 3));
  inject(enveloped(forward_to("target", "stale", "signal-2", 4), "signal-2", channel,
                   "correct horse", 4, -120s));
  inject(enveloped(forward_to("target", "future", "signal-2", 5), "signal-2", channel,
                   "correct horse", 5, 120s));
  std::string damaged = enveloped(forward_to("target", "damaged", "signal-2", 6), "signal-2",
                                  channel, "correct horse", 6);
  damaged[damaged.size() / 2] ^= 1;
  inject(damaged);
  const std::string good = enveloped(forward_to("target", "good", "signal-2", 7), "signal-2",
                                     channel, "correct horse", 7);
  inject(good);
  ASSERT_TRUE(peer.got("good"));
  inject(good);
  inject(enveloped(forward_to("target", "skewed a little", "signal-2", 8), "signal-2", channel,
                   "correct horse", 8, 30s));
  EXPECT_TRUE(peer.got("skewed a little")) << "clocks of instances may differ";
  ASSERT_TRUE(send(other.channel(), message("other", "target", "real")).ok());
  EXPECT_TRUE(peer.got("real"));
  std::multiset<std::string> bodies;
  for (const auto& m : peer.messages()) bodies.insert(m.body());
  EXPECT_THAT(bodies, testing::UnorderedElementsAre("good", "skewed a little", "real"));
}

TEST(SignalHa, S5_SecretRotatesWithoutLosingMessages) {
  RedisServer redis;
  SignalServer old(
      {.instance = "old",
       .redis = redis.address(),
       .env = {{"NB_SIGNAL_SECRET", "secret one"}, {"NB_SIGNAL_SECRET_PREVIOUS", "secret two"}}});
  SignalServer rotated(
      {.instance = "rotated",
       .redis = redis.address(),
       .env = {{"NB_SIGNAL_SECRET", "secret two"}, {"NB_SIGNAL_SECRET_PREVIOUS", "secret one"}}});
  SignalPeer a(old.address(), "a");
  SignalPeer b(rotated.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(eventually([&] { return redis.cli({"HLEN", kRegistry}) == "2"; }));
  ASSERT_TRUE(send(a.channel(), message("a", "b", "x")).ok());
  ASSERT_TRUE(send(b.channel(), message("b", "a", "y")).ok());
  EXPECT_TRUE(b.got("x") && a.got("y"));
}

TEST(SignalHa, S5_SecretComesFromAFileAndIsNeverShown) {
  RedisServer redis;
  TempDir dir;
  std::ofstream(dir / "secret") << "from-a-file\n";
  SignalServer server({.instance = "s",
                       .redis = redis.address(),
                       .arguments = {"--log-level", "trace"},
                       .env = {{"NB_SIGNAL_SECRET_FILE", dir / "secret"}}});
  SignalPeer peer(server.address(), "p");
  ASSERT_TRUE(peer.registered());
  RawRedis outsider(redis.port());
  const std::string channel = "nb:signal:instance:s";
  EXPECT_EQ(outsider.publish(channel, enveloped(forward_to("p", "signed", "x", 1), "x", channel,
                                                "from-a-file", 1)),
            1);
  EXPECT_TRUE(peer.got("signed"));
  EXPECT_EQ(server.process().output().find("from-a-file"), std::string::npos);
}

TEST(SignalHa, S6_AbsentPeersCostNoTime) {
  SignalPair pair;
  const auto channel = signal_channel(pair.one.address());
  ASSERT_TRUE(send(channel, message("x", "dummy", "")).ok());
  const auto first = send(channel, message("x", "nobody", "m"));
  EXPECT_TRUE(first.ok());
  EXPECT_LT(first.took, patient(400ms)) << "one look-up and one more for a reconnect gap";
  const auto before = commands(pair.redis);
  const auto start = Clock::now();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(send(channel, message("x", "nobody", "m")).ok());
  EXPECT_LT(Clock::now() - start, patient(500ms));
  EXPECT_LT(commands(pair.redis) - before, 50) << "absence is remembered";
  EXPECT_LT(send(channel, message("x", "dummy", "")).took, patient(100ms));
}

TEST(SignalHa, S6_ArrivalOfAPeerKnownAsAbsentIsSeenAtOnce) {
  SignalPair pair({.env = {{"NB_SIGNAL_ABSENT_CACHE", "60s"}}});
  const auto channel = signal_channel(pair.one.address());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(send(channel, message("x", "late", "lost")).ok());
  SignalPeer late(pair.two.address(), "late");
  ASSERT_TRUE(late.registered());
  ASSERT_TRUE(pair.owned_by("late", "signal-2"));
  EXPECT_TRUE(eventually(
      [&] { return send(channel, message("x", "late", "m")).ok() && late.got("m", 100ms); }, 2s));
  EXPECT_FALSE(late.got("lost", 0ms));
}

TEST(SignalHa, S7_IdlePeersCostRedisNothingEach) {
  SignalPair pair;
  std::vector<std::unique_ptr<SignalPeer>> peers;
  const auto connect_all = [&] {
    std::vector<std::unique_ptr<SignalPeer>> fresh;
    for (int i = 0; i < 300; ++i)
      fresh.push_back(std::make_unique<SignalPeer>(pair.one.address(), "p" + std::to_string(i)));
    for (auto& peer : fresh) ASSERT_TRUE(peer->registered());
    peers = std::move(fresh);
  };
  for (int round = 0; round < 3; ++round) connect_all();
  ASSERT_TRUE(eventually([&] { return pair.redis.cli({"HLEN", kRegistry}) == "300"; }));
  // A full look at all entries may be under way; then it is quiet.
  const auto quiet = [&] {
    const auto before = commands(pair.redis);
    const auto until = Clock::now() + 2s;
    static_cast<void>(eventually([&] { return Clock::now() > until; }, 4s));
    return commands(pair.redis) - before < 400;
  };
  EXPECT_TRUE(eventually(quiet, 20s)) << "per second and instance a handful, whatever the peers";
}

TEST(SignalHa, S8_PeerThatConnectedDuringAnOutageIsRegisteredAfterIt) {
  SignalPair pair;
  SignalPeer sender(pair.two.address(), "sender");
  ASSERT_TRUE(sender.registered());
  pair.redis.kill();
  SignalPeer late(pair.one.address(), "late");
  ASSERT_TRUE(late.registered());
  pair.redis.start();
  ASSERT_TRUE(pair.owned_by("late", "signal-1", 5s));
  ASSERT_TRUE(eventually(
      [&] {
        return send(sender.channel(), message("sender", "late", "x")).ok() && late.got("x", 200ms);
      },
      5s));
}

TEST(SignalHa, S9_HalfDeadStreamNeverStealsTheRegistrationBack) {
  SignalPair pair(quick());
  SignalPeer half_dead(signal_channel(pair.one.address()), "p",
                       {.half_close = true, .paused = true});
  ASSERT_TRUE(pair.owned_by("p", "signal-1"));
  SignalPeer live(pair.two.address(), "p");
  ASSERT_TRUE(live.registered());
  ASSERT_TRUE(pair.owned_by("p", "signal-2"));
  const auto until = Clock::now() + 3s;  // three heartbeats
  while (Clock::now() < until) ASSERT_EQ(pair.owner("p"), "signal-2");
  EXPECT_TRUE(eventually([&] { return pair.one.metric("active_peers") == 0; }))
      << "the superseded stream is ended";
  EXPECT_EQ(pair.one.metric("nb_signal_displacements_total{by=\"instance\"}"), 1);
  EXPECT_FALSE(live.ended(0ms));
}

TEST(SignalHa, S9_NewerStreamKeepsThePeerAfterDeletionOfAllKeys) {
  SignalPair pair(quick());
  SignalPeer old(signal_channel(pair.one.address()), "p", {.half_close = true});
  ASSERT_TRUE(old.registered());
  ASSERT_TRUE(pair.owned_by("p", "signal-1"));
  pair.redis.cli({"DEL", kRegistry, kEpoch});
  SignalPeer live(pair.two.address(), "p");
  ASSERT_TRUE(live.registered());
  ASSERT_TRUE(pair.owned_by("p", "signal-2", 10s));
  for (int i = 0; i < 5; ++i) {
    pair.redis.cli({"DEL", kRegistry, kEpoch});
    ASSERT_TRUE(pair.owned_by("p", "signal-2", 3s));
  }
}

TEST(SignalHa, S10_MessagesSurviveTheSubscribersReconnect) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.two.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-1") && pair.owned_by("b", "signal-2"));
  int told = 0;
  for (int i = 0; i < 15; ++i) {
    ASSERT_TRUE(eventually([&] {
      return pair.one.metric("nb_redis_pubsub_up") == 1 &&
             pair.two.metric("nb_redis_pubsub_up") == 1;
    }));
    pair.redis.cli({"CLIENT", "KILL", "TYPE", "pubsub"});
    if (send(a.channel(), message("a", "b", std::to_string(i))).ok()) {
      ASSERT_TRUE(b.got(std::to_string(i), 3s)) << i << " was answered OK and is lost";
    } else {
      ++told;
    }
  }
  EXPECT_LT(told, 15);
  const auto messages = b.messages();
  std::set<std::string> once;
  for (const auto& m : messages)
    EXPECT_TRUE(once.insert(m.body()).second) << m.body() << " came twice";
}

TEST(SignalHa, S11_StalledPeerDelaysNobodyElse) {
  SignalPair pair;
  SignalPeer sender(pair.one.address(), "sender");
  SignalPeer slow(signal_channel(pair.two.address()), "slow", {.paused = true});
  SignalPeer quick_one(pair.two.address(), "quick");
  ASSERT_TRUE(sender.registered() && quick_one.registered());
  ASSERT_TRUE(pair.owned_by("slow", "signal-2") && pair.owned_by("quick", "signal-2"));
  std::atomic<bool> stop = false;
  std::vector<std::thread> floods;
  for (int t = 0; t < 8; ++t) {
    floods.emplace_back([&] {
      const auto channel = signal_channel(pair.one.address());
      while (!stop)
        static_cast<void>(send(channel, message("flood", "slow", std::string(60'000, 'x')), 2s));
    });
  }
  ASSERT_TRUE(eventually([&] { return pair.two.metric("nb_signal_queue_messages") > 0; }));
  for (int i = 0; i < 50; ++i) {
    const auto result = send(sender.channel(), message("sender", "quick", std::to_string(i)));
    ASSERT_TRUE(result.ok());
    ASSERT_LT(result.took, patient(500ms));
  }
  EXPECT_TRUE(quick_one.received(50));
  stop = true;
  for (auto& flood : floods) flood.join();
  slow.cancel();
}

TEST(SignalHa, S12_LocalMessagesNeverAskRedis) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.one.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-1") && pair.owned_by("b", "signal-1"));
  const auto before = commands(pair.redis);
  const auto start = Clock::now();
  for (int i = 0; i < 2'000; ++i) ASSERT_TRUE(send(a.channel(), message("a", "b", "x")).ok());
  const auto seconds = std::chrono::duration<double>(Clock::now() - start).count();
  EXPECT_LT(static_cast<double>(commands(pair.redis) - before), 50 + seconds * 50);
  EXPECT_EQ(pair.one.metric("registry_miss_local_total"), 0);
  EXPECT_GE(pair.one.metric("registry_hit_local_total"), 2'000);
}

TEST(SignalHa, S13_EntryThatNamesUsForAnAbsentPeerIsRepaired) {
  SignalPair pair;
  pair.redis.cli({"HSET", kRegistry, "ghost", "signal-1"});
  const auto channel = signal_channel(pair.one.address());
  const auto result = send(channel, message("x", "ghost", "m"));
  EXPECT_LT(result.took, patient(1s));
  EXPECT_TRUE(pair.owned_by("ghost", "", 2s));
  // The same seen from another instance.
  pair.redis.cli({"HSET", kRegistry, "ghost-2", "signal-1"});
  EXPECT_LT(send(signal_channel(pair.two.address()), message("x", "ghost-2", "m")).took,
            patient(1500ms));
  EXPECT_TRUE(pair.owned_by("ghost-2", "", 2s));
}

TEST(SignalHa, S14_GarbageOnTheChannelIsCountedAndIgnored) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.two.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  RawRedis redis(pair.redis.port());
  const std::string channel = "nb:signal:instance:signal-1";
  for (const std::string& garbage :
       {std::string("ping"), std::string(), std::string("{}"),
        std::string("{\"from_instance\":\"x\",\"to_peer\":\"a\"}"), std::string(500'000, '\xff'),
        std::string("\x01\x00\x00\x00", 4),
        enveloped("no record at all", "signal-2", channel, "", 1),
        enveloped(std::string("\x01\x01x\x09\x09", 5), "signal-2", channel, "", 2)})
    EXPECT_EQ(redis.publish(channel, garbage), 1);
  ASSERT_TRUE(send(b.channel(), message("b", "a", "alive")).ok());
  EXPECT_TRUE(a.got("alive"));
  EXPECT_EQ(a.count(), 1U);
  EXPECT_TRUE(pair.one.process().running());
}

TEST(SignalHa, S15_AddedMetricsAreCounted) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.two.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(pair.owned_by("b", "signal-2"));
  ASSERT_TRUE(send(a.channel(), message("a", "b", "x")).ok());
  ASSERT_TRUE(send(a.channel(), message("a", "a", "x")).ok());
  EXPECT_EQ(pair.one.metric("message_forward_cross_instance_total"), 1);
  EXPECT_EQ(pair.one.metric("registry_miss_local_total"), 1);
  EXPECT_EQ(pair.one.metric("registry_hit_local_total"), 1);
  EXPECT_EQ(pair.one.metric("nb_redis_up"), 1);
  EXPECT_EQ(pair.one.metric("nb_instance_peers"), 1);
  pair.redis.kill();
  ASSERT_TRUE(eventually([&] { return pair.one.metric("nb_redis_up") == 0; }));
  ASSERT_TRUE(send(a.channel(), message("a", "c", "x")).ok());
  EXPECT_EQ(pair.one.metric("redis_unavailable_errors_total"), 1);
}

TEST(SignalHa, S16_OneSendTimeoutWhereverItIsSet) {
  for (const bool flag : {true, false}) {
    SignalServerOptions options;
    if (flag) {
      options.arguments = {"--signal-send-timeout", "1s"};
    } else {
      options.env["NB_SIGNAL_SEND_TIMEOUT"] = "1s";
    }
    SignalServer server(options);
    SignalPeer slow(signal_channel(server.address()), "slow", {.paused = true});
    std::vector<std::thread> senders;
    const auto start = Clock::now();
    ASSERT_TRUE(eventually([&] { return server.metric("active_peers") == 1; }));
    for (int t = 0; t < 24; ++t)
      senders.emplace_back([&] {
        const auto channel = signal_channel(server.address());
        for (int m = 0; m < 10; ++m)
          static_cast<void>(send(channel, message("x", "slow", std::string(60'000, 'x'))));
      });
    for (auto& sender : senders) sender.join();
    EXPECT_LT(Clock::now() - start, patient(20s));
    EXPECT_TRUE(eventually([&] { return server.metric("active_peers") == 0; }, 6s))
        << "the slow stream is cut off";
    EXPECT_GE(server.metric("message_forward_failures_total{type=\"timeout\"}"), 1);
  }
}

TEST(SignalHa, S17_ManySendersToOneStreamNeverMixTheirMessages) {
  SignalPair pair;
  SignalPeer target(pair.one.address(), "target");
  ASSERT_TRUE(target.registered());
  ASSERT_TRUE(pair.owned_by("target", "signal-1"));
  std::vector<std::thread> senders;
  for (int t = 0; t < 16; ++t) {
    senders.emplace_back([&, t] {
      const auto channel = signal_channel(t % 2 ? pair.one.address() : pair.two.address());
      for (int i = 0; i < 200; ++i)
        ASSERT_TRUE(send(channel, message("sender", "target",
                                          std::to_string(t) + "/" + std::to_string(i) +
                                              std::string(300, '.')))
                        .ok());
    });
  }
  for (auto& sender : senders) sender.join();
  ASSERT_TRUE(target.received(3'200));
  std::set<std::string> bodies;
  std::map<int, int> next;
  for (const auto& m : target.messages()) {
    EXPECT_TRUE(bodies.insert(m.body()).second);
    const int t = std::stoi(m.body());
    EXPECT_EQ(std::stoi(m.body().substr(m.body().find('/') + 1)), next[t]++)
        << "order of one sender";
  }
  EXPECT_EQ(bodies.size(), 3'200U);
}

TEST(SignalHa, S18_StartsDegradedWithoutRedis) {
  RedisServer redis;
  redis.kill();
  SignalServer server({.instance = "s", .redis = redis.address()});
  EXPECT_TRUE(server.ready());
  const auto page = http_get(server.metrics_port(), "/readyz");
  EXPECT_NE(page.body.find("degraded"), std::string::npos) << page.body;
  redis.start();
  EXPECT_TRUE(eventually(
      [&] {
        return http_get(server.metrics_port(), "/readyz").body.find("degraded") ==
               std::string::npos;
      },
      5s));
}

TEST(SignalHa, S19_TermTakesEverythingOutOfRedisAndPeersElsewhere) {
  SignalPair pair({.env = {{"NB_DRAIN_DELAY", "300ms"}}});
  std::vector<std::unique_ptr<SignalPeer>> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(std::make_unique<SignalPeer>(pair.one.address(), "p" + std::to_string(i)));
    ASSERT_TRUE(peers.back()->registered());
  }
  SignalPeer foreign(pair.two.address(), "foreign");
  ASSERT_TRUE(foreign.registered());
  ASSERT_TRUE(eventually([&] { return pair.redis.cli({"HLEN", kRegistry}) == "51"; }));
  pair.one.process().signal(SIGTERM);
  for (auto& peer : peers) {
    const auto status = peer->ended(patient(8s));
    ASSERT_TRUE(status);
    EXPECT_EQ(status->error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  EXPECT_EQ(pair.one.process().wait(10s), 0);
  EXPECT_EQ(pair.redis.cli({"HLEN", kRegistry}), "1");
  EXPECT_EQ(pair.redis.cli({"HLEN", kEpoch}), "1");
  EXPECT_EQ(pair.redis.cli({"EXISTS", "nb:signal:alive:signal-1"}), "0");
  EXPECT_EQ(pair.owner("foreign"), "signal-2");
}

TEST(SignalHa, S19_DefaultDrainIsOverWithinTenSeconds) {
  RedisServer redis;
  SignalServer server({.instance = "s", .redis = redis.address(), .env = {{"NB_DRAIN_DELAY", ""}}});
  SignalPeer peer(server.address(), "p");
  ASSERT_TRUE(peer.registered());
  server.process().signal(SIGTERM);
  EXPECT_TRUE(
      eventually([&] { return http_get(server.metrics_port(), "/readyz").status == 503; }, 2s));
  EXPECT_FALSE(peer.ended(2s)) << "served on while the balancer notices";
  EXPECT_EQ(server.process().wait(10s), 0);
}

TEST(SignalHa, S20_RedisWithAclUserAndPasswordFile) {
  RedisServer redis;
  redis.cli(
      {"ACL", "SETUSER", "signal", "on", ">pass word", "~nb:signal:*", "&nb:signal:*", "+@all"});
  redis.cli({"CONFIG", "SET", "requirepass", "other"});
  TempDir dir;
  std::ofstream(dir / "password") << "pass word\n";
  SignalServer server(
      {.instance = "s",
       .redis = redis.address(),
       .env = {{"NB_HA_REDIS_USER", "signal"}, {"NB_HA_REDIS_PASSWORD_FILE", dir / "password"}}});
  EXPECT_TRUE(eventually([&] { return server.metric("nb_redis_up") == 1; }, 5s))
      << server.process().output();
  EXPECT_EQ(server.process().output().find("pass word"), std::string::npos);
}

TEST(SignalHa, S20_SentinelFailoverHeals) {
  RedisServer master;
  RedisServer replica({.arguments = {"--replicaof", "127.0.0.1", std::to_string(master.port())}});
  RedisSentinel sentinel(master.port());
  ASSERT_TRUE(eventually(
      [&] {
        return sentinel.process().running() &&
               replica.cli({"INFO", "replication"}).find("master_link_status:up") !=
                   std::string::npos;
      },
      15s));
  const auto options = [&](const std::string& instance) {
    SignalServerOptions made = quick();
    made.instance = instance;
    made.redis = master.address();
    made.env["NB_HA_REDIS_SENTINELS"] = sentinel.address();
    made.env["NB_HA_REDIS_SENTINEL_MASTER"] = "nbmaster";
    return made;
  };
  SignalServer one(options("signal-1"));
  SignalServer two(options("signal-2"));
  SignalPeer a(one.address(), "a");
  SignalPeer b(two.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(eventually([&] { return master.cli({"HLEN", kRegistry}) == "2"; }));
  master.kill();
  ASSERT_TRUE(eventually([&] { return sentinel.master_port() == replica.port(); }, 30s));
  EXPECT_TRUE(eventually(
      [&] {
        return send(a.channel(), message("a", "b", "over")).ok() && b.got("over", 200ms) &&
               send(b.channel(), message("b", "a", "back")).ok() && a.got("back", 200ms);
      },
      15s));
}

TEST(SignalHa, S21_HeartbeatAboveHalfTheTtlIsRefused) {
  const auto refused =
      run({.argv = {SignalServer::program(), "run", "--log-file", "console", "--ha-enabled",
                    "--signal-peer-ttl", "10s", "--signal-heartbeat-interval", "6s"}});
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.output.find("heartbeat"), std::string::npos) << refused.output;
}

TEST(SignalHa, S21_SecondInstanceOfOneIdIsNotReady) {
  RedisServer redis;
  SignalServerOptions options = quick();
  options.instance = "twin";
  options.redis = redis.address();
  SignalServer first(options);
  options.wait = false;
  SignalServer second(options);
  EXPECT_TRUE(
      eventually([&] { return http_get(second.metrics_port(), "/readyz").status == 503; }, 10s))
      << second.process().output();
  EXPECT_TRUE(first.ready()) << http_get(first.metrics_port(), "/readyz").body;
  first.kill();
  EXPECT_TRUE(second.becomes_ready(10s));
}

TEST(SignalHa, S21_RestartedInstanceTakesItsIdOver) {
  RedisServer redis;
  SignalServerOptions options = quick();
  options.redis = redis.address();
  SignalServer server(options);
  server.kill();
  server.start();
  SignalPeer peer(server.address(), "p");
  ASSERT_TRUE(peer.registered());
  EXPECT_TRUE(eventually([&] { return redis.cli({"HGET", kRegistry, "p"}) == "signal-1"; }));
  const auto until = Clock::now() + 5s;  // longer than the TTL
  while (Clock::now() < until) ASSERT_TRUE(eventually([&] { return server.ready(); }, 4s));
}

TEST(SignalHa, S22_EverySettingIsAVariableToo) {
  RedisServer redis;
  SignalServer server({.instance = "by-env", .redis = redis.address()});  // NB_HA_* only
  EXPECT_TRUE(eventually([&] { return redis.cli({"EXISTS", "nb:signal:alive:by-env"}) == "1"; }));
}

TEST(SignalFaults, EveryKeyDeletedOrExpiredComesBackWithinTwoSeconds) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.two.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-1") && pair.owned_by("b", "signal-2"));
  const std::vector<std::vector<std::string>> attacks = {{"FLUSHALL"},
                                                         {"DEL", kRegistry},
                                                         {"DEL", kEpoch},
                                                         {"HDEL", kRegistry, "a"},
                                                         {"HDEL", kEpoch, "b"},
                                                         {"SET", kRegistry, "no hash"},
                                                         {"SET", kEpoch, "no hash"},
                                                         {"SET", "nb:signal:instances", "no set"},
                                                         {"PEXPIRE", kRegistry, "1"},
                                                         {"DEL", "nb:signal:alive:signal-1"}};
  for (const auto& attack : attacks) {
    pair.redis.cli(attack);
    EXPECT_TRUE(pair.owned_by("a", "signal-1", 2500ms))
        << attack[0] << " " << (attack.size() > 1 ? attack[1] : "");
    EXPECT_TRUE(pair.owned_by("b", "signal-2", 2500ms)) << attack[0];
    EXPECT_TRUE(eventually(
        [&] {
          return pair.redis.cli({"HLEN", kEpoch}) == "2";
        },
        2500ms))
        << attack[0];
    EXPECT_GT(std::stol(pair.redis.cli({"TTL", kRegistry})), 0) << attack[0];
    const std::string body = "after " + attack[0] + (attack.size() > 1 ? attack[1] : "");
    EXPECT_TRUE(eventually(
        [&] { return send(a.channel(), message("a", "b", body)).ok() && b.got(body, 300ms); }, 3s))
        << body;
  }
}

TEST(SignalFaults, ShortExpiryOfTheHashIsUndone) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  ASSERT_TRUE(a.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-1"));
  pair.redis.cli({"EXPIRE", kRegistry, "30"});
  EXPECT_TRUE(eventually([&] { return std::stol(pair.redis.cli({"TTL", kRegistry})) > 60; }, 12s));
}

TEST(SignalFaults, HungRedisDelaysNoLocalMessageAndOthersHalfASecond) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.one.address(), "b");
  SignalPeer c(pair.two.address(), "c");
  ASSERT_TRUE(a.registered() && b.registered() && c.registered());
  ASSERT_TRUE(pair.owned_by("c", "signal-2"));
  pair.redis.process().pause();
  for (int i = 0; i < 20; ++i) {
    const auto local = send(a.channel(), message("a", "b", "x"));
    ASSERT_TRUE(local.ok());
    ASSERT_LT(local.took, patient(200ms));
  }
  const auto cross = send(a.channel(), message("a", "c", "hung"));
  EXPECT_TRUE(cross.ok());
  EXPECT_LE(cross.took, patient(550ms));
  pair.redis.process().resume();
  EXPECT_TRUE(eventually(
      [&] { return send(a.channel(), message("a", "c", "after")).ok() && c.got("after", 200ms); },
      5s));
}

TEST(SignalFaults, StoppedInstanceIsNoticedAndComesBackClean) {
  SignalPair pair(quick());
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.two.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-1") && pair.owned_by("b", "signal-2"));
  pair.two.process().pause();
  const auto told = send(a.channel(), message("a", "b", "x"));
  EXPECT_EQ(told.status.error_code(), grpc::StatusCode::UNAVAILABLE) << "the sender is told";
  EXPECT_LT(told.took, patient(3s));
  // Its peer comes back on the living instance; the sleeper wakes and must not take it back.
  SignalPeer moved(pair.one.address(), "b");
  ASSERT_TRUE(moved.registered());
  ASSERT_TRUE(pair.owned_by("b", "signal-1", 5s));
  pair.two.process().resume();
  const auto until = Clock::now() + 3s;
  while (Clock::now() < until) ASSERT_EQ(pair.owner("b"), "signal-1");
  EXPECT_TRUE(b.ended(patient(5s))) << "the superseded stream ends";
  EXPECT_TRUE(eventually(
      [&] { return send(a.channel(), message("a", "b", "home")).ok() && moved.got("home", 300ms); },
      5s));
}

TEST(SignalFaults, CrossInstanceLoadLosesNothingSilently) {
  SignalPair pair;
  constexpr int kPeers = 100;
  std::vector<std::unique_ptr<SignalPeer>> peers;
  for (int i = 0; i < kPeers; ++i)
    peers.push_back(std::make_unique<SignalPeer>(i % 2 ? pair.one.address() : pair.two.address(),
                                                 "p" + std::to_string(i)));
  for (auto& peer : peers) ASSERT_TRUE(peer->registered());
  ASSERT_TRUE(eventually([&] {
    return pair.redis.cli({"HLEN", kRegistry}) == std::to_string(kPeers);
  }));
  std::atomic<std::size_t> accepted = 0;
  std::atomic<std::size_t> refused = 0;
  std::vector<std::thread> senders;
  for (int t = 0; t < 8; ++t) {
    senders.emplace_back([&, t] {
      const auto channel = signal_channel(t % 2 ? pair.two.address() : pair.one.address());
      for (int i = 0; i < 500; ++i)
        if (const auto sent = send(channel, message("x", "p" + std::to_string((t + i * 7) % kPeers),
                                                    std::string(400, 'x')));
            sent.ok())
          ++accepted;
        else if (refused.fetch_add(1) == 0)
          ADD_FAILURE() << sent.status.error_code() << ' ' << sent.status.error_message();
    });
  }
  for (auto& sender : senders) sender.join();
  EXPECT_EQ(accepted, 4'000U);
  const auto received = [&] {
    std::size_t total = 0;
    for (auto& peer : peers) total += peer->count();
    return total;
  };
  EXPECT_TRUE(eventually([&] { return received() == accepted; }, 5s)) << received();
}

}  // namespace
}  // namespace nb::test
