// Groups: contract/network-map.md §1.7, rest-api.md §7.8.
#pragma once

#include "management/domain/group.h"
#include "management/store/edits/edit.h"

#include <string>
#include <vector>

namespace nb::management {

/// Creates (empty id) or replaces: members and resources are the whole list. Peers that are gone by
/// now are left out; ids that never were are refused.
/// Errors   kInvalidArgument: name, All, unknown peer or resource; kAlreadyExists: name on
///          creation; kNotFound "group: <id> not found".
struct SaveGroup {
  using Answer = Group;
  GroupId id{};
  std::string name{};
  std::vector<PeerId> peers{};
  std::vector<Resource> resources{};
};

/// Errors   kBadRequest with the first reason of rest-api.md §7.8, in the case it is written there.
struct DeleteGroup {
  using Answer = Nothing;
  GroupId id{};
};

/// One member in or out; doing it twice is the same as once.
/// Errors   kNotFound: group or peer; kInvalidArgument: All.
struct ChangeGroupMember {
  using Answer = Nothing;
  GroupId group{};
  PeerId peer{};
  bool member = true;
};

/// One resource in or out of a group.
struct ChangeGroupResource {
  using Answer = Nothing;
  GroupId group{};
  Resource resource{};
  bool member = true;
};

}  // namespace nb::management
