// Two relays under the same loads in one run, interleaved, as a table of ratios against goals.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace nb::bench {

struct RelayComparePlan {
  std::string ours;   // command ({port}, {metrics}, {health}, {dir}) or "address,pid"
  std::string other;  // the same; empty: ours alone
  Secret secret;      // of both
  unsigned rounds = 3;
  std::chrono::milliseconds duration{4'000};
  std::size_t packet_bytes = 1200;
  std::uint32_t idle_peers = 10'000;
};

/// Prints the table as it grows. True: every goal that could be judged was met.
Result<bool> run_relay_compare(const RelayComparePlan& plan);

}  // namespace nb::bench
