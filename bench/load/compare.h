// Two servers under the same loads in one run, interleaved, as a table of ratios against goals.
#pragma once

#include "base/result.h"

#include <chrono>
#include <string>

namespace nb::bench {

struct ComparePlan {
  std::string ours;      // command ({port}, {metrics}, {dir}) or "address,pid" of a running server
  std::string other;     // the same; empty: ours alone
  std::string floor;     // command of bench-floor; empty: none
  std::string instance;  // command of one of two instances; has {redis} and {instance} as well
  std::string redis;     // command of the Redis they share
  unsigned rounds = 3;
  std::chrono::milliseconds duration{4'000};
  bool large = false;  // 5,000 connections as well
};

/// Prints the table as it grows. True: every goal that could be judged was met.
Result<bool> run_compare(const ComparePlan& plan);

}  // namespace nb::bench
