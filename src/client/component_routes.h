// Routes, networks and what they let through out of a component map. Private to component_map.h.
// Source   contract/network-map.md §2.8, §2.10.
#pragma once

#include "client/component_peers.h"

namespace management {
class NetworkMap;
}

namespace nb::client {

/// Adds `Routes` and `routesFirewallRules` to the map, and to `active` the peers that the receiver
/// reaches by networks alone; `offline`: whose logins have ended.
void add_routes(const ComponentPeers& peers, const ComponentPeerSet& offline,
                ComponentPeerSet& active, ::management::NetworkMap& out);

}  // namespace nb::client
