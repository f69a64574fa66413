#include "ha/member_driver.h"

#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

StoreMembership::StoreMembership(std::unique_ptr<MemberStore> store, const Clock& clock,
                                 InstanceId self, Incarnation incarnation, MembershipConfig config)
    : store_(std::move(store)),
      clock_(clock),
      view_(std::move(self), std::move(incarnation), std::move(config)) {}

asio::awaitable<Result<Beat>> StoreMembership::beat() {
  const Instant asked = clock_.now();
  NB_CO_LET(const BeatReply reply, co_await store_->beat(view_.request()));
  co_return view_.on_reply(reply, asked, clock_.now());
}

asio::awaitable<Result<>> StoreMembership::leave() {
  const bool yielded = view_.duplicate();
  const InstanceId self = view_.self();
  const Incarnation incarnation = view_.incarnation();
  view_.on_left();
  if (yielded) co_return Result<>{};
  co_return co_await store_->leave(self, incarnation);
}

bool StoreMembership::alive(const InstanceId& instance) const {
  return view_.alive(instance, clock_.now());
}
bool StoreMembership::alive(const Claim& claim) const {
  return view_.alive(claim, clock_.now());
}
std::vector<Member> StoreMembership::members() const {
  return view_.members(clock_.now());
}
bool StoreMembership::fresh() const {
  return view_.fresh(clock_.now());
}

}  // namespace nb::ha
