#include "base/rate_limit.h"

#include "base/backoff.h"

#include <gtest/gtest.h>

namespace nb {
namespace {
using namespace std::chrono_literals;

TEST(TokenBucket, BurstThenRate) {
  const Instant start{};
  TokenBucket bucket({.per_second = 10, .burst = 3}, start);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(start));
  EXPECT_FALSE(bucket.take(start));
  EXPECT_EQ(bucket.wait_for(start), 100ms);
  EXPECT_FALSE(bucket.take(start + 99ms));
  EXPECT_TRUE(bucket.take(start + 101ms));
  EXPECT_FALSE(bucket.take(start + 101ms));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(start + 1h));
  EXPECT_FALSE(bucket.take(start + 1h)) << "idle time adds no more than the burst";
}

TEST(TokenBucket, TimeThatGoesBackTakesNothing) {
  const Instant start{1h};
  TokenBucket bucket({.per_second = 1, .burst = 1}, start);
  EXPECT_TRUE(bucket.take(start));
  EXPECT_FALSE(bucket.take(start - 1min));
  EXPECT_TRUE(bucket.take(start + 1s));
}

TEST(KeyedRateLimit, KeysAreIndependentAndBounded) {
  KeyedRateLimit limit({.per_second = 1, .burst = 1}, 2);
  const Instant now{};
  EXPECT_TRUE(limit.take("a", now));
  EXPECT_FALSE(limit.take("a", now));
  EXPECT_TRUE(limit.take("b", now));
  EXPECT_TRUE(limit.take("c", now));
  EXPECT_EQ(limit.size(), 2U);
  EXPECT_TRUE(limit.take("a", now)) << "the oldest key was forgotten";
}

TEST(LruCache, TheLeastRecentlyUsedEntryGoes) {
  LruCache<std::string, int, TextHash> cache(2);
  cache.put("a", 1);
  cache.put("b", 2);
  EXPECT_EQ(*cache.find(std::string_view("a")), 1);
  cache.put("c", 3);
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_EQ(*cache.find("a"), 1);
  EXPECT_EQ(cache.evicted(), 1U);
  cache.put("a", 9);
  EXPECT_EQ(*cache.find("a"), 9);
  EXPECT_TRUE(cache.erase("a"));
  EXPECT_FALSE(cache.erase("a"));
  EXPECT_EQ(cache.size(), 1U);
}

TEST(Backoff, GrowsToItsBoundAndStartsAgain) {
  Backoff backoff({.first = 100ms, .most = 1s, .factor = 2, .jitter = 0.5}, 7);
  for (int i = 0; i < 50; ++i) {
    const auto step = std::min<std::chrono::nanoseconds>(100ms * (1 << std::min(i, 10)), 1s);
    const auto pause = backoff.next();
    EXPECT_GE(pause, step / 2);
    EXPECT_LE(pause, step * 3 / 2);
  }
  EXPECT_EQ(backoff.tries(), 50U);
  backoff.reset();
  EXPECT_LE(backoff.next(), 150ms);
}

TEST(Backoff, SameSeedSamePauses) {
  Backoff one({}, 42);
  Backoff two({}, 42);
  Backoff other({}, 43);
  bool differs = false;
  for (int i = 0; i < 10; ++i) {
    const auto pause = one.next();
    EXPECT_EQ(pause, two.next());
    differs |= pause != other.next();
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace nb
