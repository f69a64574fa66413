#include "ha/member_view.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {
using namespace std::chrono_literals;

const Instant kStart{1000h};

/// One instance over a table, with the answer at once.
struct Node {
  Node(std::string id, std::string boot)
      : view(InstanceId{std::move(id)}, Incarnation{std::move(boot)},
             {.ttl = 30s, .interval = 10s}) {}
  MemberView view;
  Beat beat(MemberTable& table, Instant at) {
    return view.on_reply(table.beat(view.request(), at), at, at);
  }
};

const InstanceId kA{"a"}, kB{"b"};

TEST(MemberView, SilentInstanceIsDeadOneTtlAfterItsLastBeat) {
  MemberTable table;
  Node a("a", "1"), b("b", "2");
  b.beat(table, kStart);
  a.beat(table, kStart + 5s);
  EXPECT_TRUE(a.view.alive(kB, kStart + 29s));
  EXPECT_FALSE(a.view.alive(kB, kStart + 30s));
  EXPECT_EQ(a.view.members(kStart + 6s).size(), 2U);
}

TEST(MemberView, LeavingIsKnownAtOnceAndSparesASuccessor) {
  MemberTable table;
  Node a("a", "1"), b("b", "2"), b2("b", "3");
  b.beat(table, kStart);
  a.beat(table, kStart);
  table.leave(kB, b.view.incarnation(), kStart + 1s);
  a.beat(table, kStart + 2s);
  EXPECT_FALSE(a.view.alive(kB, kStart + 2s));
  b2.beat(table, kStart + 3s);
  table.leave(kB, b.view.incarnation(), kStart + 4s);
  a.beat(table, kStart + 5s);
  EXPECT_TRUE(a.view.alive(kB, kStart + 5s));
}

TEST(MemberView, FlushIsNoticedAndKillsNobody) {
  MemberTable table;
  Node a("a", "1"), b("b", "2");
  b.beat(table, kStart);
  EXPECT_FALSE(a.beat(table, kStart).store_lost);
  EXPECT_FALSE(a.beat(table, kStart + 10s).store_lost);
  table = {};
  EXPECT_TRUE(a.beat(table, kStart + 20s).store_lost);
  EXPECT_TRUE(a.view.alive(kB, kStart + 20s));
  EXPECT_FALSE(a.beat(table, kStart + 21s).store_lost);
  a.beat(table, kStart + 40s);
  EXPECT_TRUE(a.view.alive(kB, kStart + 49s));
  a.beat(table, kStart + 51s);
  EXPECT_FALSE(a.view.alive(kB, kStart + 51s));  // it had its time to come back
}

TEST(MemberView, DeletedKeyOfAnotherDoesNotKillIt) {
  MemberTable table;
  Node a("a", "1"), b("b", "2");
  b.beat(table, kStart);
  a.beat(table, kStart);
  table.alive.erase("b");
  a.beat(table, kStart + 5s);
  EXPECT_TRUE(a.view.alive(kB, kStart + 5s));
  b.beat(table, kStart + 10s);
  table.listed.clear();
  a.beat(table, kStart + 15s);
  EXPECT_TRUE(a.view.alive(kB, kStart + 15s));
}

TEST(MemberView, TimeStandsStillWhileTheStoreIsAway) {
  MemberTable table;
  Node a("a", "1"), b("b", "2");
  b.beat(table, kStart);
  a.beat(table, kStart);
  EXPECT_FALSE(a.view.fresh(kStart + 31s));
  EXPECT_TRUE(a.view.alive(kB, kStart + 10min));
  // Back, and b not yet: one TTL to show itself.
  a.beat(table, kStart + 10min);
  EXPECT_TRUE(a.view.alive(kB, kStart + 10min));
  a.beat(table, kStart + 10min + 20s);
  a.beat(table, kStart + 10min + 31s);
  EXPECT_FALSE(a.view.alive(kB, kStart + 10min + 31s));
}

TEST(MemberView, RestartWithTheSameIdTakesOverAtOnce) {
  MemberTable table;
  Node old_one("a", "1"), new_one("a", "2"), b("b", "9");
  old_one.beat(table, kStart);
  const Claim old_claim{kA, Incarnation{"1"}, 1}, new_claim{kA, Incarnation{"2"}, 2};
  for (int i = 1; i < 10; ++i) {
    new_one.beat(table, kStart + i * 10s);
    b.beat(table, kStart + i * 10s);
    EXPECT_FALSE(new_one.view.duplicate());
    EXPECT_FALSE(b.view.alive(old_claim, kStart + i * 10s));
    EXPECT_TRUE(b.view.alive(new_claim, kStart + i * 10s));
  }
}

TEST(MemberView, ClaimOfAStartWeHaveNotSeenYetIsAlive) {
  MemberTable table;
  Node a("a", "1"), b("b", "9");
  a.beat(table, kStart);
  b.beat(table, kStart);
  EXPECT_TRUE(b.view.alive(Claim{kA, Incarnation{"2"}, 1}, kStart + 1s));
}

TEST(MemberView, OfTwoWithOneIdTheSecondYieldsWithinTwoTtls) {
  MemberTable table;
  Node first("a", "1"), second("a", "2");
  first.beat(table, kStart);
  for (int i = 0; i <= 6; ++i) {
    second.beat(table, kStart + 5s + i * 10s);
    first.beat(table, kStart + 10s + i * 10s);
  }
  EXPECT_TRUE(second.view.duplicate());
  EXPECT_FALSE(first.view.duplicate());
  EXPECT_EQ(table.alive["a"].nonce, "1");
}

TEST(MemberView, DuplicateTakesOverWhenTheFirstIsGone) {
  MemberTable table;
  Node first("a", "1"), second("a", "2");
  first.beat(table, kStart);
  Instant at = kStart;
  for (int i = 0; i < 6; ++i, at += 10s) {
    second.beat(table, at + 5s);
    first.beat(table, at + 10s);
  }
  ASSERT_TRUE(second.view.duplicate());
  for (int i = 0; i < 4; ++i, at += 10s) second.beat(table, at + 5s);
  EXPECT_FALSE(second.view.duplicate());
  second.beat(table, at + 5s);
  EXPECT_EQ(table.alive["a"].nonce, "2");
}

TEST(MemberView, ContestIsOverWhenTheSecondIsGone) {
  MemberTable table;
  Node first("a", "1"), second("a", "2");
  Instant at = kStart;
  for (int i = 0; i < 4; ++i, at += 10s) {
    first.beat(table, at);
    second.beat(table, at + 5s);
  }
  first.beat(table, at);
  EXPECT_TRUE(first.view.contested());
  for (int i = 1; i < 6; ++i) first.beat(table, at + i * 10s);
  EXPECT_FALSE(first.view.contested());
}

TEST(MemberTable, InstancesLongDeadAreForgotten) {
  MemberTable table;
  Node a("a", "1"), b("b", "2");
  b.beat(table, kStart);
  a.beat(table, kStart + 2h);
  EXPECT_EQ(table.listed.size(), 1U);
  EXPECT_EQ(table.metadata.size(), 1U);
}

}  // namespace
}  // namespace nb::ha
