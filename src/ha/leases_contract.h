// What every Leases does, whatever keeps it.
#pragma once

#include "ha/contract_rig.h"

#include <atomic>
#include <list>

namespace nb::ha {

template <class Rig>
class LeasesContract : public testing::Test {
 protected:
  using Ms = std::chrono::milliseconds;
  ~LeasesContract() override {
    rig.on_home([&] { kept.clear(); });
    rig.wait(a->stop());
    rig.wait(b->stop());
  }
  Result<Lease> acquire(Leases& by, AcquireOptions options = {}) {
    return rig.get(by.acquire(job, options));
  }
  bool held(const Lease& lease) {
    bool answer = false;
    rig.on_home([&] { answer = lease.held(); });
    return answer;
  }
  /// A lease must end on home.
  Lease& keep(Result<Lease> lease) {
    EXPECT_TRUE(lease) << lease.error().text;
    kept.push_back(std::move(*lease));
    return kept.back();
  }
  Rig rig;
  const Resource job{"job:1"};
  std::unique_ptr<StoreLeases> a = rig.leases(), b = rig.leases();
  std::list<Lease> kept;
};
TYPED_TEST_SUITE_P(LeasesContract);

TYPED_TEST_P(LeasesContract, OneHolderAndAReleasedLeaseIsFreeAtOnce) {
  Lease& first = this->keep(this->acquire(*this->a));
  EXPECT_TRUE(this->held(first));
  const auto refused = this->acquire(*this->b);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  const auto fence = first.fence();
  this->rig.wait(first.release());
  EXPECT_FALSE(this->held(first));
  Lease& second = this->keep(this->acquire(*this->b));
  EXPECT_GT(second.fence(), fence);
}

TYPED_TEST_P(LeasesContract, WaitingEndsWithTheDeadlineOrTheLease) {
  Lease& first = this->keep(this->acquire(*this->a));
  const auto late = this->acquire(*this->b, {.wait = std::chrono::milliseconds(200)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
  this->rig.start(first.release());
  EXPECT_TRUE(this->held(this->keep(this->acquire(*this->b, {.wait = std::chrono::seconds(10)}))));
}

TYPED_TEST_P(LeasesContract, RenewalKeepsItPastItsTtl) {
  using namespace std::chrono_literals;
  Lease& lease = this->keep(this->acquire(*this->a, {.ttl = 300ms}));
  const Instant first = lease.until();
  EXPECT_TRUE(this->rig.eventually([&] {
    Instant until{};
    this->rig.on_home([&] { until = lease.until(); });
    return until > first + 600ms;
  }));
  EXPECT_TRUE(this->held(lease));
  EXPECT_FALSE(this->acquire(*this->b));
}

TYPED_TEST_P(LeasesContract, LossIsReportedOnce) {
  using namespace std::chrono_literals;
  Lease& lease = this->keep(this->acquire(*this->a, {.ttl = 300ms}));
  std::atomic<int> lost{0};
  this->rig.on_home([&] { lease.on_lost([&lost] { ++lost; }); });
  this->rig.flush();
  EXPECT_TRUE(this->rig.eventually([&] { return lost == 1; }));
  EXPECT_FALSE(this->held(lease));
  Lease& next = this->keep(this->acquire(*this->b));
  EXPECT_GT(next.fence(), lease.fence());  // also over the data loss
  this->rig.wait(lease.release());
  EXPECT_TRUE(this->held(next));
  EXPECT_EQ(lost, 1);
}

TYPED_TEST_P(LeasesContract, ForeignLockIsRespectedAndNeverDeleted) {
  this->rig.foreign_lock("job:1", "somebody");
  EXPECT_FALSE(this->acquire(*this->a));
  EXPECT_FALSE(this->acquire(*this->a, {.wait = std::chrono::milliseconds(100)}));
  EXPECT_EQ(this->rig.lock_value("job:1"), "somebody");
}

TYPED_TEST_P(LeasesContract, OverwrittenLockIsLostAndLeftAlone) {
  using namespace std::chrono_literals;
  Lease& lease = this->keep(this->acquire(*this->a, {.ttl = 300ms}));
  this->rig.foreign_lock("job:1", "somebody");
  EXPECT_TRUE(this->rig.eventually([&] { return !this->held(lease); }));
  this->rig.wait(lease.release());
  EXPECT_EQ(this->rig.lock_value("job:1"), "somebody");
}

TYPED_TEST_P(LeasesContract, DestroyedHandleGivesItBack) {
  this->keep(this->acquire(*this->a));
  this->rig.on_home([&] { this->kept.clear(); });
  this->keep(this->acquire(*this->b, {.wait = std::chrono::seconds(5)}));
}

TYPED_TEST_P(LeasesContract, BadShapesAreRefused) {
  using namespace std::chrono_literals;
  EXPECT_EQ(this->rig.get(this->a->acquire(Resource{"a b"}, {})).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(this->acquire(*this->a, {.ttl = 1ms}).error().code, Code::kInvalidArgument);
}

TYPED_TEST_P(LeasesContract, StopGivesBackAndEndsWaiters) {
  this->keep(this->acquire(*this->a));
  this->rig.wait(this->a->stop());
  this->keep(this->acquire(*this->b));
  EXPECT_EQ(this->acquire(*this->a).error().code, Code::kCancelled);
}

REGISTER_TYPED_TEST_SUITE_P(LeasesContract, OneHolderAndAReleasedLeaseIsFreeAtOnce,
                            WaitingEndsWithTheDeadlineOrTheLease, RenewalKeepsItPastItsTtl,
                            LossIsReportedOnce, ForeignLockIsRespectedAndNeverDeleted,
                            OverwrittenLockIsLostAndLeftAlone, DestroyedHandleGivesItBack,
                            BadShapesAreRefused, StopGivesBackAndEndsWaiters);

}  // namespace nb::ha
