// relay: carries WireGuard packets between peers that cannot reach each other.
//
// Purpose      the relay protocol over WebSocket: authentication, packets, presence, health checks.
// Not here     HTTP and WebSocket framing (net); the /health page and the process (cmd); QUIC,
// whose
//              sessions look like WebSockets to it (relay/quic).
// Start with   Service in service.h, PeerConnection in peer_connection.h, then shard.h for the way
//              of a packet: read buffer -> the receiver's SendQueue -> socket, on one loop.
// Threads      a Shard per loop; connections stay on theirs. Packets for another loop are collected
//              and posted once per turn. Only the Registry is shared, behind 64 locks.
// Limits       Options below; each has a counter in RelayMetrics.
// Failure      a bad peer loses its own connection; a slow one its own packets.
// Decisions    docs/decisions/0040-relay-data-path.md
// Source       contract/signal-relay-ops.md §3
#pragma once

#include "base/secret.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace nb::relay {

enum class Transport : std::uint8_t { kWebSocket, kQuic };

struct Options {
  std::string instance_url{};  // what peers advertise and compare byte for byte (§3.5)
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds health_interval{25'000};
  std::chrono::milliseconds health_check{45'000};
  std::uint32_t health_failures_max = 1;
  std::chrono::milliseconds write_timeout{10'000};
  std::chrono::milliseconds drain_time{2'000};  // goodbyes are spread over it
  std::uint64_t queue_bytes_max = 512 * 1024;   // per peer; four reads' worth at least
  std::uint64_t queue_bytes_total_max = 512ULL * 1024 * 1024;
  std::uint64_t loop_bytes_max = 16ULL * 1024 * 1024;  // on the way to each loop
  std::uint32_t subscriptions_max = 16'384;            // per peer
  std::uint64_t subscriptions_total_max = 4'000'000;
  std::uint32_t handshakes_max = 16'384;
  std::uint32_t replace_burst = 5;  // displacements of one id …
  std::chrono::milliseconds replace_window{10'000};
};

}  // namespace nb::relay
