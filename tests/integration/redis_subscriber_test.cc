// redis::Subscriber and Sentinel fail-over against real servers.
#include "integration/redis_harness.h"
#include "support/servers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

namespace nb::redis {
namespace {
using namespace std::chrono_literals;
using test::eventually;
using test::RedisSentinel;
using test::RedisServer;

TEST(RedisSubscriber, MessagesOfSubscribedChannelsArrive) {
  RedisServer server;
  TestSubscriber pubsub(quick_options(server.port()));
  ASSERT_TRUE(pubsub.subscribe("one"));
  pubsub.start();
  ASSERT_TRUE(pubsub.wait_gap(1)) << "the first connection counts as a gap";
  EXPECT_TRUE(pubsub.confirmed("one"));
  EXPECT_EQ(pubsub.state(), Subscriber::State::kLive);
  EXPECT_EQ(pubsub.counted.metrics.pubsub_up.Value(), 1);
  const std::string binary("a\0\r\n", 4);
  TestClient redis(quick_options(server.port()));
  EXPECT_EQ(redis.reply({"PUBLISH", "one", binary}).integer, 1);
  EXPECT_EQ(redis.reply({"PUBLISH", "two", "x"}).integer, 0);
  EXPECT_TRUE(pubsub.wait_message({"one", binary}));
  EXPECT_EQ(pubsub.messages().size(), 1U);
}

TEST(RedisSubscriber, ChannelsComeAndGoWhileLive) {
  RedisServer server;
  TestSubscriber pubsub(quick_options(server.port()));
  pubsub.start();
  ASSERT_TRUE(pubsub.wait_gap(1)) << "live without any channel";
  ASSERT_TRUE(pubsub.subscribe("c"));
  EXPECT_TRUE(pubsub.subscribe("c")) << "twice is once";
  ASSERT_TRUE(pubsub.wait_confirmed("c"));
  EXPECT_EQ(server.cli({"PUBLISH", "c", "1"}), "1");
  EXPECT_TRUE(pubsub.wait_message({"c", "1"}));
  pubsub.unsubscribe("c");
  EXPECT_FALSE(pubsub.confirmed("c"));
  EXPECT_TRUE(eventually([&] { return server.cli({"PUBLISH", "c", "2"}) == "0"; }));
  // Off and on again in one turn: the answers come in order and the last word counts.
  pubsub.loop.run([&] {
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(pubsub.subscriber->subscribe("d"));
      pubsub.subscriber->unsubscribe("d");
    }
    ASSERT_TRUE(pubsub.subscriber->subscribe("d"));
  });
  ASSERT_TRUE(pubsub.wait_confirmed("d"));
  EXPECT_EQ(server.cli({"PUBLISH", "d", "3"}), "1");
  EXPECT_TRUE(pubsub.wait_message({"d", "3"}));
  EXPECT_EQ(pubsub.counted.metrics.pubsub_channels.Value(), 1);
  EXPECT_EQ(pubsub.gap, 1U);
}

TEST(RedisSubscriber, RestartIsAGapAndEveryChannelIsBackBeforeItIsReported) {
  RedisServer server;
  TestSubscriber pubsub(quick_options(server.port()));
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(pubsub.subscribe("c" + std::to_string(i)));
  pubsub.start();
  ASSERT_TRUE(pubsub.wait_gap(1));
  for (std::uint64_t generation = 2; generation <= 3; ++generation) {
    server.kill();
    ASSERT_TRUE(eventually([&] { return pubsub.state() != Subscriber::State::kLive; }));
    EXPECT_FALSE(pubsub.confirmed("c0"));
    pubsub.unsubscribe("c7");  // while it is away
    ASSERT_TRUE(pubsub.subscribe("late" + std::to_string(generation)));
    server.start();
    ASSERT_TRUE(pubsub.wait_gap(generation));
    EXPECT_EQ(pubsub.downs, static_cast<int>(generation) - 1);
    EXPECT_TRUE(pubsub.confirmed("late" + std::to_string(generation)));
    EXPECT_EQ(server.cli({"PUBLISH", "c999", "again" + std::to_string(generation)}), "1");
    EXPECT_TRUE(pubsub.wait_message({"c999", "again" + std::to_string(generation)}));
    EXPECT_EQ(server.cli({"PUBLISH", "c7", "x"}), "0");
  }
}

TEST(RedisSubscriber, StartsWhileRedisIsDown) {
  RedisServer server;
  server.kill();
  TestSubscriber pubsub(quick_options(server.port()));
  ASSERT_TRUE(pubsub.subscribe("c"));
  pubsub.start();
  ASSERT_TRUE(eventually([&] { return pubsub.counted.metrics.connect_errors_total.Value() >= 1; }));
  EXPECT_NE(pubsub.state(), Subscriber::State::kLive);
  server.start();
  EXPECT_TRUE(pubsub.wait_gap(1));
  EXPECT_TRUE(pubsub.confirmed("c"));
}

TEST(RedisSubscriber, HangingServerIsNoticedWithoutTraffic) {
  RedisServer server;
  TestSubscriber pubsub(quick_options(server.port()));
  ASSERT_TRUE(pubsub.subscribe("c"));
  pubsub.start();
  ASSERT_TRUE(pubsub.wait_gap(1));
  server.process().pause();
  EXPECT_TRUE(eventually([&] { return pubsub.downs >= 1; }));
  server.process().resume();
  EXPECT_TRUE(pubsub.wait_gap(2));
}

TEST(RedisSubscriber, HandlersMayChangeTheSubscriptions) {
  RedisServer server;
  Counted counted;
  test::HomeLoop loop;
  std::atomic<int> messages{0};
  std::unique_ptr<Subscriber> subscriber;
  Subscriber::Handlers handlers;
  handlers.on_message = [&](std::string_view channel, std::string_view) {
    ++messages;
    const std::string own(channel);
    subscriber->unsubscribe(own);
    EXPECT_TRUE(subscriber->subscribe(own + "+"));
  };
  subscriber = std::make_unique<Subscriber>(loop.executor(), quick_options(server.port()),
                                            std::move(handlers), counted.metrics, Logger());
  loop.run([&] {
    EXPECT_TRUE(subscriber->subscribe("c"));
    subscriber->start();
  });
  std::string channel = "c";
  for (int i = 1; i <= 5; ++i, channel += '+') {
    ASSERT_TRUE(
        eventually([&] { return loop.run([&] { return subscriber->confirmed(channel); }); }));
    EXPECT_EQ(server.cli({"PUBLISH", channel, "x"}), "1");
    ASSERT_TRUE(eventually([&] { return messages == i; }));
  }
  loop.await([&] { return subscriber->stop(); });
  loop.run([&] { subscriber.reset(); });
  EXPECT_EQ(counted.metrics.subscribers, 0);
  EXPECT_EQ(counted.metrics.pubsub_channels.Value(), 0);
}

TEST(RedisSubscriber, BadChannelNamesAreRefused) {
  TestSubscriber pubsub(quick_options(1));
  EXPECT_FALSE(pubsub.subscribe(""));
  EXPECT_FALSE(pubsub.subscribe(std::string(513, 'x')));
  EXPECT_TRUE(pubsub.subscribe(std::string(512, 'x')));
  pubsub.start();
}

class RedisFailover : public testing::Test {
 protected:
  RedisFailover()
      : master({.arguments = {"--repl-diskless-sync-delay", "0"}}),
        replica({.arguments = {"--replicaof", "127.0.0.1 " + std::to_string(master.port())}}),
        sentinel((wait_replica(), master.port())) {}
  void wait_replica() {
    if (!eventually([&] {
          return master.cli({"INFO", "replication"}).find("state=online") != std::string::npos;
        })) {
      throw std::runtime_error("replica never came online");
    }
  }
  Options options() {
    Options made = quick_options(0);
    // The first one does not exist: the list is gone through.
    made.sentinels = {{"127.0.0.1", test::free_port()}, {"127.0.0.1", sentinel.port()}};
    made.sentinel_master = "nbmaster";
    return made;
  }
  bool sentinel_knows_replica() {
    return eventually(
        [&] {
          return test::run({.argv = {"redis-cli", "-p", std::to_string(sentinel.port()), "sentinel",
                                     "replicas", "nbmaster"}})
                     .output.find(std::to_string(replica.port())) != std::string::npos;
        },
        20s);
  }
  RedisServer master;
  RedisServer replica;
  RedisSentinel sentinel;
};

TEST_F(RedisFailover, ClientAndSubscriberFollowTheNewMaster) {
  ASSERT_TRUE(sentinel_knows_replica());
  TestClient redis(options());
  TestSubscriber pubsub(options());
  ASSERT_TRUE(pubsub.subscribe("c"));
  pubsub.start();
  ASSERT_TRUE(redis.command({"SET", "k", "before"})) << redis.counted.log->text();
  ASSERT_TRUE(pubsub.wait_gap(1));
  EXPECT_EQ(redis.loop.run([&] { return redis.client->endpoint(); }), master.address());
  ASSERT_TRUE(eventually([&] { return replica.cli({"GET", "k"}) == "before"; }));
  master.kill();
  ASSERT_TRUE(eventually(
      [&] {
        return redis.command({"SET", "k", "after"}).has_value();
      },
      30s))
      << redis.counted.log->text();
  EXPECT_EQ(redis.loop.run([&] { return redis.client->endpoint(); }), replica.address());
  EXPECT_EQ(replica.cli({"GET", "k"}), "after");
  ASSERT_TRUE(pubsub.wait_gap(2));
  EXPECT_EQ(redis.reply({"PUBLISH", "c", "x"}).integer, 1);
  EXPECT_TRUE(pubsub.wait_message({"c", "x"}));
}

TEST_F(RedisFailover, SwitchIsFollowedWhileTheOldMasterLives) {
  ASSERT_TRUE(sentinel_knows_replica());
  TestClient redis(options());
  ASSERT_TRUE(redis.wait_connected());
  ASSERT_TRUE(eventually([&] {
    return test::run({.argv = {"redis-cli", "-p", std::to_string(sentinel.port()), "sentinel",
                               "failover", "nbmaster"}})
               .output.find("OK") == 0;
  })) << "the Sentinel needs a moment to trust the replica";
  ASSERT_TRUE(eventually(
      [&] {
        return redis.loop.run([&] {
          return redis.client->connected() && redis.client->endpoint() == replica.address();
        });
      },
      30s))
      << redis.counted.log->text();
  EXPECT_TRUE(redis.command({"SET", "k", "v"}));
}

TEST_F(RedisFailover, UnknownMasterNameIsReported) {
  Options wrong = options();
  wrong.sentinel_master = "nobody";
  TestClient redis(wrong);
  const auto refused = redis.command({"PING"});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("knows no master of that name"), std::string::npos)
      << refused.error().text;
}

}  // namespace
}  // namespace nb::redis
