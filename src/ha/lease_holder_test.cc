#include "ha/lease_holder.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {
using namespace std::chrono_literals;

const Instant kStart{1000h};
const WallTime kWall{1'700'000'000s};

TEST(LeaseTable, OneHolderUntilExpiry) {
  LeaseTable table;
  EXPECT_TRUE(table.take("r", "a", 10s, kStart, kWall).granted);
  const LeaseReply refused = table.take("r", "b", 10s, kStart + 4s, kWall);
  EXPECT_FALSE(refused.granted);
  EXPECT_EQ(refused.remaining, 6s);
  EXPECT_TRUE(table.take("r", "b", 10s, kStart + 10s, kWall).granted);
}

TEST(LeaseTable, FenceGrowsWithEachHolderAndOverDataLoss) {
  LeaseTable table;
  const auto first = table.take("r", "a", 1s, kStart, kWall).fence;
  const auto second = table.take("r", "b", 1s, kStart + 2s, kWall).fence;  // a clock that stands
  EXPECT_GT(second, first);
  table = {};
  EXPECT_GT(table.take("r", "c", 1s, kStart + 3s, kWall + 3s).fence, second);
}

TEST(LeaseTable, OnlyTheHolderRenewsAndReleases) {
  LeaseTable table;
  ASSERT_TRUE(table.take("r", "a", 10s, kStart, kWall).granted);
  EXPECT_FALSE(table.renew("r", "b", 10s, kStart + 1s));
  EXPECT_FALSE(table.release("r", "b", kStart + 1s));
  EXPECT_TRUE(table.renew("r", "a", 10s, kStart + 9s));
  EXPECT_FALSE(table.take("r", "b", 10s, kStart + 18s, kWall).granted);
  EXPECT_TRUE(table.release("r", "a", kStart + 18s));
  EXPECT_TRUE(table.take("r", "b", 10s, kStart + 18s, kWall).granted);
}

TEST(LeaseTable, KeyThatVanishedIsNotRenewed) {
  LeaseTable table;
  ASSERT_TRUE(table.take("r", "a", 10s, kStart, kWall).granted);
  table.locks.clear();
  EXPECT_FALSE(table.renew("r", "a", 10s, kStart + 1s));
}

TEST(LeaseHolder, EndsBeforeTheStoresExpiry) {
  LeaseHolder holder(10s, kStart);
  EXPECT_TRUE(holder.held(kStart + 9s));
  EXPECT_FALSE(holder.held(kStart + 9900ms));
  EXPECT_EQ(holder.renew_at(), kStart + 10'000ms / 3);
}

TEST(LeaseHolder, RenewalCountsFromItsAsking) {
  LeaseHolder holder(10s, kStart);
  holder.renewed(kStart + 3s);
  EXPECT_TRUE(holder.held(kStart + 12s));
  EXPECT_FALSE(holder.held(kStart + 13s));
}

TEST(LeaseHolder, SilenceIsRetriedSoonerUntilTheEnd) {
  LeaseHolder holder(10s, kStart);
  holder.unanswered(kStart + 4s);
  EXPECT_EQ(holder.renew_at(), kStart + 5s);
  holder.unanswered(kStart + 9700ms);
  EXPECT_EQ(holder.renew_at(), holder.until());
}

TEST(LeaseHolder, GoneIsNotHeld) {
  LeaseHolder holder(10s, kStart);
  holder.gone();
  EXPECT_FALSE(holder.held(kStart));
}

TEST(LeaseBackoff, GrowsAndStaysBoundedAndNeverSleepsThroughTheExpiry) {
  for (std::uint64_t random : {0ULL, 7ULL, 12345678901ULL}) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      const auto pause = lease_backoff(attempt, 60s, random);
      EXPECT_GE(pause, 5ms);
      EXPECT_LE(pause, 750ms);
      EXPECT_LE(lease_backoff(attempt, 3ms, random), 503ms);
    }
  }
}

TEST(LeaseShape, ResourceAndTimesAreChecked) {
  EXPECT_TRUE(check(Resource{"account:x_1.y-Z"}, {}));
  EXPECT_FALSE(check(Resource{""}, {}));
  EXPECT_FALSE(check(Resource{"a b"}, {}));
  EXPECT_FALSE(check(Resource{std::string(129, 'a')}, {}));
  EXPECT_FALSE(check(Resource{"a"}, {.ttl = 99ms}));
  EXPECT_FALSE(check(Resource{"a"}, {.ttl = 11min}));
  EXPECT_FALSE(check(Resource{"a"}, {.wait = -1ms}));
}

}  // namespace
}  // namespace nb::ha
