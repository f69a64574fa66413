// How often each personal token is used in a minute.
// Source   contract/rest-api.md §5.4, management.pat.usage_distribution
#pragma once

#include "base/clock.h"
#include "base/metrics.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

namespace nb::management::rest {

/// Thread-safe. A minute is told with the first use after it.
class TokenUse {
 public:
  /// Further tokens of one minute are not counted.
  static constexpr std::size_t kTokensMax = 10'000;

  explicit TokenUse(FastHistogram& uses_per_minute) : uses_per_minute_(uses_per_minute) {}
  /// `token`: one that was accepted, or what stands for it.
  void used(std::string_view token, Instant now);

 private:
  FastHistogram& uses_per_minute_;
  std::mutex mutex_;
  Instant since_{};
  std::unordered_map<std::size_t, std::uint32_t> uses_;  // by the token's hash
};

}  // namespace nb::management::rest
