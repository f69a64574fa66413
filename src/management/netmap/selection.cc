#include "management/netmap/selection.h"

#include <algorithm>

namespace nb::netmap {
namespace {

using management::GroupId;
using management::PeerId;
using management::Policy;
using management::Route;

}  // namespace

Selection::Selection(const AccountView& account, PeerIndex of) : view(account), target(of) {
  candidates.set(target);
  for (const auto& group : view.snapshot().groups)
    if (view.is_member(group.id, target)) groups.insert(group.id);
  select_routes();
  select_policies();
  in_zone = candidates;
  select_resources();
}

void Selection::know(const std::vector<GroupId>& list) {
  for (const GroupId& id : list)
    if (view.members(id) != nullptr) groups.insert(id);  // dangling ids are skipped everywhere
}

void Selection::add_validated(const Bits& peers) {
  peers.for_each([&](PeerIndex peer) {
    if (view.peers()[peer].validated) candidates.set(peer);
  });
}

void Selection::select_routes() {
  const PeerId& me = view.peers()[target].peer->id;
  for (const Route& route : view.snapshot().routes) {
    const bool advertises = route.peer == me || view.any_member(route.peer_groups, target);
    if (!advertises && !(route.enabled && view.any_member(route.groups, target))) continue;
    routes.push_back(&route);
    know(route.peer_groups);
    know(route.groups);
    if (route.enabled) {
      know(route.access_control_groups);
      route_acl_groups_.insert(route.access_control_groups.begin(),
                               route.access_control_groups.end());
    }
    if (const PeerIndex peer = view.find(route.peer);
        peer != kNoPeer && view.peers()[peer].validated)
      candidates.set(peer);
    for (const GroupId& id : route.peer_groups)
      if (const Bits* const members = view.members(id)) add_validated(*members);
  }
}

void Selection::select_policies() {
  for (const PolicyView& policy : view.policies()) {
    bool relevant = false;
    for (const RuleView& rule : policy.rules) select_rule(policy, rule, relevant);
    if (relevant) policies.push_back(&policy);
  }
}

void Selection::select_rule(const PolicyView& policy, const RuleView& resolved, bool& relevant) {
  const auto& rule = *resolved.rule;
  if (std::ranges::any_of(rule.destinations,
                          [&](const GroupId& id) { return route_acl_groups_.contains(id); })) {
    relevant = true;
    know(rule.sources);
    know(rule.destinations);
  }
  const auto side = [&](const management::Resource& resource, const std::vector<GroupId>& list,
                        const Policy* checks) {
    if (!names_peer(resource)) return passing(list, checks);
    Bits one;
    if (const PeerIndex peer = view.find(PeerId(resource.id)); peer != kNoPeer) one.set(peer);
    return one;
  };
  const Bits sources = side(rule.source_resource, rule.sources, policy.policy.get());
  const Bits destinations = side(rule.destination_resource, rule.destinations, nullptr);
  if (sources.test(target)) {
    relevant = true;
    candidates |= destinations;
    know(rule.destinations);
  }
  if (destinations.test(target)) {
    relevant = true;
    candidates |= sources;
    know(rule.sources);
  }
}

bool Selection::passes(const Policy& policy, PeerIndex peer) {
  const auto* const check = view.failed_check(policy, peer);
  if (check != nullptr) failed[*check].set(peer);
  return check == nullptr;
}

Bits Selection::passing(const std::vector<GroupId>& list, const Policy* checks) {
  Bits out;
  for (const GroupId& id : list) {
    const Bits* const members = view.members(id);
    if (members == nullptr) continue;
    const bool alone = list.size() == 1 || view.snapshot().group(id)->is_all();
    if (alone) out.clear();
    members->for_each([&](PeerIndex peer) {
      if (view.peers()[peer].validated && (checks == nullptr || passes(*checks, peer)))
        out.set(peer);
    });
    if (alone) break;
  }
  return out;
}

void Selection::select_resources() {
  const auto& resources_of_account = view.snapshot().resources;
  for (std::size_t position = 0; position < resources_of_account.size(); ++position) {
    const auto& resource = resources_of_account[position];
    const auto& reached_by = view.resource_policies(position);
    if (reached_by.empty()) continue;
    const AccountView::Routers* const routers = view.routers(resource.network_id);
    // Once the target is known to reach the resource, the sources of the policies that follow are
    // selected as well, as they are for a router.
    bool selected = routers != nullptr && routers->contains(target);
    for (const ResourcePolicy& policy : reached_by) {
      if (!select_resource_policy(policy, selected)) continue;
      for (const auto& rule : policy.policy->policy->rules) {
        know(rule.sources);
        know(rule.destinations);
      }
    }
    if (!selected) continue;
    resources.push_back(position);
    if (routers != nullptr)
      for (const auto& [peer, router] : *routers)
        if (view.peers()[peer].validated) candidates.set(peer);
  }
}

/// False when the policy does not concern the target.
bool Selection::select_resource_policy(const ResourcePolicy& reached_by, bool& selected) {
  const Policy& policy = *reached_by.policy->policy;
  if (selected) {
    for (const RuleView* const resolved : reached_by.rules) {
      const auto& rule = *resolved->rule;
      if (!names_peer(rule.source_resource)) {
        candidates |= passing(rule.sources, &policy);
        continue;
      }
      const PeerIndex peer = view.find(PeerId(rule.source_resource.id));
      if (peer != kNoPeer && view.peers()[peer].validated && passes(policy, peer))
        candidates.set(peer);
    }
    return true;
  }
  const PeerId& me = view.peers()[target].peer->id;
  const bool source = std::ranges::any_of(reached_by.rules, [&](const RuleView* resolved) {
    const auto& rule = *resolved->rule;
    return names_peer(rule.source_resource) ? rule.source_resource.id == me.value()
                                            : view.any_member(rule.sources, target);
  });
  if (!source || !passes(policy, target)) return false;
  selected = true;
  return true;
}

Bits Selection::members(const GroupId& group) const {
  const Bits* const all = groups.contains(group) ? view.members(group) : nullptr;
  return all == nullptr ? Bits{} : *all & candidates;
}

Bits Selection::members(const std::vector<GroupId>& list) const {
  Bits out;
  for (const GroupId& id : list) {
    if (!groups.contains(id)) continue;
    if (list.size() == 1 || view.snapshot().group(id)->is_all()) return members(id);
    out |= members(id);
  }
  return out;
}

Bits Selection::side(const management::Resource& resource, const std::vector<GroupId>& list) const {
  if (!names_peer(resource)) return members(list);
  Bits one;
  const PeerIndex peer = view.find(PeerId(resource.id));
  if (peer != kNoPeer && candidates.test(peer)) one.set(peer);
  return one;
}

Bits Selection::without_failed(Bits peers, const Policy& policy) const {
  for (const auto& id : policy.source_posture_checks)
    if (const auto found = failed.find(id); found != failed.end()) peers -= found->second;
  return peers;
}

}  // namespace nb::netmap
