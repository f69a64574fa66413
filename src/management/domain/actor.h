// Who asks for a change.
#pragma once

#include "management/domain/ids.h"

#include <string>

namespace nb::management {

/// The table of permissions.h was asked before a use case gets one; what is left to the use case
/// are the rules about persons (oneself, owners, admins).
struct Actor {
  AccountId account;
  UserId user;
  std::string role{};
  bool service_user = false;
};

}  // namespace nb::management
