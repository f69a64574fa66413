#include "management/store/edits/policies.h"

#include "management/store/edits/perform.h"

#include <algorithm>

namespace nb::management::work {
namespace {

template <class Id>
void keep_known(std::vector<Id>& ids, const std::set<Id>& known) {
  ids = without_repetitions(ids);
  std::erase_if(ids, [&](const Id& id) { return !known.contains(id); });
}

/// Unknown groups leave the rules without a word, as callers are used to, unless that would let in
/// more; those that stay are held.
Result<> keep_known_groups(AccountEdit& edit, Policy& policy) {
  std::vector<GroupId> mentioned;
  for (const PolicyRule& rule : policy.rules) {
    mentioned.insert(mentioned.end(), rule.sources.begin(), rule.sources.end());
    mentioned.insert(mentioned.end(), rule.destinations.begin(), rule.destinations.end());
    for (const auto& [group, users] : rule.authorized_groups) mentioned.push_back(group);
  }
  NB_LET(const HeldGroups held, edit.hold_groups(without_repetitions(mentioned)));
  std::set<GroupId> known;
  for (const auto& [id, name] : held) known.insert(id);
  for (PolicyRule& rule : policy.rules) {
    keep_known(rule.sources, known);
    keep_known(rule.destinations, known);
    const std::size_t dropped = std::erase_if(
        rule.authorized_groups, [&](const auto& item) { return !known.contains(item.first); });
    // Nobody was meant to become everybody, which a rule without authorized groups stands for.
    if (dropped > 0 && rule.authorized_groups.empty())
      return fail(Code::kInvalidArgument, "rule {}: no authorized group exists", rule.name);
  }
  return {};
}

Result<> keep_known_checks(AccountEdit& edit, Policy& policy) {
  if (policy.source_posture_checks.empty()) return {};
  NB_LET(const std::vector<PostureCheck> found,
         edit.get_some<PostureCheck>(policy.source_posture_checks));
  std::set<PostureCheckId> known;
  for (const PostureCheck& check : found) known.insert(check.id);
  keep_known(policy.source_posture_checks, known);
  return {};
}

/// Peers that are a side of a rule must not vanish while the rule is stored.
Result<> hold_sides(AccountEdit& edit, const Policy& policy) {
  std::vector<PeerId> peers;
  for (const PolicyRule& rule : policy.rules)
    for (const Resource& side : {rule.source_resource, rule.destination_resource})
      if (side.type == kResourcePeer) peers.emplace_back(side.id);
  NB_TRY(edit.hold_peers(peers));
  return {};
}

/// A rule keeps its id; of those without one the first takes the policy's if that is free, as
/// clients expect of the single rule they know, and further ones get fresh ones.
Result<> identify_rules(AccountEdit& edit, const Policy* stored, Policy& policy) {
  std::set<RuleId> taken;
  for (const PolicyRule& rule : policy.rules) {
    if (rule.id.empty()) continue;
    const bool known = stored != nullptr &&
                       std::any_of(stored->rules.begin(), stored->rules.end(),
                                   [&](const PolicyRule& other) { return other.id == rule.id; });
    if (!known || !taken.insert(rule.id).second)
      return fail(Code::kInvalidArgument, "invalid rule ID: {}", rule.id.value());
  }
  for (PolicyRule& rule : policy.rules) {
    rule.policy_id = policy.id;
    if (!rule.id.empty()) continue;
    const RuleId own(policy.id.value());
    rule.id = taken.contains(own) ? RuleId(edit.new_id()) : own;
    taken.insert(rule.id);
  }
  return {};
}

bool is_stored(const AccountEdit& edit, const Policy& stored, const Policy& policy) {
  return edit.is_stored(std::optional(stored), policy) &&
         std::equal(stored.rules.begin(), stored.rules.end(), policy.rules.begin(),
                    policy.rules.end(), [](const PolicyRule& a, const PolicyRule& b) {
                      return AccountEdit::same_values(rows::update_rule(a), rows::update_rule(b));
                    });
}

/// Rules are read in the order of their insertion: may the rows of those that stay be kept?
bool keeps_order(const std::vector<PolicyRule>& stored, const std::vector<PolicyRule>& wanted) {
  std::set<RuleId> ids;
  for (const PolicyRule& rule : wanted) ids.insert(rule.id);
  auto next = wanted.begin();
  return std::all_of(stored.begin(), stored.end(), [&](const PolicyRule& rule) {
    return !ids.contains(rule.id) || (next++)->id == rule.id;
  });
}

Result<> erase_rules(AccountEdit& edit, const PolicyId& policy) {
  NB_TRY(edit.session().exec("DELETE FROM policy_rules WHERE policy_id = $1", {policy.value()}));
  return {};
}

Result<> write_rules(AccountEdit& edit, const Policy* stored, const Policy& policy) {
  Session& session = edit.session();
  std::set<RuleId> present;
  if (stored != nullptr && keeps_order(stored->rules, policy.rules))
    for (const PolicyRule& rule : stored->rules) present.insert(rule.id);
  else if (stored != nullptr)
    NB_TRY(erase_rules(edit, policy.id));
  for (const PolicyRule& rule : policy.rules) {
    const rows::Write write =
        present.erase(rule.id) > 0 ? rows::update_rule(rule) : rows::insert_rule(rule);
    NB_TRY(session.query(write.statement, write.values));
  }
  for (const RuleId& gone : present)
    NB_TRY(session.exec("DELETE FROM policy_rules WHERE policy_id = $1 AND id = $2",
                        {policy.id.value(), gone.value()}));
  return {};
}

}  // namespace

Result<Policy> perform(AccountEdit& edit, const SavePolicy& command) {
  NB_LET(Policy policy, policy_of(command.draft));
  policy.id = command.id;
  if (command.id.empty())
    for (PolicyRule& rule : policy.rules) rule.id = RuleId{};  // a new policy has no old rules
  NB_LET(const std::optional<Policy> stored, edit.identify(policy));
  const Policy* before = stored ? &*stored : nullptr;
  NB_TRY(identify_rules(edit, before, policy));
  NB_TRY(keep_known_groups(edit, policy));
  NB_TRY(keep_known_checks(edit, policy));
  NB_TRY(hold_sides(edit, policy));
  if (stored && is_stored(edit, *stored, policy)) return policy;
  NB_TRY(edit.put(policy, !stored));
  NB_TRY(write_rules(edit, before, policy));
  // Another order is stored, because answers must equal what was sent, and changes nothing else.
  if (stored && same_choice(*stored, policy)) return policy;
  edit.event(stored ? Activity::kPolicyUpdated : Activity::kPolicyAdded, policy.id.value(),
             {{"name", policy.name}});
  return policy;
}

Result<Nothing> perform(AccountEdit& edit, const DeletePolicy& command) {
  NB_LET(const Policy policy, edit.get<Policy>(command.id));
  NB_TRY(erase_rules(edit, policy.id));
  NB_TRY(edit.erase<Policy>(policy.id));
  edit.event(Activity::kPolicyDeleted, policy.id.value(), {{"name", policy.name}});
  return Nothing{};
}

Result<PostureCheck> perform(AccountEdit& edit, const SavePostureCheck& command) {
  NB_LET(PostureCheck check, posture_check_of(command.draft));
  check.id = command.id;
  NB_LET(const std::optional<PostureCheck> stored, edit.identify(check));
  if (!stored) {
    NB_LET(const std::vector<PostureCheck> all, edit.get_all<PostureCheck>());
    const bool taken = std::any_of(all.begin(), all.end(), [&](const PostureCheck& other) {
      return other.name == check.name;
    });
    if (taken)
      return fail(Code::kInvalidArgument, "posture checks with name {} already exists", check.name);
  }
  if (edit.is_stored(stored, check)) return check;
  NB_TRY(edit.put(check, !stored));
  edit.event(stored ? Activity::kPostureCheckUpdated : Activity::kPostureCheckCreated,
             check.id.value(), {{"name", check.name}});
  return check;
}

Result<Nothing> perform(AccountEdit& edit, const DeletePostureCheck& command) {
  NB_LET(const PostureCheck check, edit.get<PostureCheck>(command.id));
  NB_LET(const std::vector<Policy> policies, edit.get_all<Policy>());
  for (const Policy& policy : policies)
    if (contains(policy.source_posture_checks, check.id))
      return fail(Code::kFailedPrecondition, "posture checks have been linked to policy: {}",
                  policy.name);
  NB_TRY(edit.erase<PostureCheck>(check.id));
  edit.event(Activity::kPostureCheckDeleted, check.id.value(), {{"name", check.name}});
  return Nothing{};
}

}  // namespace nb::management::work
