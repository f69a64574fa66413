// Which users may log in to machines by SSH, and by which groups.
// Source   contract/network-map.md §2.1, §2.6.
#pragma once

#include "management/domain/account_snapshot.h"

#include <map>
#include <vector>

namespace nb::netmap {

class UserIndex {
 public:
  UserIndex() = default;
  explicit UserIndex(const management::AccountSnapshot& account);

  /// Not blocked, no service users; ascending.
  [[nodiscard]] const std::vector<management::UserId>& allowed() const { return allowed_; }
  /// The allowed users of a group by their auto groups; `All` has all of them.
  [[nodiscard]] const std::vector<management::UserId>& of_group(
      const management::GroupId& group) const;
  friend bool operator==(const UserIndex&, const UserIndex&) = default;

 private:
  std::vector<management::UserId> allowed_;
  std::map<management::GroupId, std::vector<management::UserId>> by_group_;
};

}  // namespace nb::netmap
