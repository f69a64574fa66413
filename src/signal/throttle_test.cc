#include "signal/throttle.h"

#include <gtest/gtest.h>

#include <string>

namespace nb::signal {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart = Instant{} + 1h;

TEST(FlapThrottle, SixthStreamWithinTheWindowWaits) {
  FlapThrottle throttle({});
  Instant now = kStart;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(throttle.delay("p", now), 0ms) << i;
    throttle.replaced("p", now);
    now += 1s;
  }
  EXPECT_EQ(throttle.delay("p", now), 5s);
  EXPECT_EQ(throttle.delay("q", now), 0ms);
}

TEST(FlapThrottle, SlowReconnectsNeverWait) {
  FlapThrottle throttle({});
  Instant now = kStart;
  for (int i = 0; i < 100; ++i, now += 3s) {
    EXPECT_EQ(throttle.delay("p", now), 0ms) << i;
    throttle.replaced("p", now);
  }
}

TEST(FlapThrottle, IsNoticedOncePerEpisode) {
  FlapThrottle throttle({});
  Instant now = kStart;
  throttle.replaced("p", now);
  EXPECT_TRUE(throttle.first_notice("p"));
  EXPECT_FALSE(throttle.first_notice("p"));
  now += 1min;
  throttle.replaced("p", now);
  EXPECT_TRUE(throttle.first_notice("p"));
}

TEST(FlapThrottle, ForgetsKeysThatStoppedFlapping) {
  FlapThrottle throttle({});
  for (int i = 0; i < 1'000; ++i) throttle.replaced("p" + std::to_string(i), kStart);
  throttle.replaced("q", kStart + 1min);
  EXPECT_EQ(throttle.size(), 1U);
}

TEST(FlapThrottle, MemoryIsBounded) {
  FlapThrottle throttle({});
  for (std::size_t i = 0; i < FlapThrottle::kKeysMax + 10; ++i)
    throttle.replaced(std::to_string(i), kStart);
  EXPECT_LE(throttle.size(), FlapThrottle::kKeysMax);
}

}  // namespace
}  // namespace nb::signal
