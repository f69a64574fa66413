#include "management/netmap/policies_in_force.h"

#include "management/netmap/injected_policies.h"
#include "management/netmap/row_order.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace nb::netmap {
namespace {

using management::AccountSnapshot;
using management::Group;
using management::GroupId;
using management::kActionDrop;
using management::NetworkResource;
using management::Policy;
using management::PolicyRule;
using management::PostureCheckId;
using PolicyPtr = std::shared_ptr<const Policy>;

bool is_unreadable(const AccountSnapshot& account, const PostureCheckId& id) {
  const auto* const check = account.posture_checks.find(id);
  return check != nullptr && check->checks.unreadable;
}

bool drops_unknown(const PolicyRule& rule) {
  return rule.enabled && rule.action == kActionDrop &&
         (rule.sources_unreadable || rule.destinations_unreadable);
}

std::vector<GroupId> every_group(const AccountSnapshot& account) {
  std::vector<GroupId> out;
  for (const Group& group : account.groups) out.push_back(group.id);
  return out;
}

/// Resources that no list of groups leads to.
std::vector<const NetworkResource*> ungrouped(const AccountSnapshot& account) {
  std::set<std::string> grouped;
  for (const Group& group : account.groups)
    for (const auto& resource : group.resources) grouped.insert(resource.id);
  std::vector<const NetworkResource*> out;
  for (const NetworkResource& resource : account.resources)
    if (!grouped.contains(resource.id.value())) out.push_back(&resource);
  return out;
}

void add_widest(const AccountSnapshot& account, PolicyRule rule, std::vector<PolicyRule>& out) {
  if (rule.sources_unreadable) {
    rule.source_resource = {};
    rule.sources = every_group(account);
  }
  if (!rule.destinations_unreadable) {
    out.push_back(std::move(rule));
    return;
  }
  rule.destination_resource = {};
  rule.destinations = every_group(account);
  out.push_back(rule);
  rule.destinations.clear();
  for (const NetworkResource* const resource : ungrouped(account)) {
    rule.destination_resource = {resource->id.value(), resource->type};
    out.push_back(rule);
  }
}

PolicyPtr closed(const AccountSnapshot& account, PolicyPtr policy) {
  const auto unreadable = [&](const PostureCheckId& id) { return is_unreadable(account, id); };
  const bool unknown_checks = std::ranges::any_of(policy->source_posture_checks, unreadable);
  if (!unknown_checks && std::ranges::none_of(policy->rules, drops_unknown)) return policy;
  auto out = std::make_shared<Policy>(*policy);
  std::erase_if(out->source_posture_checks, unreadable);
  out->rules.clear();
  for (const PolicyRule& rule : policy->rules) {
    if (drops_unknown(rule)) {
      add_widest(account, rule, out->rules);
      continue;
    }
    out->rules.push_back(rule);
    if (unknown_checks && rule.action != kActionDrop) out->rules.back().enabled = false;
  }
  return out;
}

}  // namespace

std::vector<PolicyPtr> policies_in_force(const AccountSnapshot& account) {
  std::vector<PolicyPtr> out;
  for (const std::size_t position : by_order(account.policies))
    if (const PolicyPtr& policy = account.policies.ptr(position); policy->enabled)
      out.push_back(closed(account, policy));
  for (PolicyPtr& policy : injected_policies(account))
    if (policy->enabled) out.push_back(std::move(policy));
  return out;
}

}  // namespace nb::netmap
