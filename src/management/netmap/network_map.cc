#include "management/netmap/network_map.h"

#include "management/domain/login_rules.h"

#include <set>
#include <tuple>
#include <utility>

namespace nb::netmap {
namespace {

using management::IpAddress;
using management::Peer;

/// Peer connections, firewall rules and SSH (contract/network-map.md §2.4 to §2.7).
class Policies {
 public:
  Policies(const Selection& selection, NetworkMap& map)
      : selection_(selection),
        view_(selection.view),
        me_(view_.peers()[selection.target]),
        map_(map) {}

  Bits connect() {
    for (const PolicyView* const policy : selection_.policies)
      for (const RuleView& rule : policy->rules) apply(*policy->policy, rule);
    connected_.reset(selection_.target);
    map_.ssh_auth = ssh_users_.result();
    return connected_;
  }

 private:
  void apply(const management::Policy& policy, const RuleView& resolved) {
    const auto& rule = *resolved.rule;
    Bits sources = selection_.side(rule.source_resource, rule.sources);
    if (!names_peer(rule.source_resource))
      sources = selection_.without_failed(std::move(sources), policy);
    const Bits destinations = selection_.side(rule.destination_resource, rule.destinations);
    const bool source = sources.test(selection_.target);
    const bool destination = destinations.test(selection_.target);
    if (destination) ssh(rule);
    const bool both_ways = rule.bidirectional;
    const auto remotes = [&](bool to_destinations, bool to_sources) {
      Bits out;
      if (to_destinations) out |= destinations;
      if (to_sources) out |= sources;
      return out;
    };
    emit(resolved, remotes(source && both_ways, destination), Direction::kIn);
    emit(resolved, remotes(source, destination && both_ways), Direction::kOut);
  }

  void ssh(const management::PolicyRule& rule) {
    const SshEffect effect = ssh_effect(rule);
    if (effect == SshEffect::kNone) return;
    if (effect == SshEffect::kWhereEnabled && !me_.peer->ssh_enabled) return;
    map_.ssh_enabled = true;
    ssh_users_.apply(rule, view_.users());
  }

  void emit(const RuleView& rule, const Bits& remotes, Direction direction) {
    const PortFeatures features{.ranges = me_.features.port_ranges,
                                .ssh_companion = me_.features.native_ssh && me_.peer->ssh_enabled &&
                                                 me_.peer->meta.flags.server_ssh_allowed &&
                                                 rule.rule->protocol == management::kProtocolTcp};
    const auto& ports = rule.ports_for(features);
    remotes.for_each([&](PeerIndex remote) {
      if (remote == selection_.target) return;
      connected_.set(remote);
      const Peer& peer = *view_.peers()[remote].peer;
      if (!emit_address(rule, ports, peer.ip, direction)) return;
      // The remote's own IPv6 capability is not asked for (§2.4 step 5).
      if (me_.has_ipv6 && peer.ipv6.is_set()) emit_address(rule, ports, peer.ipv6, direction);
    });
  }

  /// False when the same rule was there before: injected policies may share an id.
  bool emit_address(const RuleView& rule, const std::vector<PortSelection>& ports,
                    const IpAddress& remote, Direction direction) {
    std::string listed;
    for (const std::string& port : rule.rule->ports) listed += port + ',';
    if (!seen_
             .emplace(rule.rule->id.value(), remote, direction, rule.protocol, rule.action,
                      std::move(listed))
             .second)
      return false;
    for (const PortSelection& selection : ports)
      map_.firewall_rules.push_back({.rule = rule.rule,
                                     .remote = remote,
                                     .direction = direction,
                                     .action = rule.action,
                                     .protocol = rule.protocol,
                                     .ports = &selection});
    return true;
  }

  const Selection& selection_;
  const AccountView& view_;
  const PeerView& me_;
  NetworkMap& map_;
  Bits connected_;
  SshUsers ssh_users_;
  std::set<std::tuple<std::string, IpAddress, Direction, Protocol, Action, std::string>> seen_;
};

Connections split(const AccountView& view, const Bits& connected, WallTime now) {
  Connections out;
  // Blocking a user marks the user's peers as expired; nothing beyond that is asked for.
  connected.for_each([&](PeerIndex peer) {
    const bool expired =
        management::login_expired(*view.peers()[peer].peer, view.snapshot().account.settings, now);
    (expired ? out.offline : out.active).set(peer);
  });
  return out;
}

void list_peers(const AccountView& view, const Bits& connected, const Connections& connections,
                WallTime now, NetworkMap& map) {
  connections.active.for_each([&](PeerIndex peer) { map.remote_peers.push_back(peer); });
  connections.offline.for_each([&](PeerIndex peer) { map.offline_peers.push_back(peer); });
  connected.for_each([&](PeerIndex peer) {
    const auto deadline =
        management::login_deadline(*view.peers()[peer].peer, view.snapshot().account.settings);
    if (deadline && *deadline > now && (!map.changes_at || *deadline < *map.changes_at))
      map.changes_at = deadline;
  });
}

}  // namespace

NetworkMap calculate(const AccountView& view, PeerIndex target, WallTime now) {
  NetworkMap map;
  map.serial = view.serial();
  map.target = target;
  map.ssh_enabled = view.peers()[target].peer->ssh_enabled;
  add_checks(view, map);
  map.validated = view.peers()[target].validated;
  if (!map.validated) return map;
  const Selection selection(view, target);
  const Bits connected = Policies(selection, map).connect();
  Connections connections = split(view, connected, now);
  add_routes(selection, connections, map);
  list_peers(view, connected, connections, now, map);
  add_names(selection, map);
  map.force_dns_resolution = view.must_resolve_dns(target);
  return map;
}

}  // namespace nb::netmap
