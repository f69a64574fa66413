// Load for signal servers: peers with a stream each, messages between random pairs.
#pragma once

#include "base/result.h"
#include "load/client_loop.h"
#include "load/histogram.h"
#include "load/process_stat.h"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nb::bench {

struct SignalPlan {
  std::vector<Endpoint> targets;  // two: peers alternate and every message crosses
  std::vector<pid_t> pids;        // servers whose cost is counted
  std::uint32_t peers = 1000;
  std::uint32_t connections = 1000;  // fewer than peers: they share
  std::uint32_t threads = 1;
  double rate = 0;                                 // messages a second; 0: saturated
  std::uint32_t outstanding = 256;                 // saturated: unanswered or undelivered messages
  std::uint32_t calls_per_connection_max = 2'000;  // past it a sender holds back (counted)
  std::size_t messages_max = 8'000'000;
  std::size_t body_bytes = 400;
  std::chrono::milliseconds settle{2'000};  // before memory is read
  std::chrono::milliseconds warm_up{1'000};
  std::chrono::milliseconds duration{5'000};
  std::chrono::milliseconds drain_max{15'000};
  /// Share of the time the servers may run while traffic flows (SIGSTOP in between): a server with
  /// that much less capacity, for overload by a generator on the same machine.
  double throttle = 1;
  bool plain_headers = false;  // the floor server reads no HPACK
};

struct SignalResult {
  double seconds = 0;  // of the measured window
  std::uint64_t window_delivered = 0;
  double cpu_us_per_message = 0;  // servers' CPU in the window / delivered in it
  double own_cpu_us_per_message = 0;
  double switches_per_message = 0;
  std::uint64_t sent = 0;  // whole phase
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t held_back = 0;
  std::uint64_t delivered = 0;
  std::uint64_t lost_silently = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t misdelivered = 0;
  std::uint64_t connections_lost = 0;
  Histogram latency;
  ProcessStat baseline;
  std::int64_t rss_idle = 0;
  std::int64_t rss_after = 0;
  std::int64_t rss_peak = 0;  // largest seen while traffic ran
  std::uint32_t peers = 0;

  [[nodiscard]] double idle_kib_per_peer() const;
  [[nodiscard]] double after_kib_per_peer() const;
  [[nodiscard]] double rate() const;
};

/// Errors   kUnavailable: not every peer could register; kInvalidArgument: an impossible plan.
Result<SignalResult> run_signal(const SignalPlan& plan);

}  // namespace nb::bench
