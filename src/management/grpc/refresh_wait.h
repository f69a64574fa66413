// When a stream's credentials are renewed.
#pragma once

#include <chrono>

namespace nb::management::grpc {

/// `after` more or less by up to a tenth, so that streams opened together do not refresh together.
/// `fraction`: random, 0 to 1. Source   contract/management-grpc.md §8.1
[[nodiscard]] inline std::chrono::nanoseconds refresh_wait(std::chrono::seconds after,
                                                           double fraction) {
  constexpr double kJitter = 0.1;
  const double factor = 1 - kJitter + 2 * kJitter * fraction;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(static_cast<double>(after.count()) * factor));
}

}  // namespace nb::management::grpc
