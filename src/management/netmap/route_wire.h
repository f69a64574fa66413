// Routes and their firewall rules as bytes of the protocol.
#pragma once

#include "management/netmap/network_map.h"

#include <string>

namespace nb::netmap {

/// The body of a Route; `peer_key`: of the routing peer.
[[nodiscard]] std::string encoded(const MapRoute& route, const std::string& peer_key);
/// The body of a RouteFirewallRule.
[[nodiscard]] std::string encoded(const RouteRule& rule);

}  // namespace nb::netmap
