// What users show instead of a login, and invitations to become a user.
// Source   contract/network-map.md §1.1, §1.4; rest-api.md §7.4, §7.5.
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

inline constexpr std::int64_t kTokenDaysMin = 1;
inline constexpr std::int64_t kTokenDaysMax = 365;
inline constexpr std::int64_t kInviteSecondsDefault = 259'200;
inline constexpr std::int64_t kInviteSecondsMin = 3'600;
inline constexpr std::int64_t kInviteSecondsMax = 365 * 86'400;

struct PersonalToken {
  TokenId id;
  UserId user_id;
  std::string name;
  std::optional<WallTime> expiration_date;
  UserId created_by;
  std::optional<WallTime> created_at;
  std::optional<WallTime> last_used;
};

struct UserInvite {
  InviteId id;
  AccountId account_id;
  std::string email;
  std::string name;
  std::string role;
  std::vector<GroupId> auto_groups;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> created_at;
  UserId created_by;

  [[nodiscard]] bool expired_at(WallTime now) const { return !expires_at || *expires_at <= now; }
};

}  // namespace nb::management
