// Zones and name servers of a peer, and the posture checks it has to look for
// (contract/network-map.md §1.9, §2.9, §2.11).
#include "management/netmap/injected_policies.h"
#include "management/netmap/network_map.h"
#include "management/netmap/posture.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nb::netmap {
namespace {

using management::GroupId;
using management::Peer;

constexpr std::int64_t kPeerRecordTtl = 300;
constexpr std::int64_t kServiceRecordTtl = 5;

void add_peer_zone(const Selection& selection, NetworkMap& map) {
  const AccountView& view = selection.view;
  const std::string& domain = view.dns_domain();
  if (domain.empty()) return;
  const bool ipv6 = view.peers()[selection.target].has_ipv6;
  MapZone zone;
  zone.domain = absolute_name(domain);
  selection.in_zone.for_each([&](PeerIndex index) {
    const PeerView& known = view.peers()[index];
    const Peer& peer = *known.peer;
    if (peer.dns_label.empty()) return;
    const auto add = [&](const std::string& label) {
      const std::string name = label + '.' + domain;
      zone.records.push_back({name, kRecordA, kPeerRecordTtl, peer.ip.to_string()});
      if (ipv6 && known.has_ipv6 && known.in_ipv6_group)
        zone.records.push_back({name, kRecordAaaa, kPeerRecordTtl, peer.ipv6.to_string()});
    };
    add(peer.dns_label);
    for (const std::string& label : peer.extra_dns_labels) add(label);
  });
  if (!zone.records.empty()) map.zones.push_back(std::move(zone));
}

void add_custom_zones(const AccountView& view, NetworkMap& map) {
  for (const auto& zone : view.snapshot().zones) {
    if (!zone.enabled || zone.records.empty() ||
        !view.any_member(zone.distribution_groups, map.target))
      continue;
    MapZone out;
    out.domain = absolute_name(zone.domain);
    out.search_domain_disabled = !zone.enable_search_domain;
    out.non_authoritative = true;
    for (const auto& record : zone.records) {
      const std::string name = absolute_name(record.name);
      if (record.type == "A") out.records.push_back({name, kRecordA, record.ttl, record.content});
      if (record.type == "AAAA")
        out.records.push_back({name, kRecordAaaa, record.ttl, record.content});
      if (record.type == "CNAME")
        out.records.push_back({name, kRecordCname, record.ttl, absolute_name(record.content)});
    }
    map.zones.push_back(std::move(out));
  }
}

void add_service_zones(const AccountView& view, NetworkMap& map) {
  std::map<std::string, MapZone> by_apex;
  for (const auto& service : view.snapshot().services) {
    if (!service.enabled || !service.is_private ||
        !view.any_member(service.access_groups, map.target))
      continue;
    const std::string apex = service_zone(view.snapshot(), service);
    if (apex.empty()) continue;
    for (const PeerView& known : view.peers()) {
      const Peer& peer = *known.peer;
      // An address that does not answer would be a black hole for as long as it is cached.
      if (!peer.proxy_embedded || peer.proxy_cluster != service.proxy_cluster ||
          !peer.status.connected || !peer.ip.is_set())
        continue;
      by_apex[apex].records.push_back(
          {absolute_name(service.domain), kRecordA, kServiceRecordTtl, peer.ip.to_string()});
    }
  }
  for (auto& [apex, zone] : by_apex) {
    zone.domain = absolute_name(apex);
    zone.search_domain_disabled = true;
    zone.non_authoritative = true;
    map.zones.push_back(std::move(zone));
  }
}

void add_name_servers(const AccountView& view, NetworkMap& map) {
  const auto& own = view.peers()[map.target].peer->ip;
  for (const auto& group : view.snapshot().name_server_groups) {
    const bool is_server = std::ranges::any_of(
        group.name_servers, [&](const auto& server) { return server.ip == own; });
    if (group.enabled && !is_server && view.any_member(group.groups, map.target))
      map.name_servers.push_back(&group);
  }
}

}  // namespace

std::string absolute_name(std::string name) {
  if (!name.ends_with('.')) name.push_back('.');
  return name;
}

void add_names(const Selection& selection, NetworkMap& map) {
  const AccountView& view = selection.view;
  map.dns_enabled =
      !view.any_member(view.snapshot().account.dns_disabled_management_groups, map.target);
  if (!map.dns_enabled) return;
  add_peer_zone(selection, map);
  add_distributed_names(view, map);
}

void add_distributed_names(const AccountView& view, NetworkMap& map) {
  add_custom_zones(view, map);
  add_service_zones(view, map);
  add_name_servers(view, map);
}

void add_checks(const AccountView& view, NetworkMap& map) {
  std::set<management::PostureCheckId> wanted;
  for (const PolicyView& policy : view.policies()) {
    const auto& checks = policy.policy->source_posture_checks;
    if (checks.empty()) continue;
    if (std::ranges::any_of(policy.rules, [&](const RuleView& rule) {
          return view.any_member(rule.rule->sources, map.target);
        }))
      wanted.insert(checks.begin(), checks.end());
  }
  for (const auto& id : wanted) {
    const auto* const check = view.snapshot().posture_checks.find(id);
    if (check == nullptr) continue;
    auto files = checked_files(check->checks);
    if (!files.empty()) map.checks.push_back(std::move(files));
  }
}

}  // namespace nb::netmap
