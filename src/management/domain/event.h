// Activity events: who did what to whom.
// Source   contract/network-map.md §1.14; the numbers are stored and never change.
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace nb::management {

enum class Activity : std::int32_t {
  kPeerAddedByUser = 0,
  kPeerAddedWithSetupKey = 1,
  kUserJoined = 2,
  kAccountCreated = 4,
  kPeerRemovedByUser = 5,
  kSetupKeyCreated = 12,
  kSetupKeyUpdated = 13,
  kSetupKeyRevoked = 14,
  kUserLoggedInPeer = 49,
  kPeerLoginExpired = 50,
  kSetupKeyDeleted = 68,
};

/// The initiator of what the server does by itself.
inline constexpr const char* kSystemInitiator = "sys";

using EventValue = std::variant<std::string, std::int64_t, bool>;

struct Event {
  WallTime at{};
  Activity activity{};
  std::string initiator_id;
  std::string target_id;
  AccountId account_id;
  /// Stored as a JSON object, in this order.
  std::vector<std::pair<std::string, EventValue>> meta;
};

}  // namespace nb::management
