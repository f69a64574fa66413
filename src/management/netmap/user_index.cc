#include "management/netmap/user_index.h"

namespace nb::netmap {

using management::UserId;

UserIndex::UserIndex(const management::AccountSnapshot& account) {
  for (const auto& user : account.users) {  // by id
    if (user.blocked || user.is_service_user) continue;
    allowed_.push_back(user.id);
    for (const auto& group : user.auto_groups) by_group_[group].push_back(user.id);
  }
  if (const auto* const all = account.all_group(); all != nullptr && !allowed_.empty())
    by_group_[all->id] = allowed_;
}

const std::vector<UserId>& UserIndex::of_group(const management::GroupId& group) const {
  static const std::vector<UserId> kNobody;
  const auto found = by_group_.find(group);
  return found == by_group_.end() ? kNobody : found->second;
}

}  // namespace nb::netmap
