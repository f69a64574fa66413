// A human or service user of an account.
// Source   contract/network-map.md §1.4.
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

inline constexpr std::string_view kRoleOwner = "owner";
inline constexpr std::string_view kRoleAdmin = "admin";
inline constexpr std::string_view kRoleUser = "user";

struct User {
  UserId id;
  AccountId account_id;
  std::string role;
  bool is_service_user = false;
  bool non_deletable = false;
  std::string service_user_name;
  std::vector<GroupId> auto_groups;
  bool blocked = false;
  bool pending_approval = false;
  std::optional<WallTime> last_login;
  std::optional<WallTime> created_at;
  std::string issued;
  std::int64_t integration_ref_id = 0;
  std::string integration_ref_type;
  std::string name;   // decrypted
  std::string email;  // decrypted
};

}  // namespace nb::management
