// Connections, firewall rules and SSH logins out of a component map. Private to component_map.h.
// Source   contract/network-map.md §2.4–§2.6.
#pragma once

#include "client/component_peers.h"

namespace management {
class NetworkMap;
}

namespace nb::client {

/// Adds `FirewallRules` and `sshAuth` to the map; returns whom the receiver is connected to.
[[nodiscard]] ComponentPeerSet add_peer_rules(const ComponentPeers& peers,
                                              ::management::NetworkMap& out);

}  // namespace nb::client
