// Backoff: how long to wait before the next try.
#pragma once

#include <chrono>
#include <cstdint>

namespace nb {

struct BackoffLimits {
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds most{10'000};
  double factor = 2.0;
  double jitter = 0.5;  ///< 0.5: between half and one and a half of the step
};

/// Exponential, bounded, jittered. The random numbers come from the seed: one per user, so that
/// many instances do not move together, and a simulation repeats itself.
class Backoff {
 public:
  Backoff(BackoffLimits limits, std::uint64_t seed);
  /// The next pause; never above most * (1 + jitter).
  [[nodiscard]] std::chrono::nanoseconds next();
  /// After success: start from `first` again.
  void reset();
  [[nodiscard]] unsigned tries() const { return tries_; }

 private:
  BackoffLimits limits_;
  std::uint64_t state_;
  double step_ms_;
  unsigned tries_ = 0;
};

}  // namespace nb
