// How often one address may make the calls that cost something.
// Source   contract/management-grpc.md §8.4; decision 0126: off unless the operator asks for it.
#pragma once

#include "base/clock.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nb::management::grpc {

struct AddressLimits {
  double calls_per_second = 0;  // 0: no limit
  double burst_seconds = 10;    // so many seconds' worth may come at once
  std::size_t addresses_max = 65'536;
};

struct CallPrice {
  double tokens = 1;
  double overdraft = 0;  // how many buckets below the empty one it still passes
};

/// A token bucket per address; an IPv6 /64 is one address, since one host has all of it. Full
/// buckets are forgotten, so memory is bounded; when every bucket is in use strangers pass.
/// Threads  any.
class AddressLimiter {
 public:
  /// Agents fetch the key before every other call.
  static constexpr CallPrice kKey{.tokens = 0.1};
  static constexpr CallPrice kCall{};
  /// Agents do not make it again: what it was for is lost.
  static constexpr CallPrice kUnrepeated{.overdraft = 1};

  explicit AddressLimiter(AddressLimits limits) : limits_(limits) {}
  [[nodiscard]] bool on() const { return limits_.calls_per_second > 0; }
  /// Whether `address` may make a call of this price now.
  [[nodiscard]] bool allow(std::string_view address, CallPrice price, Instant now);
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t addresses() const;

 private:
  struct Bucket {
    double tokens = 0;
    Instant at{};
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Bucket> buckets;
    Instant sweep_at{};  // full ones are looked for no sooner
  };
  static constexpr std::size_t kShards = 16;

  [[nodiscard]] double capacity() const { return limits_.calls_per_second * limits_.burst_seconds; }
  [[nodiscard]] double filled(const Bucket& bucket, Instant now) const;
  bool make_room(Shard& shard, Instant now) const;

  const AddressLimits limits_;
  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace nb::management::grpc
