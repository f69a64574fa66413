// Token buckets: one, and a bounded set of them by key.
#pragma once

#include "base/clock.h"
#include "base/lru_cache.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace nb {

struct RateLimit {
  double per_second = 1;
  double burst = 1;
};

/// Starts full. Not thread-safe.
class TokenBucket {
 public:
  TokenBucket(RateLimit limit, Instant now) : limit_(limit), tokens_(limit.burst), at_(now) {}
  /// Takes `cost` tokens if they are there.
  bool take(Instant now, double cost = 1);
  /// How long until `cost` tokens are there.
  [[nodiscard]] std::chrono::nanoseconds wait_for(Instant now, double cost = 1) const;

 private:
  [[nodiscard]] double tokens_at(Instant now) const;
  RateLimit limit_;
  double tokens_;
  Instant at_;
};

/// A bucket per key (source address, peer id). At most `keys_max` are remembered, the least
/// recently seen is forgotten, so an attacker with many keys costs a bounded amount of memory.
/// Not thread-safe: one per loop.
class KeyedRateLimit {
 public:
  KeyedRateLimit(RateLimit limit, std::size_t keys_max) : limit_(limit), buckets_(keys_max) {}
  bool take(std::string_view key, Instant now, double cost = 1);
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

 private:
  RateLimit limit_;
  LruCache<std::string, TokenBucket, TextHash> buckets_;
};

}  // namespace nb
