// Everything of one account at one serial, read in one transaction; never changes again.
#pragma once

#include "management/domain/account.h"
#include "management/domain/group.h"
#include "management/domain/peer.h"
#include "management/domain/policy.h"
#include "management/domain/user.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace nb::management {

/// Input of netmap/. `account.serial` is the serial of every map made from it.
/// Order    users, peers and groups by id; policies and rules in the order of creation (by id).
struct AccountSnapshot {
  Account account;
  std::vector<User> users;
  std::vector<Peer> peers;
  std::vector<Group> groups;
  std::vector<Policy> policies;
  /// Rows that no official server could have written and that were left out; see the log.
  std::size_t skipped_rows = 0;

  [[nodiscard]] const Peer* peer(const PeerId& id) const { return find(peers, id); }
  [[nodiscard]] const Group* group(const GroupId& id) const { return find(groups, id); }
  [[nodiscard]] const User* user(const UserId& id) const { return find(users, id); }
  /// Null only in a damaged database.
  [[nodiscard]] const Group* all_group() const {
    const auto it =
        std::find_if(groups.begin(), groups.end(), [](const Group& g) { return g.is_all(); });
    return it == groups.end() ? nullptr : &*it;
  }

 private:
  template <class T, class Id>
  static const T* find(const std::vector<T>& sorted, const Id& id) {
    const auto it =
        std::lower_bound(sorted.begin(), sorted.end(), id,
                         [](const T& item, const Id& wanted) { return item.id < wanted; });
    return it != sorted.end() && it->id == id ? &*it : nullptr;
  }
};

using AccountSnapshotPtr = std::shared_ptr<const AccountSnapshot>;

}  // namespace nb::management
