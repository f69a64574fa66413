// What a caller asks of a policy, and the policy that follows from it.
// Source   contract/network-map.md §1.8, rest-api.md §7.9.
#pragma once

#include "base/result.h"
#include "management/domain/policy.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

struct PortRangeDraft {
  std::int64_t start = 0;
  std::int64_t end = 0;
};

/// Each side is groups or a resource; an empty list is present, nullopt is absent.
struct PolicyRuleDraft {
  RuleId id{};  // of a rule of the stored policy, or empty
  std::string name{};
  std::string description{};
  bool enabled = false;
  std::string action{};
  std::optional<std::vector<GroupId>> sources{};
  std::optional<Resource> source_resource{};
  std::optional<std::vector<GroupId>> destinations{};
  std::optional<Resource> destination_resource{};
  bool bidirectional = false;
  std::string protocol{};
  std::vector<std::string> ports{};
  std::vector<PortRangeDraft> port_ranges{};
  std::map<GroupId, std::vector<std::string>> authorized_groups{};
  std::string authorized_user{};  // temporary access only; not in the API
};

struct PolicyDraft {
  std::string name{};
  std::string description{};
  bool enabled = false;
  std::vector<PostureCheckId> source_posture_checks{};
  std::vector<PolicyRuleDraft> rules{};
};

/// Everything that can be said without the database; the policy has no id, account and public id
/// yet, its rules have the ids of their drafts.
/// Errors   kInvalidArgument with the texts of rest-api.md §7.9.
[[nodiscard]] Result<Policy> policy_of(const PolicyDraft& draft);

/// Equal in everything that a caller can choose; lists compare without order (rules by id).
[[nodiscard]] bool same_choice(const Policy& a, const Policy& b);

}  // namespace nb::management
