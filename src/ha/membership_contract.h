// What every Membership does, whatever keeps it. Short TTLs: some adapters live in real time.
#pragma once

#include "ha/contract_rig.h"

namespace nb::ha {

template <class Rig>
class MembershipContract : public testing::Test {
 protected:
  using Ms = std::chrono::milliseconds;
  std::unique_ptr<Membership> start(const std::string& id, const std::string& boot,
                                    Ms ttl = Ms(30'000)) {
    return rig.membership(
        id, boot, {.service = "signal", .ttl = ttl, .interval = ttl / 3, .metadata = "v1 " + id});
  }
  Beat beat(Membership& member) {
    const auto result = rig.get(member.beat());
    EXPECT_TRUE(result);
    return *result;
  }
  bool alive(Membership& by, const std::string& id) {
    bool answer = false;
    rig.on_home([&] { answer = by.alive(InstanceId{id}); });
    return answer;
  }
  Rig rig;
};
TYPED_TEST_SUITE_P(MembershipContract);

TYPED_TEST_P(MembershipContract, InstancesSeeEachOtherWithMetadata) {
  const auto a = this->start("a", "1"), b = this->start("b", "2");
  this->beat(*a);
  EXPECT_FALSE(this->alive(*a, "b"));
  EXPECT_TRUE(this->alive(*a, "a"));
  this->beat(*b);
  this->beat(*a);
  EXPECT_TRUE(this->alive(*a, "b"));
  const auto members = a->members();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[1].id, InstanceId{"b"});
  EXPECT_EQ(members[1].incarnation, Incarnation{"2"});
  EXPECT_EQ(members[1].metadata, "v1 b");
  EXPECT_TRUE(a->fresh());
}

TYPED_TEST_P(MembershipContract, LeavingIsKnownWithTheNextBeat) {
  const auto a = this->start("a", "1"), b = this->start("b", "2");
  this->beat(*b);
  this->beat(*a);
  EXPECT_TRUE(this->rig.get(b->leave()));
  this->beat(*a);
  EXPECT_FALSE(this->alive(*a, "b"));
}

TYPED_TEST_P(MembershipContract, LeavingSparesASuccessorWithTheSameId) {
  const auto a = this->start("a", "1"), old = this->start("b", "2"), now = this->start("b", "3");
  this->beat(*old);
  this->beat(*now);
  EXPECT_TRUE(this->rig.get(old->leave()));
  this->beat(*a);
  EXPECT_TRUE(this->alive(*a, "b"));
  EXPECT_FALSE(a->alive(Claim{InstanceId{"b"}, Incarnation{"2"}, 1}));
  EXPECT_TRUE(a->alive(Claim{InstanceId{"b"}, Incarnation{"3"}, 1}));
}

TYPED_TEST_P(MembershipContract, SilentInstanceDies) {
  const auto a = this->start("a", "1"), b = this->start("b", "2", std::chrono::milliseconds(300));
  this->beat(*b);
  this->beat(*a);
  EXPECT_TRUE(this->alive(*a, "b"));
  EXPECT_TRUE(this->rig.eventually([&] { return !this->alive(*a, "b"); }));
}

TYPED_TEST_P(MembershipContract, FlushIsNoticedAndKillsNobody) {
  const auto a = this->start("a", "1"), b = this->start("b", "2");
  this->beat(*b);
  EXPECT_FALSE(this->beat(*a).store_lost);
  EXPECT_FALSE(this->beat(*a).store_lost);
  this->rig.flush();
  EXPECT_TRUE(this->beat(*a).store_lost);
  EXPECT_TRUE(this->alive(*a, "b"));
  this->beat(*b);
  EXPECT_FALSE(this->beat(*a).store_lost);
  EXPECT_TRUE(this->alive(*a, "b"));
}

TYPED_TEST_P(MembershipContract, SecondWithTheSameIdYieldsAndTakesOverLater) {
  const std::chrono::milliseconds ttl(300);
  const auto first = this->start("a", "1", ttl), second = this->start("a", "2", ttl);
  this->beat(*first);
  EXPECT_TRUE(this->rig.eventually([&] {
    this->beat(*second);
    EXPECT_FALSE(first->duplicate());
    this->beat(*first);
    return second->duplicate();
  }));
  EXPECT_FALSE(first->duplicate());
  EXPECT_TRUE(this->rig.eventually([&] {  // the first is silent from now on
    this->beat(*second);
    return !second->duplicate();
  }));
}

REGISTER_TYPED_TEST_SUITE_P(MembershipContract, InstancesSeeEachOtherWithMetadata,
                            LeavingIsKnownWithTheNextBeat, LeavingSparesASuccessorWithTheSameId,
                            SilentInstanceDies, FlushIsNoticedAndKillsNobody,
                            SecondWithTheSameIdYieldsAndTakesOverLater);

}  // namespace nb::ha
