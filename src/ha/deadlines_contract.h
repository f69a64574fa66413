// What every Deadlines does, whatever keeps it.
#pragma once

#include "ha/contract_rig.h"

#include <string>
#include <vector>

namespace nb::ha {

template <class Rig>
class DeadlinesContract : public testing::Test {
 protected:
  using Ms = std::chrono::milliseconds;
  Rig rig;
  std::unique_ptr<Deadlines> deadlines = rig.deadlines();
  DueMs now() { return due_ms(rig.clock().wall()); }
  std::size_t add(std::vector<Deadline> items, AddMode mode = AddMode::kReplace) {
    const auto added = rig.get(deadlines->add(std::move(items), mode));
    EXPECT_TRUE(added);
    return *added;
  }
  std::vector<DueItem> claim(std::size_t limit = 10, Ms lease = Ms(60'000)) {
    const auto claimed = rig.get(deadlines->claim_due(limit, lease));
    EXPECT_TRUE(claimed);
    return *claimed;
  }
};
TYPED_TEST_SUITE_P(DeadlinesContract);

TYPED_TEST_P(DeadlinesContract, DueItemsComeEarliestFirstToOneClaimer) {
  const DueMs now = this->now();
  EXPECT_EQ(this->add({{"c", now - 10}, {"a", now - 30}, {"b", now - 20}, {"later", now + 60'000}}),
            4U);
  const auto first = this->claim(2);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].id, "a");
  EXPECT_EQ(first[1].id, "b");
  EXPECT_EQ(this->claim().size(), 1U);
  EXPECT_TRUE(this->claim().empty());
  EXPECT_EQ(*this->rig.get(this->deadlines->count()), 4U);
  EXPECT_TRUE(*this->rig.get(this->deadlines->ack(first[0])));
  EXPECT_FALSE(*this->rig.get(this->deadlines->ack(first[0])));
  EXPECT_EQ(*this->rig.get(this->deadlines->count()), 3U);
}

TYPED_TEST_P(DeadlinesContract, ItemOfADeadClaimerIsReclaimed) {
  this->add({{"a", this->now() - 1}});
  const auto lost = this->claim(1, std::chrono::milliseconds(200));
  ASSERT_EQ(lost.size(), 1U);
  std::vector<DueItem> again;
  EXPECT_TRUE(this->rig.eventually([&] { return !(again = this->claim()).empty(); }));
  EXPECT_FALSE(*this->rig.get(this->deadlines->ack(lost[0])));
  EXPECT_TRUE(*this->rig.get(this->deadlines->ack(again[0])));
}

TYPED_TEST_P(DeadlinesContract, ItemAddedAgainSurvivesTheOldAck) {
  this->add({{"a", this->now() - 1}});
  const auto claimed = this->claim();
  const DueMs later = this->now() + 500'000;
  EXPECT_EQ(this->add({{"a", later}}), 0U);
  EXPECT_FALSE(*this->rig.get(this->deadlines->ack(claimed.at(0))));
  EXPECT_EQ(*this->rig.get(this->deadlines->next()), later);
}

TYPED_TEST_P(DeadlinesContract, RebuildMovesNothing) {
  EXPECT_EQ(this->add({{"a", 10}}, AddMode::kIfAbsent), 1U);
  EXPECT_EQ(this->add({{"a", 999}, {"b", 5}}, AddMode::kIfAbsent), 1U);
  EXPECT_EQ(*this->rig.get(this->deadlines->next()), 5);
  EXPECT_EQ(*this->rig.get(this->deadlines->remove({"b", "nothing"})), 1U);
  EXPECT_EQ(*this->rig.get(this->deadlines->next()), 10);
}

TYPED_TEST_P(DeadlinesContract, GivenBackItemIsDueAtOnce) {
  this->add({{"a", this->now() - 1}});
  const auto claimed = this->claim();
  EXPECT_TRUE(*this->rig.get(this->deadlines->give_back(claimed.at(0))));
  EXPECT_TRUE(this->rig.eventually([&] { return this->claim().size() == 1; }));
}

TYPED_TEST_P(DeadlinesContract, EmptyHasNoNextAndThousandsFit) {
  EXPECT_FALSE(*this->rig.get(this->deadlines->next()));
  std::vector<Deadline> many;
  std::vector<std::string> ids;
  for (int i = 0; i < 2500; ++i) {
    many.push_back({"id" + std::to_string(i), 1});
    ids.push_back(many.back().id);
  }
  EXPECT_EQ(this->add(many), 2500U);
  EXPECT_EQ(this->claim(1000).size(), 1000U);
  EXPECT_EQ(*this->rig.get(this->deadlines->remove(ids)), 2500U);
  EXPECT_FALSE(this->rig.get(this->deadlines->add({{"", 1}}, AddMode::kReplace)));
  EXPECT_FALSE(this->rig.get(this->deadlines->claim_due(0, std::chrono::milliseconds(1))));
}

REGISTER_TYPED_TEST_SUITE_P(DeadlinesContract, DueItemsComeEarliestFirstToOneClaimer,
                            ItemOfADeadClaimerIsReclaimed, ItemAddedAgainSurvivesTheOldAck,
                            RebuildMovesNothing, GivenBackItemIsDueAtOnce,
                            EmptyHasNoNextAndThousandsFit);

}  // namespace nb::ha
