// Groups that peers of a user or setup key join. Private to store/.
#pragma once

#include "management/store/edits/account_edit.h"

namespace nb::management::work {

/// All exist and none is All; they are held.
/// Errors   kInvalidArgument "invalid auto groups: …".
Result<HeldGroups> check_key_groups(AccountEdit& edit, const std::vector<GroupId>& groups);
/// Errors   kInvalidArgument, naming the user.
Result<HeldGroups> check_user_groups(AccountEdit& edit, const std::string& user,
                                     const std::vector<GroupId>& groups);

/// An event for each group that was added and removed; `more` follows what says which group it was.
Result<> auto_group_events(AccountEdit& edit, const std::string& target,
                           const ListDifference<GroupId>& groups, Activity added, Activity removed,
                           const EventMeta& more);

}  // namespace nb::management::work
