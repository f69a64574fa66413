// A network map out of a component map: the rules by which the receiver calculates it.
// Source   contract/management-grpc.md §3.6, §7; contract/network-map.md §2.3–§2.11.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <string>

namespace management {
class NetworkMap;
class NetworkMapEnvelope;
}  // namespace management

namespace nb::client {

/// The map that the peer with the WireGuard key `own_key` (32 bytes) makes of `envelope` at `now`.
/// Pure; any thread. Cost: peers times the rules that concern the receiver.
/// Errors   kInvalidArgument: no full payload, or the receiver is not among the peers.
[[nodiscard]] Result<::management::NetworkMap> expand_components(
    const ::management::NetworkMapEnvelope& envelope, const std::string& own_key, WallTime now);

}  // namespace nb::client
