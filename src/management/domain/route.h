// A network behind a peer, without resources and access rules of its own ("legacy route").
// Source   contract/network-map.md §1.10.
#pragma once

#include "management/domain/address.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

/// Values of Route::network_type, as stored and as sent.
inline constexpr std::int64_t kNetworkTypeIpv4 = 1;
inline constexpr std::int64_t kNetworkTypeIpv6 = 2;
inline constexpr std::int64_t kNetworkTypeDomain = 3;

struct Route {
  RouteId id;
  AccountId account_id;
  PublicId public_id;
  Prefix network;                    // 192.0.2.0/32 where the route is by domains
  std::vector<std::string> domains;  // punycode
  bool keep_route = false;
  std::string net_id;
  std::string description;
  PeerId peer;  // or peer_groups
  std::vector<GroupId> peer_groups;
  std::int64_t network_type = 0;
  bool masquerade = false;
  std::int64_t metric = 0;
  bool enabled = false;
  std::vector<GroupId> groups;  // who gets the route
  std::vector<GroupId> access_control_groups;
  bool skip_auto_apply = false;

  [[nodiscard]] bool is_dynamic() const { return network_type == kNetworkTypeDomain; }
};

}  // namespace nb::management
