// What mentions a group. Private to store/.
#pragma once

#include "management/store/edits/account_edit.h"

namespace nb::management::work {

/// Errors   kBadRequest "group has been linked to <kind>: <name>", the first in the order of
///          rest-api.md §7.8.
Result<> check_group_unlinked(AccountEdit& edit, const Group& group);

/// Takes the group out of lists that do not forbid its deletion.
Result<> drop_group_mentions(AccountEdit& edit, const GroupId& group);

}  // namespace nb::management::work
