#include "redis/breaker.h"

#include <gtest/gtest.h>

namespace nb::redis {
namespace {
using namespace std::chrono_literals;

constexpr Instant kStart{1h};

TEST(Breaker, StartsClosed) {
  const Breaker breaker({});
  EXPECT_TRUE(breaker.allows());
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
}

TEST(Breaker, OneFailureOpensAndTheProbeIsDueAfterThePause) {
  Breaker breaker({.backoff_min = 100ms, .backoff_max = 1s});
  breaker.on_failure(kStart, 0.0);
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker.allows());
  EXPECT_EQ(breaker.probe_at(), kStart + 50ms);
  EXPECT_FALSE(breaker.try_probe(kStart + 49ms));
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
  EXPECT_TRUE(breaker.try_probe(kStart + 50ms));
  EXPECT_EQ(breaker.state(), BreakerState::kHalfOpen);
  EXPECT_FALSE(breaker.allows());
  EXPECT_FALSE(breaker.try_probe(kStart + 50ms)) << "one probe at a time";
}

TEST(Breaker, SuccessfulProbeCloses) {
  Breaker breaker({});
  breaker.on_failure(kStart, 0.5);
  ASSERT_TRUE(breaker.try_probe(kStart + 1s));
  breaker.on_success(kStart + 1s);
  EXPECT_TRUE(breaker.allows());
}

TEST(Breaker, PausesDoubleUpToTheMaximumAndJitterStaysWithin) {
  Breaker breaker({.backoff_min = 50ms, .backoff_max = 1s});
  const std::chrono::milliseconds expected[] = {50ms, 100ms, 200ms, 400ms, 800ms, 1s, 1s, 1s};
  Instant now = kStart;
  for (const auto pause : expected) {
    breaker.on_failure(now, 0.999);
    EXPECT_LE(breaker.probe_at() - now, pause);
    EXPECT_GT(breaker.probe_at() - now, pause * 99 / 100);
    now = breaker.probe_at();
    ASSERT_TRUE(breaker.try_probe(now));
  }
  for (int i = 0; i < 100; ++i) breaker.on_failure(now, 0.0);
  EXPECT_EQ(breaker.probe_at() - now, 500ms) << "no overflow after many failures";
}

TEST(Breaker, ConnectionThatLivedResetsThePauseAndAShortOneDoesNot) {
  Breaker breaker({.backoff_min = 50ms, .backoff_max = 1s, .stable_after = 1s});
  for (int i = 0; i < 4; ++i) breaker.on_failure(kStart, 0.999);
  breaker.on_success(kStart);
  breaker.on_failure(kStart + 999ms, 0.999);
  EXPECT_GT(breaker.probe_at() - (kStart + 999ms), 700ms);
  breaker.on_success(kStart + 2s);
  breaker.on_failure(kStart + 3s, 0.999);
  EXPECT_LE(breaker.probe_at() - (kStart + 3s), 50ms);
}

TEST(Breaker, StallRefusesUntilAnAnswerComes) {
  Breaker breaker({});
  breaker.on_stall();
  EXPECT_FALSE(breaker.allows());
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker.try_probe(kStart)) << "the outstanding commands are the probe";
  breaker.on_answer();
  EXPECT_TRUE(breaker.allows());
}

TEST(Breaker, AnswerDoesNotCloseWhatAFailureOpened) {
  Breaker breaker({});
  breaker.on_stall();
  breaker.on_failure(kStart, 0.5);
  breaker.on_answer();
  breaker.on_stall();
  breaker.on_answer();
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
}

}  // namespace
}  // namespace nb::redis
