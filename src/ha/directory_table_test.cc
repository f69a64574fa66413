#include "ha/directory_table.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {

const PeerKey kPeer{"peer"};

Claim of(const std::string& instance, std::uint64_t seq, const std::string& boot = "b1") {
  return {InstanceId{instance}, Incarnation{boot}, seq};
}

TEST(DirectoryTable, ClaimSetsBareInstanceAndToken) {
  DirectoryTable table;
  const Claimed first = table.claim(kPeer, of("a", 7));
  EXPECT_FALSE(first.previous);
  EXPECT_EQ(table.registry["peer"], "a");
  EXPECT_EQ(table.epochs["peer"], "a/b1/7");
}

TEST(DirectoryTable, NewerClaimIsGreaterEvenWithAClockThatLags) {
  DirectoryTable table;
  table.claim(kPeer, of("a", 1000));
  const Claimed second = table.claim(kPeer, of("b", 3));
  EXPECT_EQ(second.claim.seq, 1001U);
  EXPECT_EQ(second.previous->claim, of("a", 1000));
}

TEST(DirectoryTable, TokenAtTheEndOfItsRangeDoesNotOverflow) {
  DirectoryTable table;
  table.registry["peer"] = "x";
  table.epochs["peer"] = "x/b/9007199254740991";
  const Claimed claimed = table.claim(kPeer, of("a", 5));
  EXPECT_EQ(claimed.claim.seq, 5U);
  EXPECT_EQ(table.epochs["peer"], "a/b1/5");
}

TEST(DirectoryTable, LateReleaseOfAMovedPeerDeletesNothing) {
  DirectoryTable table;
  const Claim old = table.claim(kPeer, of("a", 1)).claim;
  const Claim now = table.claim(kPeer, of("b", 2)).claim;
  EXPECT_FALSE(table.release(kPeer, old));
  EXPECT_EQ(table.find(kPeer)->claim, now);
  EXPECT_TRUE(table.release(kPeer, now));
  EXPECT_TRUE(table.registry.empty());
  EXPECT_TRUE(table.epochs.empty());
}

TEST(DirectoryTable, ReleaseWorksWhenAnOutsiderDeletedTheToken) {
  DirectoryTable table;
  const Claim claim = table.claim(kPeer, of("a", 1)).claim;
  table.epochs.clear();
  EXPECT_FALSE(table.release(kPeer, of("b", 9)));
  EXPECT_TRUE(table.release(kPeer, claim));
  EXPECT_EQ(table.count(), 0U);
}

TEST(DirectoryTable, ReassertHealsWhatOutsidersDo) {
  const Claim mine = of("a", 5);
  const auto after = [&](auto damage) {
    DirectoryTable table;
    table.claim(kPeer, mine);
    damage(table);
    const Kept kept = table.reassert(kPeer, mine).kept;
    EXPECT_EQ(table.find(kPeer)->claim, mine);
    return kept;
  };
  EXPECT_EQ(after([](DirectoryTable&) {}), Kept::kKept);
  EXPECT_EQ(after([](DirectoryTable& t) { t.registry.clear(); }), Kept::kRestored);
  EXPECT_EQ(after([](DirectoryTable& t) { t.epochs.clear(); }), Kept::kRestored);
  EXPECT_EQ(after([](DirectoryTable& t) { t = {}; }), Kept::kRestored);
  EXPECT_EQ(after([](DirectoryTable& t) { t.registry["peer"] = "stranger"; }), Kept::kRestored);
  EXPECT_EQ(after([](DirectoryTable& t) { t.epochs["peer"] = "garbage"; }), Kept::kRestored);
  EXPECT_EQ(
      after([](DirectoryTable& t) { t.claim(kPeer, of("a", 1)), t.epochs["peer"] = "b/b/4"; }),
      Kept::kRestored);
}

TEST(DirectoryTable, ReassertNeverStealsFromANewerClaim) {
  DirectoryTable table;
  const Claim old = table.claim(kPeer, of("a", 1)).claim;
  const Claim now = table.claim(kPeer, of("b", 2)).claim;
  const Reasserted lost = table.reassert(kPeer, old);
  EXPECT_EQ(lost.kept, Kept::kLost);
  EXPECT_EQ(lost.holder, (Holder{InstanceId{"b"}, now}));
  // Not even when an outsider deleted the newer one's field.
  table.registry.clear();
  EXPECT_EQ(table.reassert(kPeer, old).kept, Kept::kLost);
  EXPECT_EQ(table.reassert(kPeer, now).kept, Kept::kRestored);
}

TEST(DirectoryTable, NewerClaimWinsOverAnOlderOneThatWasRestoredFirst) {
  DirectoryTable table;
  const Claim old = table.claim(kPeer, of("a", 1)).claim;
  const Claim now = table.claim(kPeer, of("b", 2)).claim;
  table = {};
  EXPECT_EQ(table.reassert(kPeer, old).kept, Kept::kRestored);
  EXPECT_EQ(table.reassert(kPeer, now).kept, Kept::kRestored);
  EXPECT_EQ(table.reassert(kPeer, old).kept, Kept::kLost);
}

TEST(DirectoryTable, EqualSequencesDoNotFlip) {
  DirectoryTable table;
  EXPECT_EQ(table.reassert(kPeer, of("a", 5)).kept, Kept::kRestored);
  EXPECT_EQ(table.reassert(kPeer, of("b", 5)).kept, Kept::kLost);
  EXPECT_EQ(table.reassert(kPeer, of("a", 5)).kept, Kept::kKept);
}

TEST(DirectoryTable, FieldOfAStrangerIsLeftAloneUntilForgotten) {
  DirectoryTable table;
  table.registry["peer"] = "stranger";
  const Reasserted lost = table.reassert(kPeer, of("a", 5));
  EXPECT_EQ(lost.kept, Kept::kLost);
  EXPECT_EQ(lost.holder, (Holder{InstanceId{"stranger"}, std::nullopt}));
  EXPECT_TRUE(table.forget(kPeer, *lost.holder));
  EXPECT_EQ(table.reassert(kPeer, of("a", 5)).kept, Kept::kRestored);
}

TEST(DirectoryTable, ForgetDeletesOnlyWhatWasSeen) {
  DirectoryTable table;
  table.claim(kPeer, of("dead", 1));
  const Holder seen = *table.find(kPeer);
  table.claim(kPeer, of("b", 2));
  EXPECT_FALSE(table.forget(kPeer, seen));
  EXPECT_FALSE(table.forget(kPeer, {InstanceId{"b"}, std::nullopt}));
  EXPECT_TRUE(table.forget(kPeer, *table.find(kPeer)));
  EXPECT_FALSE(table.find(kPeer));
}

TEST(DirectoryTable, ScanPagesThroughEverything) {
  DirectoryTable table;
  for (int i = 0; i < 25; ++i) table.claim(PeerKey{"p" + std::to_string(i)}, of("a", 1));
  std::size_t seen = 0;
  std::string cursor;
  do {
    const DirectoryPage page = table.scan(cursor, 10);
    EXPECT_LE(page.entries.size(), 10U);
    seen += page.entries.size();
    cursor = page.next;
  } while (!cursor.empty());
  EXPECT_EQ(seen, 25U);
}

}  // namespace
}  // namespace nb::ha
