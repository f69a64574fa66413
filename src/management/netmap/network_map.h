// netmap: what one peer may know and do, computed from a snapshot of its account.
//
// Purpose      AccountView (once per snapshot), then calculate() per peer: the plain, readable
//              calculation that stays the oracle of the fast one.
// Not here     wire encoding (management/grpc), loading and fan-out (management/app).
// Start with   calculate() below; account_view.h for what is shared, selection.h for what a peer
// may
//              know, then policies, routes and names in network_map.cc, map_routes.cc, map_dns.cc.
// Threads      pure; an AccountView is immutable and may be used from many threads.
// Limits       none of its own: proportional to the account, for every peer.
// Failure      nothing fails: dangling ids and unknown values are skipped.
// Source       contract/network-map.md §2.
#pragma once

#include "base/clock.h"
#include "management/domain/address.h"
#include "management/netmap/account_view.h"
#include "management/netmap/selection.h"
#include "management/netmap/ssh_users.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nb::netmap {

/// One rule of the target's firewall towards or from one address.
struct FirewallRule {
  const management::PolicyRule* rule = nullptr;
  management::IpAddress remote;
  Direction direction = Direction::kIn;
  Action action = Action::kAccept;
  Protocol protocol = Protocol::kAll;
  const PortSelection* ports = nullptr;  // of the view
};

/// As the target gets it; `peer` is the one that routes.
struct MapRoute {
  std::string id;
  std::string net_id;
  management::Prefix network;
  std::int64_t network_type = 0;
  std::vector<std::string> domains;
  PeerIndex peer = kNoPeer;
  std::int64_t metric = 0;
  bool masquerade = false;
  bool keep_route = false;
  bool skip_auto_apply = false;
};

/// What a routing peer lets through to a network.
struct RouteRule {
  std::vector<std::string> sources;
  Action action = Action::kAccept;
  Protocol protocol = Protocol::kAll;
  std::string destination;
  std::uint16_t port = 0;         // 0: by range
  management::PortRange range{};  // {0,0}: any
  bool is_dynamic = false;
  std::vector<std::string> domains;
  std::string policy_id;  // empty: no policy is asked
  std::string route_id;
};

/// Values of DnsRecord::type, as in the DNS.
inline constexpr std::int64_t kRecordA = 1;
inline constexpr std::int64_t kRecordCname = 5;
inline constexpr std::int64_t kRecordAaaa = 28;

struct DnsRecord {
  std::string name;
  std::int64_t type = 0;
  std::int64_t ttl = 0;
  std::string data;
};

struct MapZone {
  std::string domain;  // with trailing dot
  std::vector<DnsRecord> records;
  bool search_domain_disabled = false;
  bool non_authoritative = false;
};

/// References into the AccountView it was made from.
struct NetworkMap {
  std::uint64_t serial = 0;
  PeerIndex target = kNoPeer;
  bool validated = false;                // otherwise only `checks` is filled
  std::vector<PeerIndex> remote_peers;   // ascending
  std::vector<PeerIndex> offline_peers;  // login expired
  std::vector<FirewallRule> firewall_rules;
  std::vector<MapRoute> routes;
  std::vector<RouteRule> route_rules;
  bool ssh_enabled = false;  // by a policy, or the peer's own setting
  SshAuth ssh_auth;
  bool force_dns_resolution = false;
  bool dns_enabled = false;
  std::vector<MapZone> zones;
  std::vector<const management::NameServerGroup*> name_servers;
  std::vector<std::vector<std::string>> checks;  // files of each check
  /// When an active remote peer's login ends, and so this map changes by time alone.
  std::optional<WallTime> changes_at;
};

/// The map of `target`, a position in view.peers().
[[nodiscard]] NetworkMap calculate(const AccountView& view, PeerIndex target, WallTime now);

/// Parts of calculate().
struct Connections {
  Bits active;   // filled by policies, extended by resource routes
  Bits offline;  // login expired
};
void add_routes(const Selection& selection, Connections& connections, NetworkMap& map);
void add_names(const Selection& selection, NetworkMap& map);
/// Of add_names(): all but the zone of the peers. `map.target` is set.
void add_distributed_names(const AccountView& view, NetworkMap& map);
void add_checks(const AccountView& view, NetworkMap& map);
/// A name with its trailing dot.
[[nodiscard]] std::string absolute_name(std::string name);

}  // namespace nb::netmap
