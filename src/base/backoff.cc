#include "base/backoff.h"

#include <algorithm>
#include <limits>

namespace nb {

Backoff::Backoff(BackoffLimits limits, std::uint64_t seed)
    : limits_(limits), state_(seed), step_ms_(static_cast<double>(limits.first.count())) {}

std::chrono::nanoseconds Backoff::next() {
  // SplitMix64: one addition and three mixes, good enough to spread pauses.
  std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  z ^= z >> 31U;
  const double unit = static_cast<double>(z >> 11U) * 0x1.0p-53;  // [0, 1)
  const double pause = step_ms_ * (1 + limits_.jitter * (2 * unit - 1));
  step_ms_ = std::min(step_ms_ * limits_.factor, static_cast<double>(limits_.most.count()));
  if (tries_ < std::numeric_limits<unsigned>::max()) ++tries_;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::max(pause, 0.0) * 1e6));
}

void Backoff::reset() {
  step_ms_ = static_cast<double>(limits_.first.count());
  tries_ = 0;
}

}  // namespace nb
