// redis::Client while Redis dies, hangs, forgets, or is not there at all. Every fault is healed at
// the end, and service must come back.
#include "integration/redis_harness.h"
#include "support/servers.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <vector>

namespace nb::redis {
namespace {
using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test::eventually;
using test::RedisServer;

TEST(RedisFaults, StartingWhileRedisIsDownWorks) {
  RedisServer server;
  server.kill();
  TestClient redis(quick_options(server.port()));
  const auto refused = redis.command({"PING"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_FALSE(redis.connected());
  EXPECT_EQ(redis.counted.metrics.up.Value(), 0);
  server.start();
  EXPECT_TRUE(redis.heals());
  EXPECT_EQ(redis.generation(), 1U);
  EXPECT_EQ(redis.counted.metrics.up.Value(), 1);
}

TEST(RedisFaults, OpenBreakerRefusesAtOnceAndWithoutConnecting) {
  RedisServer server;
  server.kill();
  Options options = quick_options(server.port());
  options.backoff_min = 20s;
  options.backoff_max = 20s;
  TestClient redis(options);
  ASSERT_TRUE(eventually([&] { return redis.breaker() == BreakerState::kOpen; }));
  const double attempts = redis.counted.metrics.connect_errors_total.Value();
  const auto started = steady_clock::now();
  for (int i = 0; i < 1'000; ++i) {
    const auto refused = redis.command({"GET", "x"});
    ASSERT_FALSE(refused);
    ASSERT_EQ(refused.error(), (Error{Code::kUnavailable, "redis: unavailable"}));
  }
  EXPECT_LT(steady_clock::now() - started, 2s);
  EXPECT_EQ(redis.counted.metrics.connect_errors_total.Value(), attempts);
  EXPECT_EQ(redis.counted.metrics.commands_refused_total.Value(), 1'000);
  EXPECT_EQ(redis.counted.metrics.breaker_state.Value(), 2);
  EXPECT_FALSE(redis.loop.run([&] { return redis.client->available(); }));
}

TEST(RedisFaults, CallsOnTheirWayEndWhenTheServerDies) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  ASSERT_TRUE(redis.wait_connected());
  server.process().pause();
  std::vector<std::future<Result<Reply>>> answers;
  for (int i = 0; i < 100; ++i) answers.push_back(redis.command_later({"INCR", "n"}));
  ASSERT_TRUE(
      eventually([&] { return redis.loop.run([&] { return redis.client->pending() >= 100; }); }));
  server.kill();
  for (auto& answer : answers) {
    ASSERT_EQ(answer.wait_for(10s), std::future_status::ready);
    EXPECT_EQ(answer.get().error().code, Code::kUnavailable);
  }
  EXPECT_GE(redis.counted.metrics.commands_lost_total.Value(), 100);
  server.start();
  EXPECT_TRUE(redis.heals());
  EXPECT_EQ(redis.reply({"INCR", "n"}).integer, 1) << "nothing is sent a second time";
  EXPECT_EQ(redis.generation(), 2U);
  EXPECT_EQ(redis.up, 2U);
  EXPECT_EQ(redis.down, 1U);
  EXPECT_EQ(redis.counted.metrics.reconnects_total.Value(), 1);
}

TEST(RedisFaults, SilentServerOpensTheBreakerThenTheConnectionIsGivenUp) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  ASSERT_TRUE(redis.wait_connected());
  server.process().pause();
  const auto started = steady_clock::now();
  auto waiting = redis.command_later({"PING"});
  ASSERT_TRUE(eventually([&] { return redis.breaker() == BreakerState::kOpen; }));
  EXPECT_LT(steady_clock::now() - started, 1s) << "stall_after, well before read_timeout";
  EXPECT_EQ(redis.command({"PING"}).error(), (Error{Code::kUnavailable, "redis: unavailable"}));
  ASSERT_EQ(waiting.wait_for(10s), std::future_status::ready);
  const auto lost = waiting.get();
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kUnavailable);
  EXPECT_NE(lost.error().text.find("no answer for 1000 ms"), std::string::npos)
      << lost.error().text;
  EXPECT_GE(steady_clock::now() - started, 1s);
  // The kernel still accepts for the stopped process: only the greeting shows that it hangs.
  ASSERT_TRUE(eventually([&] { return redis.counted.metrics.connect_errors_total.Value() >= 1; }));
  EXPECT_FALSE(redis.command({"PING"}));
  server.process().resume();
  EXPECT_TRUE(redis.heals());
}

TEST(RedisFaults, ShortPauseCostsNoConnection) {
  RedisServer server;
  Options options = quick_options(server.port());
  options.read_timeout = 20s;
  TestClient redis(options);
  ASSERT_TRUE(redis.wait_connected());
  server.process().pause();
  auto waiting = redis.command_later({"ECHO", "late"});
  ASSERT_TRUE(eventually([&] { return redis.breaker() == BreakerState::kOpen; }));
  EXPECT_FALSE(redis.command({"PING"}));
  server.process().resume();
  ASSERT_EQ(waiting.wait_for(10s), std::future_status::ready);
  const auto late = waiting.get();
  ASSERT_TRUE(late) << late.error().text;
  EXPECT_EQ(late->text, "late");
  EXPECT_TRUE(redis.heals());
  EXPECT_EQ(redis.generation(), 1U);
}

TEST(RedisFaults, IdleConnectionThatDiedIsNoticed) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  ASSERT_TRUE(redis.wait_connected());
  server.process().pause();
  EXPECT_TRUE(eventually([&] { return redis.down == 1; })) << "no command was needed to see it";
  server.process().resume();
  EXPECT_TRUE(redis.heals());
}

TEST(RedisFaults, EveryRestartIsANewGeneration) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  for (std::uint64_t generation = 1; generation <= 4; ++generation) {
    ASSERT_TRUE(eventually([&] { return redis.up == generation; })) << generation;
    ASSERT_TRUE(redis.heals());
    server.kill();
    ASSERT_TRUE(eventually([&] { return redis.down == generation; })) << generation;
    server.start();
  }
  EXPECT_TRUE(redis.heals());
}

TEST(RedisFaults, ConnectionClosedByTheServerIsReplacedAtOnce) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  ASSERT_TRUE(redis.wait_connected());
  // Young connections are treated with suspicion; let this one grow up.
  const auto old_enough = steady_clock::now() + 1100ms;
  ASSERT_TRUE(eventually([&] { return steady_clock::now() > old_enough; }));
  server.cli({"CLIENT", "KILL", "TYPE", "normal"});
  ASSERT_TRUE(eventually([&] { return redis.up == 2; }));
  EXPECT_EQ(redis.counted.metrics.breaker_opened_total.Value(), 0);
  EXPECT_TRUE(redis.command({"PING"}));
}

TEST(RedisFaults, ServerStillLoadingIsNotUp) {
  // Microseconds per key, so that loading takes about a second.
  RedisServer server({.arguments = {"--key-load-delay", "50", "--rdbcompression", "no",
                                    "--loading-process-events-interval-bytes", "100000"}});
  server.cli({"DEBUG", "POPULATE", "20000", "k", "500"});
  ASSERT_EQ(server.cli({"SAVE"}), "OK");
  server.kill();
  server.start();
  TestClient redis(quick_options(server.port()));
  EXPECT_TRUE(eventually([&] {
    return redis.counted.log->text().find("PING refused: LOADING") != std::string::npos;
  })) << redis.counted.log->text();
  EXPECT_TRUE(redis.heals());
  EXPECT_EQ(redis.reply({"DBSIZE"}).integer, 20'000);
}

TEST(RedisFaults, DemotedMasterIsLeft) {
  RedisServer master;
  RedisServer other;
  TestClient redis(quick_options(master.port()));
  ASSERT_TRUE(redis.wait_connected());
  master.cli({"REPLICAOF", "127.0.0.1", std::to_string(other.port())});
  EXPECT_FALSE(redis.command({"SET", "k", "v"}));
  EXPECT_TRUE(eventually([&] { return redis.down >= 1; })) << "READONLY makes it look again";
  master.cli({"REPLICAOF", "NO", "ONE"});
  EXPECT_TRUE(eventually([&] { return redis.command({"SET", "k", "v"}).has_value(); }));
}

TEST(RedisFaults, ListenerThatStaysSilentFailsFast) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor silent(
      io, {boost::asio::ip::address_v4::loopback(), 0});  // the kernel accepts, nobody answers
  TestClient redis(quick_options(silent.local_endpoint().port()));
  const auto started = steady_clock::now();
  const auto refused = redis.command({"PING"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_LT(steady_clock::now() - started, 900ms) << "stall_after, before dial_timeout";
  EXPECT_EQ(redis.breaker(), BreakerState::kOpen);
  EXPECT_TRUE(eventually([&] { return redis.counted.metrics.connect_errors_total.Value() >= 1; }));
}

}  // namespace
}  // namespace nb::redis
