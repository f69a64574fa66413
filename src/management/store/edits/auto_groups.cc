#include "management/store/edits/auto_groups.h"

namespace nb::management::work {

Result<HeldGroups> check_key_groups(AccountEdit& edit, const std::vector<GroupId>& groups) {
  NB_LET(HeldGroups held, edit.hold_groups(groups));
  for (const GroupId& id : groups) {
    const auto it = held.find(id);
    if (it == held.end())
      return fail(Code::kInvalidArgument, "invalid auto groups: group not found: {}", id.value());
    if (it->second == kGroupAllName)
      return fail(Code::kInvalidArgument,
                  "invalid auto groups: can't add 'All' group to the setup key");
  }
  return held;
}

Result<HeldGroups> check_user_groups(AccountEdit& edit, const std::string& user,
                                     const std::vector<GroupId>& groups) {
  NB_LET(HeldGroups held, edit.hold_groups(groups));
  for (const GroupId& id : groups) {
    const auto it = held.find(id);
    if (it == held.end())
      return fail(Code::kInvalidArgument,
                  "provided group ID {} in the user {} update doesn't exist", id.value(), user);
    if (it->second == kGroupAllName)
      return fail(Code::kInvalidArgument, "can't add All group to the user");
  }
  return held;
}

Result<> auto_group_events(AccountEdit& edit, const std::string& target,
                           const ListDifference<GroupId>& groups, Activity added, Activity removed,
                           const EventMeta& more) {
  const auto report = [&](Activity activity, const std::vector<GroupId>& ids) -> Result<> {
    NB_LET(const std::vector<Group> found, edit.get_some<Group>(ids));
    for (const Group& group : found) {
      EventMeta meta = {{"group", group.name}, {"group_id", group.id.value()}};
      meta.insert(meta.end(), more.begin(), more.end());
      edit.event(activity, target, std::move(meta));
    }
    return {};
  };
  NB_TRY(report(removed, groups.removed));
  return report(added, groups.added);
}

}  // namespace nb::management::work
