// How often accounts were brought up to date, by what had changed: upstream's resources and
// operations (contract/management-grpc.md §10).
#pragma once

#include "management/domain/account_snapshot.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nb::management::app {

class UpdateCounters {
 public:
  /// DNS settings are in the account's row; records come with their zone, rules with their policy.
  static constexpr std::array<std::string_view, 13> kResources = {
      "account_settings", "user",  "peer",    "group",          "policy",
      "posture_check",    "route", "network", "network_router", "network_resource",
      "nameserver_group", "zone",  "service"};
  static constexpr std::array<std::string_view, 3> kOperations = {"create", "update", "delete"};

  /// Each pair counts once, however many objects of it changed.
  void count(const AccountSnapshot& before, const SnapshotDelta& delta);
  [[nodiscard]] const std::atomic<std::uint64_t>& at(std::size_t resource,
                                                     std::size_t operation) const {
    return counts_[resource][operation];
  }

 private:
  std::array<std::array<std::atomic<std::uint64_t>, kOperations.size()>, kResources.size()>
      counts_{};
};

}  // namespace nb::management::app
