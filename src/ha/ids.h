// Names of instances, of their starts, and of claims on peers.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/strong_id.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace nb::ha {

/// One server of a service, as operators name it; stays the same over restarts.
/// Shape    1..128 printable ASCII characters without blanks; '/' is allowed.
struct InstanceId : StrongId<InstanceId, std::string> {
  using StrongId::StrongId;
};

/// One start of an instance (boot nonce), unique for ever.
/// Shape    32 hex digits: 16 of the start's wall clock in µs, 16 random. So of two incarnations of
///          one instance the greater one started later (as far as clocks agree).
struct Incarnation : StrongId<Incarnation, std::string> {
  using StrongId::StrongId;
};

/// What the directory is keyed by: a peer's id as the service knows it (signal: the registered id).
struct PeerKey : StrongId<PeerKey, std::string> {
  using StrongId::StrongId;
};

/// 64 random bits with each call; injected, so that simulations repeat.
using Random = std::function<std::uint64_t()>;
/// The system's, unpredictable.
[[nodiscard]] Random system_random();

/// A new incarnation from the clock and a random number.
[[nodiscard]] Incarnation make_incarnation(WallTime started, std::uint64_t random);

/// Configuration, then NB_HA_INSTANCE_ID, then the host name, then a random UUID; the first that is
/// not empty (contract/signal-relay-ops.md §2.1, design.md §4).
/// Errors   kInvalidArgument: the chosen id is not of InstanceId's shape.
[[nodiscard]] Result<InstanceId> choose_instance_id(std::string_view configured,
                                                    std::string_view environment,
                                                    std::string_view host_name,
                                                    std::string_view uuid);

/// Checks a configured Redis key or prefix once: 1..128 printable ASCII characters without blanks.
/// Keys are then used byte for byte (contract/signal-relay-ops.md §2.2 S1).
[[nodiscard]] Result<> check_key(std::string_view setting, std::string_view key);

/// "This instance, in this start, serves the peer since seq."
/// Of two claims on one peer the greater seq is the newer one, across all instances: the directory
/// gives out max(proposed, previous + 1), and instances propose their wall clock in µs.
struct Claim {
  InstanceId instance;
  Incarnation incarnation;
  std::uint64_t seq = 0;  // < 2^53, so that Lua keeps it exactly

  friend bool operator==(const Claim&, const Claim&) = default;
};

/// The claim's fencing token: `<instance>/<boot nonce>/<seq>` (contract/signal-relay-ops.md §2.2
/// S4).
[[nodiscard]] std::string token(const Claim& claim);
/// Empty when `text` is no token; such texts come from outsiders.
[[nodiscard]] std::optional<Claim> parse_token(std::string_view text);
}  // namespace nb::ha
