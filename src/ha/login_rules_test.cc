#include "ha/login_rules.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kStart = 1'700'000'000'000;

struct Filter {
  LoginFilterConfig config;
  LoginTable table;
  LoginVerdict sync(std::int64_t at, std::uint64_t hash = 1) {
    return table.check_and_add(config, {"peer", hash}, at);
  }
  LoginVerdict login(std::int64_t at, std::uint64_t hash = 1) const {
    return table.check(config, {"peer", hash}, at);
  }
};

TEST(LoginRules, ThirtySyncsInFiveMinutesAreAllowedTheNextIsTheLast) {
  Filter filter;
  for (int i = 0; i < 31; ++i) EXPECT_TRUE(filter.sync(kStart + i).allowed()) << i;
  const LoginVerdict refused = filter.sync(kStart + 31);
  EXPECT_EQ(refused.kind, LoginVerdict::Kind::kBanned);
  EXPECT_EQ(refused.retry_after.count(), 10 * kMinute - 1);
  EXPECT_FALSE(filter.login(kStart + 31).allowed());
}

TEST(LoginRules, WindowSlides) {
  Filter filter;
  // 30 in each five minutes for an hour, evenly: never a ban.
  for (int i = 0; i < 360; ++i) ASSERT_TRUE(filter.sync(kStart + i * 10'000).allowed()) << i;
  // A burst later is caught although the peer is old (upstream's window never restarts).
  std::int64_t at = kStart + 360 * 10'000;
  int allowed = 0;
  while (filter.sync(at++).allowed()) ++allowed;
  EXPECT_LE(allowed, 2);
}

TEST(LoginRules, BanEndsToTheMillisecond) {
  Filter filter;
  for (int i = 0; i < 31; ++i) ASSERT_TRUE(filter.sync(kStart).allowed());
  EXPECT_FALSE(filter.sync(kStart + 10 * kMinute - 1).allowed());
  EXPECT_TRUE(filter.sync(kStart + 10 * kMinute).allowed());
}

std::int64_t ban_length(Filter& filter, std::int64_t from) {
  for (;;) {
    const LoginVerdict verdict = filter.sync(from);
    if (!verdict.allowed()) return verdict.retry_after.count();
  }
}

TEST(LoginRules, BansDoubleUpToTheirLimitAndCalmResets) {
  Filter filter;
  std::int64_t at = kStart;
  for (int level = 1; level <= 10; ++level) {
    const std::int64_t length = ban_length(filter, at);
    EXPECT_EQ(length, 10 * kMinute << (std::min(level, 8) - 1));
    at += length;
    // A long ban is no calm: the level stays, since it counts from the ban's end or last sync.
    ASSERT_TRUE(filter.sync(at).allowed());
  }
  at += 20 * kMinute + 1;
  EXPECT_EQ(ban_length(filter, at), 10 * kMinute);
}

TEST(LoginRules, FifthChangeWithinTheWindowIsRefusedTheCurrentStaysAllowed) {
  Filter filter;
  for (std::uint64_t hash = 1; hash <= 5; ++hash) {
    EXPECT_TRUE(filter.sync(kStart + 1, hash).allowed()) << hash;
  }
  EXPECT_EQ(filter.sync(kStart + 2, 6).kind, LoginVerdict::Kind::kMetaFlap);
  EXPECT_EQ(filter.login(kStart + 2, 6).retry_after.count(), 5 * kMinute - 1);
  EXPECT_TRUE(filter.sync(kStart + 3, 5).allowed());
  EXPECT_TRUE(filter.sync(kStart + 1 + 5 * kMinute, 6).allowed());
}

TEST(LoginRules, ChangedDescriptionStartsItsOwnCount) {
  Filter filter;
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(filter.sync(kStart, 1).allowed());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(filter.sync(kStart, 2).allowed());
}

TEST(LoginRules, TextSurvivesTheRoundTripAndGarbageIsNotParsed) {
  const LoginState state{0xfedcba9876543210, 5, 6, 2, 7, 3, {1, 2, 3}};
  EXPECT_EQ(encode(state), "1|fedcba9876543210|5|6|2|7|3|1,2,3");
  EXPECT_EQ(parse_login_state(encode(state)), state);
  EXPECT_EQ(parse_login_state(encode(LoginState{})), LoginState{});
  for (const char* text : {"", "{}", "2|0|0|0|0|0|0|", "1|0|0|0|0|0|0", "1|0|0|0|0|0|0|,",
                           "1|0|0|0|0|0|0|1,x", "1|g|0|0|0|0|0|", "1|0|0|0|0|0|0||"}) {
    EXPECT_FALSE(parse_login_state(text)) << text;
  }
}

TEST(LoginRules, TableForgetsPeersThatStayAway) {
  Filter filter;
  for (int i = 0; i < 1000; ++i) {
    filter.table.check_and_add(filter.config, {"old" + std::to_string(i), 1}, kStart);
  }
  for (int i = 0; i < 1000; ++i) {
    filter.table.check_and_add(filter.config, {"new" + std::to_string(i % 10), 1},
                               kStart + 30 * kMinute + i * kMinute);
  }
  EXPECT_LE(filter.table.states.size(), 20U);
}

}  // namespace
}  // namespace nb::ha
