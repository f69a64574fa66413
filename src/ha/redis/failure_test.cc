// The ports over a Redis that hangs, dies, forgets and comes back. Each test ends healed.
#include "base/task_group.h"
#include "ha/redis/contract_rig.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <mutex>
#include <optional>
#include <vector>

namespace nb::ha {
namespace {
using namespace std::chrono_literals;
using test::eventually;

boost::asio::awaitable<int> stopped(StoreLeases& leases) {
  co_await leases.stop();
  co_return 0;
}

class RedisFailure : public testing::Test {
 protected:
  RedisFailure() : side(std::in_place, loop, options()) {}
  ~RedisFailure() override {
    loop.run([this] { subscription = Subscription(); });
    side.reset();
  }
  redis::Options options() {
    redis::Options o;
    o.address = {"127.0.0.1", server.port()};
    return o;
  }
  template <class T>
  T get(boost::asio::awaitable<T> work) {
    return loop.await([&] { return std::move(work); });
  }
  std::unique_ptr<RedisDirectory> directory() {
    return std::make_unique<RedisDirectory>(side->client, DirectoryConfig{});
  }
  void listen() {
    loop.run([this] {
      SubscribeOptions o;
      o.on_message = [this](const Delivery&) { ++heard; };
      o.on_gap = [this] { ++gaps; };
      subscription = side->bus.subscribe("c", std::move(o));
    });
    ASSERT_TRUE(eventually([this] { return gaps == 1; }));
  }
  /// Waits until a call works again; how long it took.
  std::chrono::milliseconds until_served(PeerDirectory& through) {
    const auto from = std::chrono::steady_clock::now();
    EXPECT_TRUE(eventually([&] { return bool(get(through.count())); }));
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 from);
  }
  /// Calls until the breaker is open, then asserts that further ones end at once.
  void expect_fails_at_once(PeerDirectory& through) {
    ASSERT_TRUE(eventually([&] {
      const auto from = std::chrono::steady_clock::now();
      const auto found = get(through.find(PeerKey{"p"}));
      return !found && found.error().code == Code::kUnavailable &&
             std::chrono::steady_clock::now() - from < 50ms;
    }));
    const auto from = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(get(through.find(PeerKey{"p"})));
    EXPECT_LT(std::chrono::steady_clock::now() - from, 1s);
  }
  test::RedisServer server{{.arguments = {"--enable-debug-command", "local"}}};
  test::HomeLoop loop;
  std::optional<RedisSide> side;
  SystemClock clock;
  Subscription subscription;
  std::atomic<int> heard{0}, gaps{0};
  const Claim mine{InstanceId{"a"}, Incarnation{"b1"}, 1};
};

TEST_F(RedisFailure, RestartWithDataLossIsHealedWithinTwoSeconds) {
  const auto directory = this->directory();
  listen();
  const auto claimed = get(directory->claim(PeerKey{"p"}, mine));
  ASSERT_TRUE(claimed);
  server.kill();
  expect_fails_at_once(*directory);
  server.start();
  EXPECT_LT(until_served(*directory), 2s);
  EXPECT_FALSE(*get(directory->find(PeerKey{"p"})));
  EXPECT_EQ(get(directory->reassert({{PeerKey{"p"}, claimed->claim}}))->at(0).kept,
            Kept::kRestored);
  EXPECT_EQ((*get(directory->find(PeerKey{"p"})))->claim, claimed->claim);
  // The subscription comes back by itself and says that it was deaf.
  EXPECT_TRUE(eventually([this] { return gaps == 2; }));
  EXPECT_EQ(*get(side->bus.publish("c", "x")), 1U);
  EXPECT_TRUE(eventually([this] { return heard == 1; }));
}

TEST_F(RedisFailure, HungServerIsNoticedAndEndsNoCallLate) {
  const auto directory = this->directory();
  listen();
  server.process().signal(SIGSTOP);
  expect_fails_at_once(*directory);
  server.process().signal(SIGCONT);
  EXPECT_LT(until_served(*directory), 3s);
  EXPECT_TRUE(eventually([this] {
    const auto count = get(side->bus.publish("c", "x"));
    return count && *count == 1 && heard > 0;
  }));
}

TEST_F(RedisFailure, SleepingServerIsSurvived) {
  const auto directory = this->directory();
  ASSERT_TRUE(get(directory->claim(PeerKey{"p"}, mine)));
  auto sleeping = std::async(std::launch::async, [this] { server.cli({"DEBUG", "SLEEP", "2"}); });
  // Whoever asked already waits for its answer; whoever asks after half a second does not.
  std::vector<std::future<Result<std::optional<Holder>>>> asked;
  EXPECT_TRUE(eventually([&] {
    asked.push_back(loop.start([&] { return directory->find(PeerKey{"p"}); }));
    return !loop.run([this] { return side->client.available(); });
  }));
  expect_fails_at_once(*directory);
  for (auto& one : asked) (void)one.get();
  sleeping.get();
  EXPECT_LT(until_served(*directory), 3s);
  EXPECT_TRUE(*get(directory->find(PeerKey{"p"})));
}

TEST_F(RedisFailure, KilledConnectionsComeBack) {
  const auto directory = this->directory();
  listen();
  for (int round = 0; round < 5; ++round) {
    server.cli({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    server.cli({"CLIENT", "KILL", "TYPE", "pubsub"});
    EXPECT_LT(until_served(*directory), 2s);
    EXPECT_TRUE(eventually([&] { return gaps >= round + 2; }));
  }
  EXPECT_EQ(*get(side->bus.publish("c", "x")), 1U);
}

TEST_F(RedisFailure, LostLeaseIsReportedBeforeAnotherCouldHaveIt) {
  StoreLeases leases(loop.executor(), std::make_unique<RedisLeaseStore>(side->client), clock,
                     system_random());
  const Resource job{"job"};
  AcquireOptions one_second;
  one_second.ttl = 1s;
  std::optional<Lease> lease;
  auto granted = get(leases.acquire(job, one_second));
  ASSERT_TRUE(granted);
  lease = std::move(*granted);
  std::atomic<bool> lost{false};
  loop.run([&] { lease->on_lost([&] { lost = true; }); });
  server.process().signal(SIGSTOP);
  const auto from = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([&] { return lost.load(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - from, 1100ms);
  EXPECT_FALSE(loop.run([&] { return lease->held(); }));
  server.process().signal(SIGCONT);
  Result<Lease> again = fail(Code::kUnknown, "");
  EXPECT_TRUE(eventually([&] {
    again = get(leases.acquire(job, one_second));
    return bool(again);
  }));
  loop.run([&] {
    lease.reset();
    again = fail(Code::kUnknown, "");
  });
  loop.await([&] { return stopped(leases); });
}

TEST_F(RedisFailure, LoginsAreAllowedWhileRedisIsAway) {
  std::atomic<int> errors{0};
  RedisLoginFilter filter(side->client, "nb:mgmt:loginfilter", {.reconnects_max = 1},
                          [&](const Error&) { ++errors; });
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(get(filter.check_and_add({"p", 1})).allowed());
  EXPECT_FALSE(get(filter.check_and_add({"p", 1})).allowed());
  server.kill();
  EXPECT_TRUE(eventually([&] { return get(filter.check_and_add({"p", 1})).allowed(); }));
  EXPECT_GT(errors, 0);
  server.start();
  EXPECT_TRUE(eventually([&] {
    const int before = errors;
    (void)get(filter.check_and_add({"p", 1}));
    return errors == before;
  }));
}

TEST_F(RedisFailure, BeatsSayThatTheStoreForgot) {
  StoreMembership member(std::make_unique<RedisMemberStore>(side->client, "signal"), clock,
                         InstanceId{"a"}, Incarnation{"1"}, {});
  ASSERT_TRUE(get(member.beat()));
  EXPECT_EQ(server.cli({"GET", "nb:signal:alive:a"}), "1");
  EXPECT_FALSE(get(member.beat())->store_lost);
  server.kill();
  EXPECT_TRUE(eventually([&] { return !get(member.beat()); }));
  server.start();
  Result<Beat> beat = fail(Code::kUnknown, "");
  EXPECT_TRUE(eventually([&] { return bool(beat = get(member.beat())); }));
  EXPECT_TRUE(beat->store_lost);
}

TEST_F(RedisFailure, DirectoryKeysOfAnotherTypeReadAsEmptyAndHeal) {
  const auto directory = this->directory();
  for (const char* key : {"nb:signal:registry", "nb:signal:registry:epoch"}) {
    ASSERT_TRUE(get(directory->claim(PeerKey{"p"}, mine)));
    server.cli({"SET", key, "something else"});
    const auto found = get(directory->find(PeerKey{"p"}));
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_TRUE(get(directory->count()));
    EXPECT_TRUE(get(directory->scan("", 10)));
    const auto kept = get(directory->reassert({{PeerKey{"p"}, mine}}));
    ASSERT_TRUE(kept) << kept.error().text;
    EXPECT_EQ(kept->front().kept, Kept::kRestored);
    EXPECT_EQ(server.cli({"HGET", "nb:signal:registry", "p"}), "a");
    EXPECT_EQ(server.cli({"HGET", "nb:signal:registry:epoch", "p"}), "a/b1/1");
  }
}

TEST_F(RedisFailure, KeysAreAsDocumentedAndExpire) {
  const auto directory = this->directory();
  ASSERT_TRUE(get(directory->claim(PeerKey{"p"}, mine)));
  EXPECT_EQ(server.cli({"HGET", "nb:signal:registry", "p"}), "a");
  EXPECT_EQ(server.cli({"HGET", "nb:signal:registry:epoch", "p"}), "a/b1/1");
  for (const char* key : {"nb:signal:registry", "nb:signal:registry:epoch"}) {
    EXPECT_GT(std::stol(server.cli({"TTL", key})), 290);
    // An outsider's EXPIRE is undone by the next reassertion.
    server.cli({"EXPIRE", key, "3"});
    ASSERT_TRUE(get(directory->reassert({{PeerKey{"p"}, mine}})));
    EXPECT_GT(std::stol(server.cli({"TTL", key})), 290);
  }
}

}  // namespace
}  // namespace nb::ha
