// Load for relays: peers in pairs that send packets to each other both ways, and peers that only
// stay connected.
// Source   contract/signal-relay-ops.md §3; issue 6 §1
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "load/client_loop.h"
#include "load/course.h"

#include <cstddef>
#include <cstdint>

namespace nb::bench {

struct RelayPlan : CoursePlan {
  RelayPlan() {
    peers = 200;
    drain_max = std::chrono::milliseconds(5'000);
  }
  Endpoint target;
  Secret secret;              // shared with the relay
  std::uint32_t pairs = 100;  // of the peers, which exchange packets; the rest is idle
  double rate = 0;            // packets a second; 0: saturated
  std::uint32_t window = 16;  // saturated: packets of one peer on their way
  std::size_t packet_bytes = 1200;
  bool coalesce = true;  // packets of one peer and turn leave in one write, as a network joins them
};

/// Latency is that of packets that were due in the window.
struct RelayResult : LoadResult {
  std::uint64_t damaged = 0;    // changed on the way, or from a peer it does not come from
  std::uint64_t reordered = 0;  // came after a later one of its flow; includes duplicates

  [[nodiscard]] std::uint64_t lost() const { return sent > delivered ? sent - delivered : 0; }
  [[nodiscard]] double packets_per_cpu_second() const { return cpu_us > 0 ? 1e6 / cpu_us : 0; }
};

/// Errors   kUnavailable: not every peer was let in; kInvalidArgument: an impossible plan.
Result<RelayResult> run_relay(const RelayPlan& plan);

}  // namespace nb::bench
