// redis::Client against a real server: order, sizes, scripts, limits.
#include "base/task_group.h"
#include "integration/redis_harness.h"
#include "support/servers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <vector>

namespace nb::redis {
namespace {
using namespace std::chrono_literals;
using test::RedisServer;

TEST(RedisClient, CallsBeforeTheFirstConnectionWaitForIt) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  const auto pong = redis.command({"PING"});  // at once, nothing is connected yet
  ASSERT_TRUE(pong) << pong.error().text;
  EXPECT_EQ(pong->text, "PONG");
  EXPECT_EQ(redis.up, 1U);
  EXPECT_EQ(redis.counted.metrics.up.Value(), 1);
  EXPECT_EQ(redis.counted.metrics.reconnects_total.Value(), 0);
}

TEST(RedisClient, RepliesOfManyCallsComeToTheirCallers) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  ASSERT_TRUE(redis.wait_connected());
  std::vector<std::future<Result<Reply>>> answers;
  for (int i = 0; i < 5'000; ++i)
    answers.push_back(redis.command_later({"ECHO", std::to_string(i)}));
  for (int i = 0; i < 5'000; ++i) {
    const auto echo = answers[static_cast<std::size_t>(i)].get();
    ASSERT_TRUE(echo) << echo.error().text;
    ASSERT_EQ(echo->text, std::to_string(i));
  }
}

TEST(RedisClient, OneTurnOfTheLoopLeavesInOneWriteAndIsRunInOrder) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  ASSERT_TRUE(redis.wait_connected());
  std::vector<std::int64_t> seen;
  redis.loop.run([&] {
    for (int i = 0; i < 1'000; ++i) {
      Batch batch;
      batch.add("INCR", "counter");
      redis.client->start_batch(std::move(batch), [&](Result<Client::Replies> replies) {
        seen.push_back(replies ? replies->front().integer : -1);
      });
    }
  });
  ASSERT_TRUE(
      test::eventually([&] { return redis.loop.run([&] { return seen.size() == 1'000; }); }));
  for (std::size_t i = 0; i < seen.size(); ++i)
    ASSERT_EQ(seen[i], static_cast<std::int64_t>(i) + 1);
  // 1,000 commands, a greeting and perhaps some probes: far fewer reads on the server's side.
  const std::string info = server.cli({"INFO", "stats"});
  const auto at = info.find("total_reads_processed:");
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(std::stoi(info.substr(at + 22)), 50);
}

TEST(RedisClient, RepliesOfEveryType) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  Batch batch;
  batch.add("SET", "k", std::string("\0\r\n\xff", 4))
      .add("GET", "k")
      .add("GET", "absent")
      .add("INCRBY", "n", -7)
      .add("LPUSH", "k", "x")
      .add("EVAL", "return {1, {'a', {}}, false}", 0)
      .add("MULTI")
      .add("INCR", "n")
      .add("EXEC");
  const auto replies = redis.batch(std::move(batch));
  ASSERT_TRUE(replies) << replies.error().text;
  ASSERT_EQ(replies->size(), 9U);
  EXPECT_EQ((*replies)[0].text, "OK");
  EXPECT_EQ((*replies)[1].text, std::string("\0\r\n\xff", 4));
  EXPECT_TRUE((*replies)[2].is_nil());
  EXPECT_EQ((*replies)[3].integer, -7);
  EXPECT_EQ((*replies)[4].error_word(), "WRONGTYPE");
  ASSERT_EQ((*replies)[5].items.size(), 3U);
  EXPECT_EQ((*replies)[5].items[0].integer, 1);
  EXPECT_EQ((*replies)[5].items[1].items[0].text, "a");
  EXPECT_EQ((*replies)[5].items[1].items[1].type, Reply::Type::kArray);
  EXPECT_TRUE((*replies)[5].items[2].is_nil());
  ASSERT_EQ((*replies)[8].items.size(), 1U);
  EXPECT_EQ((*replies)[8].items[0].integer, -6);
}

TEST(RedisClient, ErrorReplyOfASingleCommandIsAnErrorWithoutItsArguments) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  const auto wrong = redis.command({"NOSUCHCOMMAND", "hunter2"});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::kInternal);
  EXPECT_EQ(wrong.error().text.find("hunter2"), std::string::npos) << wrong.error().text;
  EXPECT_EQ(redis.counted.metrics.commands_error_total.Value(), 1);
  EXPECT_TRUE(redis.connected()) << "an error reply is no reason to part";
}

TEST(RedisClient, BigValuesAndBigReplies) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  const std::string big(8 * 1024 * 1024, 'x');
  ASSERT_TRUE(redis.command({"SET", "big", big}));
  const auto got = redis.command({"GET", "big"});
  ASSERT_TRUE(got) << got.error().text;
  EXPECT_TRUE(got->text == big);
  Batch fill;
  for (int i = 0; i < 50'000; ++i) fill.add("HSET", "hash", std::to_string(i), "value");
  ASSERT_TRUE(redis.batch(std::move(fill)));
  const auto all = redis.command({"HGETALL", "hash"});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->items.size(), 100'000U);
}

TEST(RedisClient, ReplyBeyondTheLimitEndsTheConnectionAndServiceReturns) {
  RedisServer server;
  Options options = quick_options(server.port());
  options.reply_bytes_max = 100'000;
  TestClient redis(options);
  ASSERT_TRUE(redis.command({"SET", "big", std::string(200'000, 'x')}));
  const auto got = redis.command({"GET", "big"});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kUnavailable);
  EXPECT_NE(got.error().text.find("100000 bytes"), std::string::npos) << got.error().text;
  EXPECT_TRUE(redis.heals());
}

TEST(RedisClient, TooManyPendingAreRefusedAndTheRestIsServed) {
  RedisServer server;
  Options options = quick_options(server.port());
  options.pending_commands_max = 10;
  options.pending_bytes_max = 1'000;
  TestClient redis(options);
  ASSERT_TRUE(redis.wait_connected());
  Batch many;
  for (int i = 0; i < 11; ++i) many.add("PING");
  EXPECT_EQ(redis.batch(many).error().code, Code::kResourceExhausted);
  EXPECT_EQ(redis.command({"ECHO", std::string(1'000, 'x')}).error().code,
            Code::kResourceExhausted);
  EXPECT_TRUE(redis.command({"PING"}));
  EXPECT_EQ(redis.counted.metrics.commands_refused_total.Value(), 12);
}

TEST(RedisClient, ScriptsAreSentOnceAndAgainWhenTheServerForgotThem) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  const auto eval = [&]() -> std::int64_t {
    const auto sum = redis.loop.await([&] { return redis.client->eval(script, {"n"}, {"2"}); });
    EXPECT_TRUE(sum) << sum.error().text;
    return sum ? sum->integer : 0;
  };
  EXPECT_EQ(eval(), 2);
  EXPECT_EQ(eval(), 4);
  EXPECT_EQ(server.cli({"SCRIPT", "EXISTS", script.sha1()}), "1");
  server.cli({"SCRIPT", "FLUSH"});
  EXPECT_EQ(eval(), 6);
}

TEST(RedisClient, ScriptsInABatchKeepTheirPlaces) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  const Script get("return redis.call('GET', KEYS[1])");
  const Script twice("return ARGV[1] .. ARGV[1]");
  Batch batch;
  batch.add("SET", "a", "1").eval(get, {"a"}, {}).add("GET", "a");
  for (int i = 0; i < 100; ++i) batch.eval(twice, {}, {std::to_string(i)});
  const auto replies = redis.batch(std::move(batch));
  ASSERT_TRUE(replies) << replies.error().text;
  ASSERT_EQ(replies->size(), 103U);
  EXPECT_EQ((*replies)[1].text, "1");
  EXPECT_EQ((*replies)[2].text, "1");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ((*replies)[static_cast<std::size_t>(i) + 3].text,
              std::to_string(i) + std::to_string(i));
  }
}

struct Waiting {
  Waiting(boost::asio::any_io_executor home, Client& redis, std::atomic<bool>& flag)
      : group(std::move(home)), client(redis), ended(flag) {}
  boost::asio::awaitable<void> work() {
    const auto result = co_await client.command("ECHO", "x");
    ended = !result && result.error().code == Code::kCancelled;
  }
  TaskGroup group;
  Client& client;
  std::atomic<bool>& ended;
};

TEST(RedisClient, CancelledCallEndsAndTheOthersGoOn) {
  RedisServer server;
  TestClient redis(quick_options(server.port()));
  ASSERT_TRUE(redis.wait_connected());
  std::atomic<bool> ended{false};
  auto waiting = redis.loop.run(
      [&] { return std::make_unique<Waiting>(redis.loop.executor(), *redis.client, ended); });
  server.process().pause();
  redis.loop.run([&] { waiting->group.spawn(waiting->work()); });
  ASSERT_TRUE(test::eventually(
      [&] { return redis.loop.run([&] { return redis.client->pending() > 0; }); }));
  redis.loop.await([&] { return waiting->group.stop(); });
  EXPECT_TRUE(ended);
  server.process().resume();
  EXPECT_TRUE(redis.heals());
  redis.loop.run([&] { waiting.reset(); });
}

TEST(RedisClient, DestroyedWithoutStopEndsItsCalls) {
  RedisServer server;
  Counted counted;
  test::HomeLoop loop;
  auto client = std::make_unique<Client>(loop.executor(), quick_options(server.port()),
                                         counted.metrics, Logger());
  loop.run([&] { client->start(); });
  server.process().pause();
  auto answer = loop.start([&] { return client->command("PING"); });
  loop.run([&] { client.reset(); });
  ASSERT_EQ(answer.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(answer.get().error().code, Code::kCancelled);
  server.process().resume();
  EXPECT_EQ(counted.metrics.clients, 0);
  EXPECT_EQ(counted.metrics.pending_commands.Value(), 0);
}

}  // namespace
}  // namespace nb::redis
