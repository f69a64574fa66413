#include "client/component_map.h"

#include "client/component_peers.h"
#include "client/component_routes.h"
#include "client/component_rules.h"
#include "proto/management.pb.h"

#include <algorithm>
#include <chrono>

namespace nb::client {
namespace {

namespace pb = ::management;

/// Takes those out whose logins have ended.
ComponentPeerSet take_expired(const ComponentPeers& peers, ComponentPeerSet& connected,
                              WallTime now) {
  const auto& settings = peers.full().account_settings();
  ComponentPeerSet out;
  std::erase_if(connected, [&](ComponentPeer index) {
    const pb::PeerCompact& who = peers.peer(index);
    const WallTime end{std::chrono::nanoseconds(who.last_login_unix_nano()) +
                       std::chrono::nanoseconds(settings.peer_login_expiration_ns())};
    const bool expired = settings.peer_login_expiration_enabled() && who.added_with_sso_login() &&
                         who.login_expiration_enabled() && end <= now;
    if (expired) out.insert(index);
    return expired;
  });
  return out;
}

void add_names(const ComponentPeers& peers, pb::NetworkMap& out) {
  auto& dns = *out.mutable_dnsconfig();
  dns.set_forwarderport(peers.full().dns_forwarder_port());
  const auto is_own = [&](const std::string& id) { return peers.is_own_group(id); };
  dns.set_serviceenable(
      std::ranges::none_of(peers.full().dns_settings().disabled_management_group_ids(), is_own));
  if (!dns.serviceenable()) return;
  if (!peers.full().custom_zone_domain().empty() && !peers.full().all_dns_records().empty()) {
    auto& zone = *dns.add_customzones();
    zone.set_domain(peers.full().custom_zone_domain());
    *zone.mutable_records() = peers.full().all_dns_records();
  }
  for (const auto& zone : peers.full().account_zones()) *dns.add_customzones() = zone;
  const std::string own_address = ComponentPeers::address(peers.own().ip());
  for (const auto& group : peers.full().nameserver_groups()) {
    const bool is_server = std::ranges::any_of(
        group.nameservers(), [&](const auto& server) { return server.ip() == own_address; });
    if (!group.enabled() || is_server || std::ranges::none_of(group.group_ids(), is_own)) continue;
    auto& entry = *dns.add_nameservergroups();
    *entry.mutable_nameservers() = group.nameservers();
    *entry.mutable_domains() = group.domains();
    entry.set_primary(group.primary());
    entry.set_searchdomainsenabled(group.search_domains_enabled());
  }
}

pb::NetworkMap expand(const ComponentPeers& peers, WallTime now) {
  pb::NetworkMap out;
  out.set_serial(peers.full().network().serial());
  *out.mutable_peerconfig() = peers.full().peer_config();
  ComponentPeerSet active = add_peer_rules(peers, out);
  const ComponentPeerSet offline = take_expired(peers, active, now);
  add_routes(peers, offline, active, out);
  for (const ComponentPeer peer : active) *out.add_remotepeers() = peers.remote(peer);
  for (const ComponentPeer peer : offline) *out.add_offlinepeers() = peers.remote(peer);
  add_names(peers, out);
  out.set_remotepeersisempty(out.remotepeers().empty());
  out.set_firewallrulesisempty(out.firewallrules().empty());
  out.set_routesfirewallrulesisempty(out.routesfirewallrules().empty());
  return out;
}

}  // namespace

Result<pb::NetworkMap> expand_components(const pb::NetworkMapEnvelope& envelope,
                                         const std::string& own_key, WallTime now) {
  if (!envelope.has_full()) return fail(Code::kInvalidArgument, "the envelope has no components");
  const auto& peers = envelope.full().peers();
  for (int at = 0; at < peers.size(); ++at)
    if (own_key.size() == kComponentKeyBytes && peers.Get(at).wg_pub_key() == own_key)
      return expand({envelope.full(), static_cast<ComponentPeer>(at)}, now);
  return fail(Code::kInvalidArgument, "the receiver is not among the peers of its own map");
}

}  // namespace nb::client
