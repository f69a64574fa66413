#include "management/grpc/account_p95.h"

#include <gtest/gtest.h>

namespace nb::management::grpc {
namespace {

using namespace std::chrono_literals;

const Instant kStart = Instant{} + 1h;

TEST(AccountP95, OneValuePerAccountAndMinute) {
  FastHistogram out(kOtelBuckets);
  AccountP95 calls(out);
  for (int i = 1; i <= 100; ++i) calls.observe("a", i, kStart);
  calls.observe("b", 7, kStart);
  EXPECT_EQ(out.snapshot().count, 0U);
  calls.observe("b", 7, kStart + 60s);
  EXPECT_EQ(out.snapshot().count, 2U);
  EXPECT_DOUBLE_EQ(out.snapshot().sum, 95 + 7);
}

TEST(AccountP95, ForgetsCallsAfterFiveMinutes) {
  FastHistogram out(kOtelBuckets);
  AccountP95 calls(out);
  calls.observe("a", 1'000, kStart);
  calls.observe("b", 1, kStart + 299s);  // flushes "a"
  EXPECT_DOUBLE_EQ(out.snapshot().sum, 1'000);
  calls.observe("b", 1, kStart + 360s);  // only "b" is left
  EXPECT_DOUBLE_EQ(out.snapshot().sum, 1'001);
}

}  // namespace
}  // namespace nb::management::grpc
