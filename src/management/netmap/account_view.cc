#include "management/netmap/account_view.h"

#include "management/netmap/policies_in_force.h"
#include "management/netmap/posture.h"
#include "management/netmap/row_order.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nb::netmap {
namespace {

using management::Group;
using management::GroupId;
using management::NetworkResource;
using management::NetworkRouter;
using management::Peer;
using management::PeerId;
using management::Policy;
using management::PolicyRule;

constexpr std::int64_t kForwarderPort = 22054;
constexpr std::int64_t kForwarderPortOld = 5353;

}  // namespace

RuleView::RuleView(const PolicyRule& source)
    : rule(&source),
      action(*action_of(source)),
      protocol(*protocol_of(source)),
      ssh(source.protocol == management::kProtocolSsh) {
  for (const bool ranges : {false, true})
    for (const bool companion : {false, true})
      ports[ranges ? 1 : 0][companion ? 1 : 0] =
          expand_ports(source, {.ranges = ranges, .ssh_companion = companion});
}

AccountView::AccountView(management::AccountSnapshotPtr snapshot, std::string dns_domain)
    : snapshot_(std::move(snapshot)),
      dns_domain_(snapshot_->account.dns_domain(dns_domain)),
      users_(*snapshot_) {
  index_peers();
  index_policies();
  index_networks();
}

PeerIndex AccountView::find(const PeerId& id) const {
  const std::size_t position = snapshot_->peers.position(id);
  return position == snapshot_->peers.kNowhere ? kNoPeer : static_cast<PeerIndex>(position);
}

void AccountView::index_peers() {
  const auto& settings = snapshot_->account.settings;
  bool all_new = !snapshot_->peers.empty();
  peers_.reserve(snapshot_->peers.size());
  for (const Peer& peer : snapshot_->peers) {
    PeerView view;
    view.peer = &peer;
    view.features = AgentFeatures::of(peer.meta.wt_version);
    view.validated = !(settings.extra_peer_approval_enabled && peer.status.requires_approval);
    view.has_ipv6 = peer.ipv6.is_set() && peer.meta.supports_ipv6();
    view.source_prefixes = peer.meta.has_capability(management::kCapabilitySourcePrefixes);
    // Peers inside reverse proxies are in no group, and count as members of every IPv6 group.
    view.in_ipv6_group = peer.proxy_embedded && !settings.ipv6_enabled_groups.empty();
    all_new = all_new && view.features.new_forwarder;
    peers_.push_back(view);
  }
  forwarder_port_ = all_new ? kForwarderPort : kForwarderPortOld;
  for (const Group& group : snapshot_->groups) {
    Bits& members = members_[group.id];
    for (const PeerId& id : group.peers)
      if (const PeerIndex index = find(id); index != kNoPeer) members.set(index);
  }
  for (const GroupId& id : settings.ipv6_enabled_groups)
    if (const Bits* const group = members(id))
      group->for_each([&](PeerIndex peer) { peers_[peer].in_ipv6_group = true; });
}

void AccountView::index_policies() {
  for (auto& policy : policies_in_force(*snapshot_)) {
    for (const auto& id : policy->source_posture_checks) {
      const auto* const check = snapshot_->posture_checks.find(id);
      if (check == nullptr || failing_.contains(id)) continue;
      Bits& failing = failing_[id];
      for (PeerIndex peer = 0; peer < peers_.size(); ++peer)
        if (!passes(check->checks, *peers_[peer].peer)) failing.set(peer);
    }
    PolicyView view{.policy = policy, .rules = {}};
    for (const PolicyRule& rule : policy->rules)
      if (usable(rule)) view.rules.emplace_back(rule);
    policies_.push_back(std::move(view));
  }
}

std::vector<ResourcePolicy> AccountView::policies_to(const NetworkResource& to) const {
  std::set<GroupId> groups;
  for (const Group& group : snapshot_->groups)
    for (const auto& resource : group.resources)
      if (resource.id == to.id.value()) groups.insert(group.id);
  std::vector<ResourcePolicy> out;
  for (const PolicyView& policy : policies_) {
    ResourcePolicy found{.policy = &policy, .rules = {}};
    for (const RuleView& rule : policy.rules)
      if (rule.rule->destination_resource.id == to.id.value() ||
          std::ranges::any_of(rule.rule->destinations,
                              [&](const GroupId& id) { return groups.contains(id); }))
        found.rules.push_back(&rule);
    if (!found.rules.empty()) out.push_back(std::move(found));
  }
  return out;
}

void AccountView::index_networks() {
  // A later row for the same peer wins.
  for (const std::size_t position : by_order(snapshot_->routers)) {
    const NetworkRouter& router = snapshot_->routers[position];
    if (!router.enabled) continue;
    Routers& routers = routers_[router.network_id];
    if (!router.peer.empty()) {
      if (const PeerIndex peer = find(router.peer); peer != kNoPeer) routers[peer] = &router;
      continue;
    }
    for (const GroupId& id : router.peer_groups)
      if (const Bits* const group = members(id))
        group->for_each([&](PeerIndex peer) { routers[peer] = &router; });
  }
  std::set<std::string> served;
  for (const auto& service : snapshot_->services)
    if (service.enabled && !service.terminated)
      for (const auto& target : service.targets)
        if (target.enabled && target.target_type == management::kResourceDomain)
          served.insert(target.target_id);
  for (const NetworkResource& resource : snapshot_->resources) {
    resource_policies_.push_back(resource.enabled ? policies_to(resource)
                                                  : std::vector<ResourcePolicy>{});
    const Routers* const by = routers(resource.network_id);
    if (by != nullptr && resource.enabled && resource.type == management::kResourceDomain &&
        served.contains(resource.id.value()))
      for (const auto& [peer, router] : *by) must_resolve_.set(peer);
  }
}

const Bits* AccountView::members(const GroupId& group) const {
  const auto found = members_.find(group);
  return found == members_.end() ? nullptr : &found->second;
}

bool AccountView::is_member(const GroupId& group, PeerIndex peer) const {
  const Bits* const found = members(group);
  return found != nullptr && found->test(peer);
}

bool AccountView::any_member(const std::vector<GroupId>& groups, PeerIndex peer) const {
  return std::ranges::any_of(groups, [&](const GroupId& id) { return is_member(id, peer); });
}

const management::PostureCheckId* AccountView::failed_check(const Policy& policy,
                                                            PeerIndex peer) const {
  for (const auto& id : policy.source_posture_checks) {
    const auto failing = failing_.find(id);
    if (failing != failing_.end() && failing->second.test(peer)) return &id;
  }
  return nullptr;
}

const AccountView::Routers* AccountView::routers(const management::NetworkId& network) const {
  const auto found = routers_.find(network);
  return found == routers_.end() ? nullptr : &found->second;
}

}  // namespace nb::netmap
