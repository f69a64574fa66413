// How routes look, and the firewall rules of the peers that serve them.
// Source   contract/network-map.md §1.10, §2.8, §2.10.
#pragma once

#include "management/netmap/network_map.h"

#include <string>
#include <vector>

namespace nb::netmap {

/// Routes with one HA id stand in for each other.
[[nodiscard]] std::string ha_id(const management::Route& route);
[[nodiscard]] bool is_default_v4(const management::Prefix& network);
/// The companion of a default route for targets with IPv6.
[[nodiscard]] MapRoute ipv6_default(MapRoute route);
/// A resource's route without `peer`, and with only its own id.
[[nodiscard]] MapRoute resource_route_of(const management::NetworkResource& resource,
                                         const management::NetworkRouter& router);

/// What the rules of a route lead to.
struct RuleTarget {
  std::string route_id;
  management::Prefix network;
  bool is_dynamic = false;
  std::vector<std::string> domains;
};
[[nodiscard]] RuleTarget target_of(const MapRoute& route);

/// Addresses of peers, as prefixes.
struct RuleSources {
  std::vector<std::string> v4;  // of all
  std::vector<std::string> v6;  // of those that have one
};

/// A route without access-control groups is open.
void permit_everyone(const RuleTarget& to, bool ipv6, std::vector<RouteRule>& out);

/// One rule per port or range, for IPv4 or IPv6 as the network is, and for both where the route is
/// by domains or to everywhere. Rules without sources are made, too.
void route_rules(const RuleSources& sources, const RuleView& rule, const RuleTarget& to, bool ipv6,
                 std::vector<RouteRule>& out);

}  // namespace nb::netmap
