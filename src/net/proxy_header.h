// For whom a TCP balancer has connected: PROXY protocol, version 2.
// Source   haproxy.org proxy-protocol.txt §2.2; contract/signal-relay-ops.md §3.6.
#pragma once

#include "net/address.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nb::net {

/// Header and all of its extensions; a balancer's has some hundred bytes at most.
inline constexpr std::size_t kProxyHeaderMax = 4096;

struct ProxyHeader {
  enum class State : std::uint8_t { kNone, kPartial, kWhole, kBroken };
  State state = State::kNone;
  std::size_t size = 0;                 // of a whole one
  std::optional<PeerAddress> client{};  // absent: the balancer speaks for itself
};

/// What stands at the beginning of a connection; `bytes` is all that has come.
[[nodiscard]] ProxyHeader read_proxy_header(std::string_view bytes);

}  // namespace nb::net
