// Load for signal servers: peers with a stream each, messages between random pairs.
#pragma once

#include "base/result.h"
#include "load/client_loop.h"
#include "load/course.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nb::bench {

struct SignalPlan : CoursePlan {
  SignalPlan() { peers = 1000; }
  std::vector<Endpoint> targets;                   // two: peers alternate and every message crosses
  std::uint32_t connections = 1000;                // fewer than peers: they share
  double rate = 0;                                 // messages a second; 0: saturated
  std::uint32_t outstanding = 256;                 // saturated: unanswered or undelivered messages
  std::uint32_t calls_per_connection_max = 2'000;  // past it a sender holds back (counted)
  std::size_t messages_max = 8'000'000;
  std::size_t body_bytes = 400;
  /// Share of the time the servers may run while traffic flows (SIGSTOP in between): a server with
  /// that much less capacity, for overload by a generator on the same machine.
  double throttle = 1;
  bool plain_headers = false;  // the floor server reads no HPACK
};

struct SignalResult : LoadResult {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t held_back = 0;
  std::uint64_t lost_silently = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t misdelivered = 0;
};

/// Errors   kUnavailable: not every peer could register; kInvalidArgument: an impossible plan.
Result<SignalResult> run_signal(const SignalPlan& plan);

}  // namespace nb::bench
