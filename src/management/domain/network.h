// Networks: resources behind routing peers, reached by policies.
// Source   contract/network-map.md §1.11.
#pragma once

#include "management/domain/address.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

inline constexpr std::string_view kResourceHost = "host";
inline constexpr std::string_view kResourceSubnet = "subnet";
inline constexpr std::string_view kResourceDomain = "domain";
inline constexpr std::string_view kResourcePeer = "peer";

struct Network {
  NetworkId id;
  AccountId account_id;
  PublicId public_id;
  std::string name;
  std::string description;
};

struct NetworkRouter {
  RouterId id;
  NetworkId network_id;
  AccountId account_id;
  PublicId public_id;
  PeerId peer;  // or peer_groups
  std::vector<GroupId> peer_groups;
  bool masquerade = false;
  std::int64_t metric = 0;
  bool enabled = false;
  std::int64_t order = 0;  // of insertion
};

struct NetworkResource {
  ResourceId id;
  NetworkId network_id;
  AccountId account_id;
  PublicId public_id;
  std::string name;
  std::string description;
  std::string type;    // kResourceHost, kResourceSubnet or kResourceDomain
  std::string domain;  // of a domain resource; may start with "*."
  Prefix prefix;       // of the others
  bool enabled = false;
};

}  // namespace nb::management
