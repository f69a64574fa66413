// Scenarios 1 to 7 of contract/signal-relay-ops.md §7.4, each in its stronger form.
#include "signal_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// Short times, so that what takes a TTL can be waited for.
SignalServerOptions quick() {
  return {.env = {{"NB_SIGNAL_PEER_TTL", "3s"}, {"NB_SIGNAL_HEARTBEAT_INTERVAL", "1s"}}};
}

void expect_in_order(const SignalPeer& peer, std::size_t count) {
  const auto messages = peer.messages();
  ASSERT_EQ(messages.size(), count);
  for (std::size_t i = 0; i < count; ++i)
    ASSERT_EQ(messages[i].body(), std::to_string(i)) << "at " << i;
}

TEST(SignalScenario, S01_CrossInstanceMessagesBothWaysWithoutLossDuplicateOrReordering) {
  SignalPair pair;
  pair.redis.cli({"DEL", "nb:signal:registry"});
  SignalPeer a(pair.one.address(), "peer-a-signal-test");
  SignalPeer b(pair.two.address(), "peer-b-signal-test");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(pair.owned_by("peer-a-signal-test", "signal-1"));
  ASSERT_TRUE(pair.owned_by("peer-b-signal-test", "signal-2"));

  constexpr std::size_t kMessages = 5'000;
  std::vector<milliseconds> took[2];
  const auto run = [&](int way) {
    SignalPeer& from = way == 0 ? a : b;
    SignalPeer& to = way == 0 ? b : a;
    for (std::size_t i = 0; i < kMessages; ++i) {
      const auto result = send(from.channel(), message(from.id(), to.id(), std::to_string(i)), 5s);
      ASSERT_TRUE(result.ok()) << i << ": " << result.status.error_message();
      took[way].push_back(result.took);
    }
  };
  std::thread there(run, 0);
  std::thread back(run, 1);
  there.join();
  back.join();
  ASSERT_TRUE(a.received(kMessages) && b.received(kMessages));
  expect_in_order(a, kMessages);
  expect_in_order(b, kMessages);
  EXPECT_EQ(b.messages()[7].key(), a.id());
  EXPECT_EQ(b.messages()[7].remotekey(), b.id());
  for (auto& times : took) {
    std::sort(times.begin(), times.end());
    EXPECT_LT(times[times.size() * 99 / 100], patient(50ms));
  }
  EXPECT_EQ(pair.one.metric("message_forward_cross_instance_total"), kMessages);
}

TEST(SignalScenario, S02_RegistryFollowsThePeerAndSurvivesDeletion) {
  SignalPair pair(quick());
  auto peer = std::make_unique<SignalPeer>(pair.one.address(), "p");
  ASSERT_TRUE(peer->registered());
  ASSERT_TRUE(pair.owned_by("p", "signal-1"));
  EXPECT_GT(std::stol(pair.redis.cli({"TTL", "nb:signal:registry"})), 0);
  // It survives the deletion of the key …
  pair.redis.cli({"DEL", "nb:signal:registry"});
  EXPECT_TRUE(pair.owned_by("p", "signal-1", 2s));
  EXPECT_GT(std::stol(pair.redis.cli({"TTL", "nb:signal:registry"})), 0);
  // … and moves with the peer, whose old stream's end must not remove it.
  SignalPeer moved(pair.two.address(), "p");
  ASSERT_TRUE(moved.registered());
  ASSERT_TRUE(pair.owned_by("p", "signal-2", 2s));
  peer.reset();
  const auto until = Clock::now() + 2s;
  while (Clock::now() < until) ASSERT_EQ(pair.owner("p"), "signal-2");
  moved.close();
  EXPECT_TRUE(pair.owned_by("p", "", 2s)) << "gone within 2 s of the disconnect";
}

TEST(SignalScenario, S03_KilledInstanceIsPurgedAndNobodyElseNotices) {
  SignalPair pair(quick());
  SignalPeer a(pair.one.address(), "a");
  SignalPeer bystander(pair.one.address(), "bystander");
  SignalPeer c(pair.two.address(), "c");
  ASSERT_TRUE(a.registered() && bystander.registered() && c.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-1") && pair.owned_by("bystander", "signal-1") &&
              pair.owned_by("c", "signal-2"));

  pair.one.kill();
  const auto killed = Clock::now();
  // The sender to its peers is told, and does not wait.
  const auto told = send(c.channel(), message("c", "bystander", "lost"), 5s);
  EXPECT_EQ(told.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_LT(told.took, patient(1500ms));
  // A peer that comes back on the other instance is reached at once.
  SignalPeer again(pair.two.address(), "a");
  ASSERT_TRUE(again.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-2", 5s));
  ASSERT_TRUE(send(c.channel(), message("c", "a", "hello"), 5s).ok());
  EXPECT_TRUE(again.got("hello", 5s));
  // The third peer is untouched, the dead instance's entries go within the TTL (and a beat).
  EXPECT_TRUE(pair.owned_by("bystander", "", 8s));
  EXPECT_LT(Clock::now() - killed, patient(8s));
  EXPECT_EQ(pair.owner("c"), "signal-2");
  EXPECT_FALSE(c.ended(0ms));
}

TEST(SignalScenario, S04_RedisOutageLeavesLocalTrafficAloneAndHealsWithoutReconnects) {
  SignalPair pair;
  SignalPeer remote(pair.two.address(), "remote");
  ASSERT_TRUE(remote.registered());
  pair.redis.kill();
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.one.address(), "b");
  ASSERT_TRUE(a.registered(2s) && b.registered(2s)) << "registration does not wait for Redis";
  for (int i = 0; i < 50; ++i) {
    const auto result = send(a.channel(), message("a", "b", "m" + std::to_string(i)), 5s);
    ASSERT_TRUE(result.ok());
    ASSERT_LT(result.took, patient(200ms));
  }
  EXPECT_TRUE(b.received(50));
  const auto cross = send(a.channel(), message("a", "remote", "x"), 5s);
  EXPECT_TRUE(cross.ok());
  EXPECT_LE(cross.took, patient(500ms));
  EXPECT_GE(pair.one.metric("redis_unavailable_errors_total"), 1);
  EXPECT_TRUE(pair.one.ready()) << "degraded, but serving";

  pair.redis.start();
  EXPECT_TRUE(eventually(
      [&] {
        return send(remote.channel(), message("remote", "a", "after"), 5s).ok() &&
               a.got("after", 200ms) &&
               send(a.channel(), message("a", "remote", "after"), 5s).ok() &&
               remote.got("after", 200ms);
      },
      5s));
  EXPECT_TRUE(pair.owned_by("a", "signal-1", 2s) && pair.owned_by("remote", "signal-2", 2s));
}

TEST(SignalScenario, S04_AllPeersAreBackTwoSecondsAfterRedis) {
  SignalPair pair;
  std::vector<std::unique_ptr<SignalPeer>> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(std::make_unique<SignalPeer>(i % 2 ? pair.one.address() : pair.two.address(),
                                                 "p" + std::to_string(i)));
    ASSERT_TRUE(peers.back()->registered());
  }
  ASSERT_TRUE(eventually([&] { return pair.redis.cli({"HLEN", "nb:signal:registry"}) == "50"; }));
  pair.redis.kill();
  pair.redis.start();  // empty
  EXPECT_TRUE(eventually(
      [&] {
        return pair.redis.cli({"HLEN", "nb:signal:registry"}) == "50";
      },
      2s));
}

TEST(SignalScenario, S04_StartsWhileRedisIsDown) {
  RedisServer redis;
  redis.kill();
  SignalServer server({.instance = "signal-1", .redis = redis.address()});
  SignalPeer a(server.address(), "a");
  SignalPeer b(server.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(send(a.channel(), message("a", "b", "local")).ok());
  EXPECT_TRUE(b.got("local"));
  redis.start();
  EXPECT_TRUE(eventually(
      [&] {
        return redis.cli({"HGET", "nb:signal:registry", "a"}) == "signal-1";
      },
      5s));
}

TEST(SignalScenario, S05_ChannelsAreIsolatedAndForeignPayloadsDoNoHarm) {
  SignalPair pair;
  SignalPeer a(pair.one.address(), "a");
  SignalPeer b(pair.two.address(), "b");
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(pair.owned_by("a", "signal-1") && pair.owned_by("b", "signal-2"));
  const auto refused = [](const SignalServer& server) {
    return server.metric("nb_signal_bus_refused_total") +
           server.metric("nb_signal_bus_invalid_total");
  };
  const double one = refused(pair.one);
  const double two = refused(pair.two);
  EXPECT_EQ(pair.redis.cli({"PUBLISH", "nb:signal:instance:signal-1", "ping"}), "1");
  EXPECT_EQ(pair.redis.cli({"PUBLISH", "nb:signal:instance:signal-2", "ping"}), "1");
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(pair.redis.cli({"PUBLISH", "nb:signal:instance:signal-1",
                              "{\"to_peer\":\"a\",\"from_instance\":\"x\"}"}),
              "1");
  EXPECT_TRUE(eventually([&] { return refused(pair.one) == one + 21; }));
  EXPECT_EQ(refused(pair.two), two + 1) << "signal-2 saw what was meant for signal-1";
  ASSERT_TRUE(send(b.channel(), message("b", "a", "alive")).ok());
  EXPECT_TRUE(a.got("alive"));
  EXPECT_EQ(a.count(), 1U);
}

TEST(SignalScenario, S06_BalancerSpreadsTwoHundredPeersAndAnyPairTalks) {
  SignalPair pair;
  HaProxy proxy(std::vector<Backend>{{"one", pair.one.port(), pair.one.metrics_port()},
                                     {"two", pair.two.port(), pair.two.metrics_port()}});
  std::vector<std::unique_ptr<SignalPeer>> peers;
  for (int i = 0; i < 200; ++i)
    peers.push_back(std::make_unique<SignalPeer>(proxy.address(), "peer-" + std::to_string(i)));
  for (auto& peer : peers) ASSERT_TRUE(peer->registered()) << peer->id();
  std::map<std::string, int> load;
  for (auto& peer : peers) {
    ASSERT_TRUE(eventually([&] { return !pair.owner(peer->id()).empty(); }));
    ++load[pair.owner(peer->id())];
  }
  EXPECT_GE(load["signal-1"], 80);
  EXPECT_GE(load["signal-2"], 80);
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    SignalPeer& from = *peers[random() % peers.size()];
    SignalPeer& to = *peers[random() % peers.size()];
    const std::string body = "pair-" + std::to_string(i);
    const auto result = send(from.channel(), message(from.id(), to.id(), body));
    ASSERT_TRUE(result.ok()) << result.status.error_code() << " " << result.status.error_message();
    ASSERT_TRUE(to.got(body)) << from.id() << " to " << to.id();
  }
}

TEST(SignalScenario, S07_FailoverThroughTheBalancerWithoutFlipFlop) {
  SignalPair pair(quick());
  HaProxy proxy(std::vector<Backend>{{"one", pair.one.port(), pair.one.metrics_port()},
                                     {"two", pair.two.port(), pair.two.metrics_port()}});
  const auto channel = signal_channel(proxy.address());  // one connection, requests rotate
  std::vector<std::unique_ptr<SignalPeer>> abandoned;    // streams of earlier attempts stay open
  SignalPeer a(channel, "a", {.half_close = true});
  ASSERT_TRUE(a.registered());
  ASSERT_TRUE(eventually([&] { return !pair.owner("a").empty(); }));
  const std::string home = pair.owner("a");
  std::string other;
  for (int attempt = 0; attempt < 10 && (other.empty() || other == home); ++attempt) {
    abandoned.push_back(
        std::make_unique<SignalPeer>(channel, "b", SignalPeer::Options{.half_close = true}));
    ASSERT_TRUE(abandoned.back()->registered());
    ASSERT_TRUE(eventually([&] {
      other = pair.owner("b");
      return !other.empty();
    }));
  }
  ASSERT_NE(home, other);
  SignalServer& dying = home == "signal-1" ? pair.one : pair.two;
  dying.kill();
  std::unique_ptr<SignalPeer> again;
  ASSERT_TRUE(eventually(
      [&] {
        again = std::make_unique<SignalPeer>(channel, "a", SignalPeer::Options{.half_close = true});
        return again->registered(2s);
      },
      15s));
  ASSERT_TRUE(pair.owned_by("a", other, 15s));
  SignalPeer& b = *abandoned.back();
  ASSERT_TRUE(eventually(
      [&] {
        return send(channel, message("b", "a", "after failover"), 5s).ok() &&
               again->got("after failover", 1s);
      },
      15s));
  // Registrations stay where they are, for two heartbeats and a bit.
  const auto until = Clock::now() + 2500ms;
  while (Clock::now() < until) {
    ASSERT_EQ(pair.owner("a"), other);
    ASSERT_EQ(pair.owner("b"), other);
  }
  EXPECT_FALSE(b.ended(0ms));
}

}  // namespace
}  // namespace nb::test
