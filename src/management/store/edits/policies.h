// Policies and posture checks: contract/network-map.md §1.8, §1.9, rest-api.md §7.9.
#pragma once

#include "management/domain/policy_draft.h"
#include "management/domain/posture_draft.h"
#include "management/store/edits/edit.h"

namespace nb::management {

/// Creates (empty id) or replaces. Unknown groups and posture checks are dropped without a word.
/// Nothing is written when the stored policy is the same.
/// Errors   policy_of()'s; kInvalidArgument "invalid rule id: x"; kNotFound.
struct SavePolicy {
  using Answer = Policy;
  PolicyId id{};
  PolicyDraft draft{};
};

/// Errors   kNotFound "policy: <id> not found".
struct DeletePolicy {
  using Answer = Nothing;
  PolicyId id{};
};

/// Errors   posture_check_of()'s; kInvalidArgument: name taken (creation only); kNotFound.
struct SavePostureCheck {
  using Answer = PostureCheck;
  PostureCheckId id{};
  PostureDraft draft{};
};

/// Errors   kNotFound; kFailedPrecondition "posture checks have been linked to policy: <name>".
struct DeletePostureCheck {
  using Answer = Nothing;
  PostureCheckId id{};
};

}  // namespace nb::management
