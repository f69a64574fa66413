// Load for relays: peers in pairs that send packets to each other both ways, and peers that only
// stay connected.
// Source   contract/signal-relay-ops.md §3; issue 6 §1
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "load/client_loop.h"
#include "load/histogram.h"
#include "load/process_stat.h"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nb::bench {

struct RelayPlan {
  Endpoint target;
  std::vector<pid_t> pids;  // servers whose cost is counted
  Secret secret;            // shared with the relay
  std::uint32_t peers = 200;
  std::uint32_t pairs = 100;  // of those peers, which exchange packets; the rest is idle
  std::uint32_t threads = 1;
  double rate = 0;            // packets a second; 0: saturated
  std::uint32_t window = 16;  // saturated: packets of one peer on their way
  std::size_t packet_bytes = 1200;
  bool coalesce = true;  // packets of one peer and turn leave in one write, as a network joins them
  std::chrono::milliseconds settle{2'000};  // before memory is read
  std::chrono::milliseconds warm_up{1'000};
  std::chrono::milliseconds duration{5'000};  // 0: no traffic
  std::chrono::milliseconds drain_max{5'000};
};

struct RelayResult {
  double seconds = 0;  // of the measured window
  std::uint64_t window_delivered = 0;
  double cpu_us_per_packet = 0;  // servers' CPU in the window / delivered in it
  double own_cpu_us_per_packet = 0;
  double switches_per_packet = 0;
  double cores = 0;        // that the servers used in the window
  std::uint64_t sent = 0;  // whole phase
  std::uint64_t delivered = 0;
  std::uint64_t damaged = 0;    // changed on the way, or from a peer it does not come from
  std::uint64_t reordered = 0;  // came after a later one of its flow; includes duplicates
  std::uint64_t connections_lost = 0;
  Histogram latency;  // of packets that were due in the window
  ProcessStat baseline;
  std::int64_t rss_idle = 0;
  std::int64_t rss_after = 0;
  std::int64_t rss_peak = 0;  // largest seen while traffic ran
  std::uint32_t peers = 0;

  [[nodiscard]] std::uint64_t lost() const { return sent > delivered ? sent - delivered : 0; }
  [[nodiscard]] double rate() const;
  [[nodiscard]] double packets_per_cpu_second() const;
  [[nodiscard]] double idle_kib_per_peer() const;
  [[nodiscard]] double after_kib_per_peer() const;
};

/// Errors   kUnavailable: not every peer was let in; kInvalidArgument: an impossible plan.
Result<RelayResult> run_relay(const RelayPlan& plan);

}  // namespace nb::bench
