// Requests of agents that count once: the protocol has no protection against replays.
// Source   contract/management-grpc.md §2; decision 0126.
#pragma once

#include "base/clock.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "management/store/token_use.h"

#include <chrono>
#include <string_view>
#include <utility>

namespace nb::management::app {

inline constexpr auto kRequestsRemembered = std::chrono::hours(1);

/// A request by the nonce of its box, which nobody may present again, its sender included: for an
/// hour, on every instance.
[[nodiscard]] inline TokenUse request_once(std::string_view nonce, PeerKey peer, WallTime now) {
  return {.token_hash = crypto::to_hex(crypto::sha256(nonce)),
          .peer = std::move(peer),
          .expires_at = now + kRequestsRemembered,
          .repeat = std::chrono::seconds(-1)};
}

}  // namespace nb::management::app
