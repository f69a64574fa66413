// The policies of a view: sides of rules, and which targets the fast calculation leaves out.
#include "management/netmap/policies_in_force.h"
#include "management/netmap/same_objects.h"
#include "management/netmap/view_builder.h"

#include <algorithm>
#include <set>

namespace nb::netmap {

using management::GroupId;
using management::PeerId;
using management::Policy;
using management::PolicyRule;
using PolicyPtr = std::shared_ptr<const Policy>;

/// One that says what it said before is the object it was before.
std::vector<PolicyPtr> ViewBuilder::ordered_policies() {
  std::vector<PolicyPtr> out = policies_in_force(account_);
  for (PolicyPtr& policy : out) {
    const auto [first, last] = old_policies_.equal_range(policy->id);
    const auto old = std::find_if(
        first, last, [&](const auto& entry) { return same_policy(*entry.second, *policy); });
    if (old == last) continue;
    policy = old->second;
    old_policies_.erase(old);
  }
  return out;
}

Bits ViewBuilder::side(const GroupList& list) const {
  Bits out;
  for (const GroupId& id : list) {
    const GroupRecord* const found = group(id);
    if (found == nullptr) continue;
    if (list.size() == 1 || found->group->is_all()) {
      out = found->members;
      break;
    }
    out |= found->members;
  }
  return out &= peers_->validated;
}

void ViewBuilder::build_rules() {
  if (before_ != nullptr) {
    for (const auto& policy : before_->rules_->policies)
      old_policies_.emplace(policy.policy->id, policy.policy);
    for (const CompiledRulePtr& rule : before_->rules_->rules)
      old_rules_.emplace(
          std::pair(rule->policy.get(),
                    static_cast<std::size_t>(&rule->rule() - rule->policy->rules.data())),
          rule);
  }
  const auto policies = ordered_policies();
  std::map<std::string_view, int> uses;  // of rule ids
  for (const PolicyPtr& policy : policies)
    for (const PolicyRule& rule : policy->rules)
      if (usable(rule)) ++uses[rule.id.value()];
  for (const PolicyPtr& policy : policies) {
    PolicySpan span{.policy = policy, .first = rules_->rules.size(), .count = 0};
    for (std::size_t index = 0; index < policy->rules.size(); ++index)
      if (usable(policy->rules[index]))
        add_rule(policy, index, uses[policy->rules[index].id.value()] > 1);
    span.count = rules_->rules.size() - span.first;
    rules_->policies.push_back(std::move(span));
  }
}

void ViewBuilder::add_rule(const PolicyPtr& policy, std::size_t index, bool shares_id) {
  const PolicyRule& rule = policy->rules[index];
  const auto one_or_groups = [&](const management::Resource& resource, const GroupList& groups,
                                 bool is_source) {
    if (names_peer(resource)) {
      Bits one;
      if (const PeerIndex peer = slot(PeerId(resource.id)); peer != kNoPeer) one.set(peer);
      return one;
    }
    Bits out = side(groups);
    if (is_source && !policy->source_posture_checks.empty()) out -= failing(*policy);
    return out;
  };
  Bits sources = one_or_groups(rule.source_resource, rule.sources, true);
  Bits destinations = one_or_groups(rule.destination_resource, rule.destinations, false);
  const auto old = old_rules_.find(std::pair(policy.get(), index));
  const bool same = old != old_rules_.end() && old->second->sources == sources &&
                    old->second->destinations == destinations &&
                    old->second->shares_id == shares_id && !changed_looks_.intersects(sources) &&
                    !changed_looks_.intersects(destinations);
  if (same) {
    rules_->rules.push_back(old->second);
  } else {
    auto made =
        std::make_shared<CompiledRule>(policy, index, std::move(sources), std::move(destinations));
    made->shares_id = shares_id;
    rules_->rules.push_back(std::move(made));
  }
  note_irregular(*policy, rule, *rules_->rules.back());
}

void ViewBuilder::note_irregular(const Policy& policy, const PolicyRule& rule,
                                 const CompiledRule& compiled) {
  const auto unapproved = [&](const management::Resource& resource, const Bits& named) {
    return names_peer(resource) && !(named - peers_->validated).none();
  };
  if (unapproved(rule.source_resource, compiled.sources))
    rules_->irregular |= compiled.destinations;
  if (unapproved(rule.destination_resource, compiled.destinations))
    rules_->irregular |= compiled.sources;
  // No official server writes a side that is both a peer and groups.
  if (names_peer(rule.source_resource) && !rule.sources.empty())
    rules_->irregular |= peers_->validated;
  for (const GroupList* const list : {&rule.sources, &rule.destinations}) {
    if (list->size() < 2) continue;
    const auto all = std::ranges::find_if(*list, [&](const GroupId& id) {
      const GroupRecord* const found = group(id);
      return found != nullptr && found->group->is_all();
    });
    if (all == list->end()) continue;
    const Bits listed = members(*list);
    if (!(listed - group(*all)->members).none()) rules_->irregular |= listed;
  }
  if (names_peer(rule.source_resource) && !policy.source_posture_checks.empty())
    rules_->direct_source_with_checks = true;
}

void ViewBuilder::build_checked_policies() {
  for (const PolicySpan& span : rules_->policies) {
    CheckedPolicy out{.policy = span.policy, .sources = {}, .checks = {}};
    for (const auto& id : span.policy->source_posture_checks) {
      const std::size_t position = account_.posture_checks.position(id);
      if (position != account_.posture_checks.kNowhere) out.checks.push_back(position);
    }
    if (out.checks.empty()) continue;
    for (std::size_t i = 0; i < span.count; ++i)
      out.sources |= members(rules_->rules[span.first + i]->rule().sources);
    checks_->policies.push_back(std::move(out));
  }
}

}  // namespace nb::netmap
