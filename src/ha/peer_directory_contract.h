// What every PeerDirectory does, whatever keeps it.
#pragma once

#include "ha/contract_rig.h"

#include <map>
#include <string>
#include <vector>

namespace nb::ha {

template <class Rig>
class PeerDirectoryContract : public testing::Test {
 protected:
  static Claim of(const std::string& instance, std::uint64_t seq) {
    return {InstanceId{instance}, Incarnation{"b1"}, seq};
  }
  Claim claim(const std::string& instance, std::uint64_t seq = 1) {
    const auto claimed = rig.get(directory->claim(peer, of(instance, seq)));
    EXPECT_TRUE(claimed);
    return claimed->claim;
  }
  std::optional<Holder> find() {
    const auto found = rig.get(directory->find(peer));
    EXPECT_TRUE(found);
    return *found;
  }
  Reasserted reassert(const Claim& mine) {
    const auto all = rig.get(directory->reassert({{peer, mine}}));
    EXPECT_TRUE(all);
    return all->at(0);
  }
  Rig rig;
  std::unique_ptr<PeerDirectory> directory = rig.directory();
  const PeerKey peer{"peer/+=:*?[`\r\n {} \xff"};  // keys are bytes
};
TYPED_TEST_SUITE_P(PeerDirectoryContract);

TYPED_TEST_P(PeerDirectoryContract, ClaimOverwritesAndTellsWhomAndGrows) {
  EXPECT_FALSE(this->find());
  const Claim first = this->claim("a", 1000);
  EXPECT_EQ(first.seq, 1000U);
  EXPECT_EQ(this->rig.hget(this->peer.value()), "a");
  const auto second = this->rig.get(this->directory->claim(this->peer, this->of("b", 5)));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->claim.seq, 1001U);
  EXPECT_EQ(second->previous, (Holder{InstanceId{"a"}, first}));
  EXPECT_EQ(this->find(), (Holder{InstanceId{"b"}, second->claim}));
}

TYPED_TEST_P(PeerDirectoryContract, ReleaseDeletesOnlyItsOwn) {
  const Claim old = this->claim("a");
  const Claim now = this->claim("b");
  EXPECT_FALSE(*this->rig.get(this->directory->release(this->peer, old)));
  EXPECT_TRUE(this->find());
  EXPECT_TRUE(*this->rig.get(this->directory->release(this->peer, now)));
  EXPECT_FALSE(this->find());
  EXPECT_EQ(*this->rig.get(this->directory->count()), 0U);
}

TYPED_TEST_P(PeerDirectoryContract, WhatOutsidersDeleteOrOverwriteIsRestored) {
  const Claim mine = this->claim("a");
  EXPECT_EQ(this->reassert(mine).kept, Kept::kKept);
  const std::vector<std::function<void()>> damages = {
      [this] { this->rig.del_registry(); },
      [this] { this->rig.del_epochs(); },
      [this] { this->rig.hdel(this->peer.value()); },
      [this] { this->rig.hset(this->peer.value(), "stranger"); },
      [this] { this->rig.flush(); },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    damages[i]();
    EXPECT_EQ(this->reassert(mine).kept, Kept::kRestored) << i;
    EXPECT_EQ(this->find(), (Holder{InstanceId{"a"}, mine})) << i;
    EXPECT_EQ(this->reassert(mine).kept, Kept::kKept) << i;
  }
}

TYPED_TEST_P(PeerDirectoryContract, NewerClaimIsNeverStolen) {
  const Claim old = this->claim("a");
  const Claim now = this->claim("b");
  EXPECT_EQ(this->reassert(old).kept, Kept::kLost);
  EXPECT_EQ(this->reassert(old).holder, (Holder{InstanceId{"b"}, now}));
  this->rig.del_registry();
  EXPECT_EQ(this->reassert(old).kept, Kept::kLost);
  EXPECT_EQ(this->reassert(now).kept, Kept::kRestored);
  this->rig.flush();  // the older comes back first
  EXPECT_EQ(this->reassert(old).kept, Kept::kRestored);
  EXPECT_EQ(this->reassert(now).kept, Kept::kRestored);
  EXPECT_EQ(this->reassert(old).kept, Kept::kLost);
}

TYPED_TEST_P(PeerDirectoryContract, FieldOfAStrangerStaysUntilForgotten) {
  this->rig.hset(this->peer.value(), "stranger");
  EXPECT_EQ(this->find(), (Holder{InstanceId{"stranger"}, std::nullopt}));
  const Reasserted lost = this->reassert(this->of("a", 9));
  EXPECT_EQ(lost.kept, Kept::kLost);
  ASSERT_TRUE(lost.holder);
  EXPECT_FALSE(lost.holder->claim);
  EXPECT_TRUE(*this->rig.get(this->directory->forget(this->peer, *lost.holder)));
  EXPECT_EQ(this->reassert(this->of("a", 9)).kept, Kept::kRestored);
}

TYPED_TEST_P(PeerDirectoryContract, ForgetDeletesOnlyWhatWasSeen) {
  this->claim("dead");
  const Holder seen = *this->find();
  const Claim now = this->claim("b");
  EXPECT_FALSE(*this->rig.get(this->directory->forget(this->peer, seen)));
  EXPECT_EQ(this->find()->claim, now);
  EXPECT_TRUE(*this->rig.get(this->directory->forget(this->peer, *this->find())));
  EXPECT_FALSE(this->find());
}

TYPED_TEST_P(PeerDirectoryContract, ThousandsAreReassertedScannedForgottenAndReleased) {
  std::vector<PeerClaim> all;
  for (int i = 0; i < 2500; ++i)
    all.push_back({PeerKey{"p" + std::to_string(i)}, this->of("a", 5)});
  const auto restored = this->rig.get(this->directory->reassert(all));
  ASSERT_TRUE(restored);
  ASSERT_EQ(restored->size(), all.size());
  for (const auto& one : *restored) ASSERT_EQ(one.kept, Kept::kRestored);
  EXPECT_EQ(*this->rig.get(this->directory->count()), all.size());

  std::map<std::string, Holder> seen;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = this->rig.get(this->directory->scan(cursor, 200));
    ASSERT_TRUE(page);
    for (const auto& entry : page->entries) seen[entry.peer.value()] = entry.holder;
    cursor = page->next;
    ASSERT_LT(++pages, 1000);
  } while (!cursor.empty());
  EXPECT_GT(pages, 5);
  EXPECT_EQ(seen.size(), all.size());
  std::vector<PeerHolder> stale;
  for (int i = 0; i < 1500; ++i) {
    const std::string name = "p" + std::to_string(i);
    ASSERT_EQ(seen[name].claim, this->of("a", 5));
    stale.push_back({PeerKey{name}, seen[name]});
  }
  EXPECT_EQ(*this->rig.get(this->directory->forget_all(stale)), 1500U);
  EXPECT_EQ(*this->rig.get(this->directory->release_all(all)), 1000U);
  EXPECT_EQ(*this->rig.get(this->directory->count()), 0U);
}

REGISTER_TYPED_TEST_SUITE_P(PeerDirectoryContract, ClaimOverwritesAndTellsWhomAndGrows,
                            ReleaseDeletesOnlyItsOwn, WhatOutsidersDeleteOrOverwriteIsRestored,
                            NewerClaimIsNeverStolen, FieldOfAStrangerStaysUntilForgotten,
                            ForgetDeletesOnlyWhatWasSeen,
                            ThousandsAreReassertedScannedForgottenAndReleased);

}  // namespace nb::ha
