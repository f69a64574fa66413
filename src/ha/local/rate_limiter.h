// Token buckets of one process.
#pragma once

#include "base/clock.h"
#include "base/lru_cache.h"
#include "ha/rate_limiter.h"

#include <cstddef>
#include <mutex>
#include <string>

namespace nb::ha {

class LocalRateLimiter final : public RateLimiter {
 public:
  /// Of more than `keys_max` buckets the least recently used are forgotten.
  explicit LocalRateLimiter(const Clock& clock, std::size_t keys_max = 10'000)
      : clock_(clock), buckets_(keys_max) {}
  boost::asio::awaitable<bool> take(std::string key, RateLimit limit) override {
    co_return take_now(std::move(key), limit);
  }
  bool take_now(std::string key, RateLimit limit) {
    const Instant now = clock_.now();
    const std::lock_guard lock(mutex_);
    TokenBucket* bucket = buckets_.find(key);
    if (bucket == nullptr) bucket = &buckets_.put(std::move(key), TokenBucket(limit, now));
    return bucket->take(now);
  }

 private:
  const Clock& clock_;
  std::mutex mutex_;
  LruCache<std::string, TokenBucket, TextHash> buckets_;
};

}  // namespace nb::ha
