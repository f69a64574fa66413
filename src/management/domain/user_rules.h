// Rules about users that go beyond the table of permissions: oneself, owners, service users.
// Source   contract/rest-api.md §7.3.
#pragma once

#include "base/result.h"
#include "management/domain/user.h"

#include <string>
#include <vector>

namespace nb::management {

/// What a caller may change of a user.
struct UserChange {
  std::string role;  // canonical
  std::vector<GroupId> auto_groups;
  bool blocked = false;
};

/// Errors   kPermissionDenied with the texts of rest-api.md §7.3.
[[nodiscard]] Result<> check_user_change(const User& initiator, const User& target,
                                         const UserChange& change);

/// Errors   kInvalidArgument: oneself; kPermissionDenied: owner, integration's, non-deletable.
[[nodiscard]] Result<> check_user_deletion(const User& initiator, const User& target);

/// Tokens are managed for oneself, or by an admin for a service user of the account.
/// Errors   kPermissionDenied.
[[nodiscard]] Result<> check_token_access(const User& initiator, const User& target);

/// The owner gives the role to somebody else and becomes an admin.
[[nodiscard]] bool transfers_ownership(const User& initiator, const User& target,
                                       const UserChange& change);

}  // namespace nb::management
