#include "ha/redis/rate_limiter.h"

#include "ha/redis/contract_rig.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {

// Slow enough that no token comes back while a test runs.
constexpr RateLimit kTwo{.per_second = 0.001, .burst = 2};

class RedisRateLimiterTest : public testing::Test {
 protected:
  RedisRateLimiterTest() : a(std::in_place, loop, options()), b(std::in_place, loop, options()) {}
  redis::Options options() {
    redis::Options out;
    out.address = {"127.0.0.1", server.port()};
    return out;
  }
  bool take(RedisRateLimiter& limiter, const std::string& key) {
    return loop.await([&] { return limiter.take(key, kTwo); });
  }

  test::RedisServer server;
  test::HomeLoop loop;
  SystemClock clock;
  std::optional<RedisSide> a;
  std::optional<RedisSide> b;
  RedisRateLimiter first{loop.executor(), a->client, "nb:test:limit:", clock};
  RedisRateLimiter second{loop.executor(), b->client, "nb:test:limit:", clock};
};

TEST_F(RedisRateLimiterTest, InstancesShareABudget) {
  EXPECT_TRUE(take(first, "k"));
  EXPECT_TRUE(take(second, "k"));
  EXPECT_FALSE(take(first, "k"));
  EXPECT_FALSE(take(second, "k"));
  EXPECT_TRUE(take(first, "other"));
}

TEST_F(RedisRateLimiterTest, WithoutRedisEachInstanceLimitsByItself) {
  EXPECT_TRUE(take(first, "k"));
  server.kill();
  // Each starts anew with a full bucket of its own, and both end at their limit.
  for (RedisRateLimiter* one : {&first, &second}) {
    EXPECT_TRUE(take(*one, "k"));
    EXPECT_TRUE(take(*one, "k"));
    EXPECT_FALSE(take(*one, "k"));
  }
}

}  // namespace
}  // namespace nb::ha
