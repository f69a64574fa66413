#include "management/netmap/account_view.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace nb::netmap {
namespace {

using management::Group;
using management::GroupId;
using management::Peer;
using management::PeerId;
using management::PolicyRule;
using management::User;
using management::UserId;

constexpr std::int64_t kForwarderPort = 22054;
constexpr std::int64_t kForwarderPortOld = 5353;

std::optional<Action> action_of(const PolicyRule& rule) {
  if (rule.action == management::kActionAccept) return Action::kAccept;
  if (rule.action == management::kActionDrop) return Action::kDrop;
  return std::nullopt;
}

std::optional<Protocol> protocol_of(const PolicyRule& rule) {
  if (rule.protocol == management::kProtocolAll) return Protocol::kAll;
  if (rule.protocol == management::kProtocolTcp || rule.protocol == management::kProtocolSsh)
    return Protocol::kTcp;
  if (rule.protocol == management::kProtocolUdp) return Protocol::kUdp;
  if (rule.protocol == management::kProtocolIcmp) return Protocol::kIcmp;
  return std::nullopt;
}

bool contains(const std::vector<GroupId>& list, const GroupId& id) {
  return std::ranges::find(list, id) != list.end();
}

}  // namespace

AccountView::AccountView(management::AccountSnapshotPtr snapshot, std::string dns_domain)
    : snapshot_(std::move(snapshot)), dns_domain_(snapshot_->account.dns_domain(dns_domain)) {
  index_peers();
  index_users();
  resolve_rules();
}

PeerIndex AccountView::find(const PeerId& id) const {
  const std::size_t position = snapshot_->peers.position(id);
  return position == snapshot_->peers.kNowhere ? kNoPeer : static_cast<PeerIndex>(position);
}

void AccountView::index_peers() {
  const auto& account = snapshot_->account;
  const auto& settings = account.settings;
  bool all_new = true;
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
    peers_.push_back(std::move(view));
  }
  forwarder_port_ = all_new ? kForwarderPort : kForwarderPortOld;
  for (const Group& group : snapshot_->groups) {
    const bool ipv6 = contains(settings.ipv6_enabled_groups, group.id);
    const bool no_dns = contains(account.dns_disabled_management_groups, group.id);
    auto& members = members_[group.id];
    for (const PeerId& id : group.peers) {
      const PeerIndex index = find(id);
      if (index == kNoPeer) continue;
      PeerView& peer = peers_[index];
      peer.in_ipv6_group |= ipv6;
      peer.dns_disabled |= no_dns;
      if (peer.validated) members.push_back(index);
    }
    std::ranges::sort(members);
  }
}

void AccountView::index_users() {
  for (const User& user : snapshot_->users) {
    if (user.blocked || user.is_service_user) continue;
    allowed_users_.push_back(user.id);
    for (const GroupId& group : user.auto_groups) group_users_[group].push_back(user.id);
  }
  std::ranges::sort(allowed_users_);
  if (const Group* const all = snapshot_->all_group()) group_users_[all->id] = allowed_users_;
}

std::vector<PeerIndex> AccountView::side(const std::vector<GroupId>& groups,
                                         const management::Resource& resource) const {
  if (resource.type == "peer") {
    const PeerIndex index = find(PeerId(resource.id));
    return index == kNoPeer ? std::vector<PeerIndex>{} : std::vector<PeerIndex>{index};
  }
  if (resource.is_set()) return {};  // hosts, subnets and domains are no peers
  // contract/network-map.md §2.3: `All` and a sole group stand for exactly their members.
  std::vector<PeerIndex> gathered;
  for (const GroupId& id : groups) {
    const auto members = members_.find(id);
    if (members == members_.end()) continue;  // dangling ids are skipped
    if (groups.size() == 1 || snapshot_->group(id)->is_all()) return members->second;
    gathered.insert(gathered.end(), members->second.begin(), members->second.end());
  }
  std::ranges::sort(gathered);
  gathered.erase(std::ranges::unique(gathered).begin(), gathered.end());
  return gathered;
}

void AccountView::resolve_rules() {
  std::set<std::string> ids;
  for (const auto& policy : snapshot_->policies) {
    if (!policy.enabled) continue;
    for (const PolicyRule& rule : policy.rules) {
      const auto action = action_of(rule);
      const auto protocol = protocol_of(rule);
      if (!rule.enabled || !action || !protocol) continue;
      ResolvedRule resolved;
      resolved.rule = &rule;
      resolved.action = *action;
      resolved.protocol = *protocol;
      resolved.ssh = rule.protocol == management::kProtocolSsh;
      resolved.sources = side(rule.sources, rule.source_resource);
      resolved.destinations = side(rule.destinations, rule.destination_resource);
      for (const bool ranges : {false, true})
        for (const bool companion : {false, true})
          resolved.ports[ranges ? 1 : 0][companion ? 1 : 0] =
              expand_ports(rule, {.ranges = ranges, .ssh_companion = companion});
      const auto position = static_cast<std::uint32_t>(rules_.size());
      for (const PeerIndex peer : resolved.sources) peers_[peer].as_source.push_back(position);
      for (const PeerIndex peer : resolved.destinations)
        peers_[peer].as_destination.push_back(position);
      rule_ids_repeat_ |= !ids.insert(rule.id.value()).second;
      rules_.push_back(std::move(resolved));
    }
  }
}

const std::vector<UserId>& AccountView::group_users(const GroupId& group) const {
  static const std::vector<UserId> kNobody;
  const auto found = group_users_.find(group);
  return found == group_users_.end() ? kNobody : found->second;
}

}  // namespace nb::netmap
