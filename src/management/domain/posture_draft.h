// What a caller asks of a posture check, and the check that follows from it.
// Source   contract/network-map.md §1.9, rest-api.md §7.9.
#pragma once

#include "base/result.h"
#include "management/domain/posture_check.h"

#include <optional>
#include <string>
#include <vector>

namespace nb::management {

struct PostureDraft {
  std::string name{};
  std::string description{};
  /// network_range.ranges is filled from `range_texts` here.
  PostureChecks checks{};
  std::vector<std::string> range_texts{};  // of checks.network_range
  /// Geo checks can only be saved while there is a geolocation database.
  bool geo_database = true;
};

/// Without id, account and public id.
/// Errors   kInvalidArgument with the texts of rest-api.md §7.9; kFailedPrecondition: geo check
///          without a geolocation database.
[[nodiscard]] Result<PostureCheck> posture_check_of(const PostureDraft& draft);

/// A version such as "0.50.0", "v1.2", "10.0.19045" or "1.2.3-rc.1+build".
[[nodiscard]] bool is_version(std::string_view text);

}  // namespace nb::management
