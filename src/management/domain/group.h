// A named set of peers and resources.
// Source   contract/network-map.md §1.7.
#pragma once

#include "management/domain/ids.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

/// Upstream finds the group of everybody by this name; so do we.
inline constexpr std::string_view kGroupAllName = "All";

inline constexpr std::string_view kIssuedApi = "api";
inline constexpr std::string_view kIssuedJwt = "jwt";
inline constexpr std::string_view kIssuedIntegration = "integration";

/// A reference from a group or rule to a peer or a network resource.
struct Resource {
  std::string id;
  std::string type;  // "peer", "host", "subnet", "domain"; empty: unset
  [[nodiscard]] bool is_set() const { return !id.empty(); }
  friend bool operator==(const Resource&, const Resource&) = default;
};

struct Group {
  GroupId id;
  AccountId account_id;
  PublicId public_id;
  std::string name;
  std::string issued;
  std::vector<PeerId> peers;  // sorted; only peers that exist in the account
  std::vector<Resource> resources;
  std::int64_t integration_ref_id = 0;
  std::string integration_ref_type;

  [[nodiscard]] bool is_all() const { return name == kGroupAllName; }
};

}  // namespace nb::management
