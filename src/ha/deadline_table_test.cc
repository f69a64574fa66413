#include "ha/deadline_table.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {
using namespace std::chrono_literals;

TEST(DeadlineTable, DueItemsComeEarliestFirstAndOnce) {
  DeadlineTable table;
  table.add({{"c", 30}, {"a", 10}, {"b", 20}, {"later", 99}}, AddMode::kReplace);
  const auto first = table.claim_due(2, 50ms, 40);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].id, "a");
  EXPECT_EQ(first[1].id, "b");
  EXPECT_EQ(table.claim_due(10, 50ms, 40).size(), 1U);
  EXPECT_TRUE(table.claim_due(10, 50ms, 40).empty());
}

TEST(DeadlineTable, UnacknowledgedItemIsDueAgainAfterTheLease) {
  DeadlineTable table;
  table.add({{"a", 10}}, AddMode::kReplace);
  const auto lost = table.claim_due(1, 50ms, 10);
  EXPECT_TRUE(table.claim_due(1, 50ms, 59).empty());
  const auto again = table.claim_due(1, 50ms, 60);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_FALSE(table.ack(lost[0]));
  EXPECT_TRUE(table.ack(again[0]));
  EXPECT_EQ(table.count(), 0U);
}

TEST(DeadlineTable, ItemAddedAgainSurvivesTheOldAck) {
  DeadlineTable table;
  table.add({{"a", 10}}, AddMode::kReplace);
  const auto claimed = table.claim_due(1, 50ms, 10);
  table.add({{"a", 500}}, AddMode::kReplace);
  EXPECT_FALSE(table.ack(claimed[0]));
  EXPECT_FALSE(table.give_back(claimed[0], 10));
  EXPECT_EQ(table.next(), 500);
}

TEST(DeadlineTable, RebuildMovesNothing) {
  DeadlineTable table;
  EXPECT_EQ(table.add({{"a", 10}}, AddMode::kIfAbsent), 1U);
  EXPECT_EQ(table.add({{"a", 999}, {"b", 5}}, AddMode::kIfAbsent), 1U);
  EXPECT_EQ(table.due["a"], 10);
}

TEST(DeadlineTable, GivenBackItemIsDueNow) {
  DeadlineTable table;
  table.add({{"a", 10}}, AddMode::kReplace);
  const auto claimed = table.claim_due(1, 50ms, 10);
  EXPECT_TRUE(table.give_back(claimed[0], 12));
  EXPECT_EQ(table.claim_due(1, 50ms, 12).size(), 1U);
}

TEST(DeadlineTable, ShapesAreChecked) {
  EXPECT_TRUE(check({{"a", 0}}));
  EXPECT_FALSE(check({{"", 0}}));
  EXPECT_FALSE(check({{std::string(257, 'x'), 0}}));
  EXPECT_FALSE(check({{"a", -1}}));
  EXPECT_FALSE(check_claim(0, 1s));
  EXPECT_FALSE(check_claim(1, 0ms));
}

}  // namespace
}  // namespace nb::ha
