// Membership over any store: the view's conclusions, with a MemberStore doing the I/O.
#pragma once

#include "base/clock.h"
#include "ha/member_view.h"
#include "ha/membership.h"

#include <memory>
#include <string>
#include <utility>

namespace nb::ha {

/// What an adapter does: MemberTable's operations, each atomic.
class MemberStore {
 public:
  virtual ~MemberStore() = default;
  virtual boost::asio::awaitable<Result<BeatReply>> beat(BeatRequest request) = 0;
  virtual boost::asio::awaitable<Result<>> leave(InstanceId self, Incarnation incarnation) = 0;
};

class StoreMembership final : public Membership {
 public:
  StoreMembership(std::unique_ptr<MemberStore> store, const Clock& clock, InstanceId self,
                  Incarnation incarnation, MembershipConfig config);

  [[nodiscard]] const InstanceId& self() const override { return view_.self(); }
  [[nodiscard]] const Incarnation& incarnation() const override { return view_.incarnation(); }
  boost::asio::awaitable<Result<Beat>> beat() override;
  boost::asio::awaitable<Result<>> leave() override;
  [[nodiscard]] bool alive(const InstanceId& instance) const override;
  [[nodiscard]] bool alive(const Claim& claim) const override;
  [[nodiscard]] std::vector<Member> members() const override;
  [[nodiscard]] bool fresh() const override;
  [[nodiscard]] bool duplicate() const override { return view_.duplicate(); }
  [[nodiscard]] bool contested() const override { return view_.contested(); }
  /// What others are shown from the next beat on.
  void set_metadata(std::string metadata) { view_.set_metadata(std::move(metadata)); }

 private:
  std::unique_ptr<MemberStore> store_;
  const Clock& clock_;
  MemberView view_;
};

}  // namespace nb::ha
