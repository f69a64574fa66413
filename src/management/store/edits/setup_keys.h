// Setup keys: contract/network-map.md §1.5, rest-api.md §7.7.
#pragma once

#include "base/secret.h"
#include "management/domain/setup_key.h"
#include "management/store/edits/edit.h"

#include <vector>

namespace nb::management {

struct NewSetupKey {
  SetupKey key;
  Secret plain;  // shown once
};

/// Errors   new_setup_key()'s; kInvalidArgument: auto group unknown or All.
struct CreateSetupKey {
  using Answer = NewSetupKey;
  SetupKeyRequest request{};
};

/// Revoking twice is the same as once.
/// Errors   kInvalidArgument: auto group unknown or All (before the key is looked for),
/// un-revoking;
///          kNotFound "setup key: <id> not found".
struct UpdateSetupKey {
  using Answer = SetupKey;
  SetupKeyId id{};
  std::vector<GroupId> auto_groups{};
  bool revoked = false;
};

struct DeleteSetupKey {
  using Answer = Nothing;
  SetupKeyId id{};
};

}  // namespace nb::management
