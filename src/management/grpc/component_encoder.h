// A peer's map in the component form: what the peer may know, for it to calculate the map itself.
// Source   contract/management-grpc.md §3.6, §7; docs/decisions/0122-component-maps.md
#pragma once

#include "base/clock.h"
#include "management/netmap/component_index.h"

#include <optional>
#include <string>

namespace nb::management::grpc {

struct ComponentMap {
  std::string network;  // fields of AccountNetwork besides the serial
  std::string map;      // fields of NetworkMapComponentsFull besides serial and network
};

struct ComponentInput {
  const netmap::ComponentIndex& index;
  netmap::PeerIndex target;          // position in index.account().peers()
  WallTime now;                      // by which logins have ended
  const std::string& peer_config;    // encoded
  const std::string& user_id_claim;  // of SSH tokens
};

/// What receivers calculate from it is the legacy map, but for ids, which are public ones.
/// Nothing where the form cannot say that: the receiver then gets the legacy map. Any thread.
[[nodiscard]] std::optional<ComponentMap> encode_components(const ComponentInput& input);

}  // namespace nb::management::grpc
