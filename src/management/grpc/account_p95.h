// How slow the slow calls of each account are, without a label per account.
// Source   contract/management-grpc.md §10: "per-account P95 flushed every 60 s, 5 min window".
#pragma once

#include "base/clock.h"
#include "base/metrics.h"

#include <array>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nb::management::grpc {

/// Once a minute the histogram gets one value per account: the 95th percentile of its calls within
/// the last five minutes.
/// Limits   10'000 accounts, the newest 512 calls of each; what is more is not counted.
/// Threads  any.
class AccountP95 {
 public:
  explicit AccountP95(FastHistogram& out) : out_(out) {}
  void observe(std::string_view account, double value, Instant now);
  static constexpr std::chrono::seconds kWindow{300};
  static constexpr std::chrono::seconds kFlush{60};

 private:
  static constexpr std::size_t kAccountsMax = 10'000;
  static constexpr std::size_t kCallsMax = 512;
  struct Call {
    Instant at;
    double value;
  };
  void flush(Instant now);

  FastHistogram& out_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::deque<Call>> calls_;
  Instant flushed_{};
};

}  // namespace nb::management::grpc
