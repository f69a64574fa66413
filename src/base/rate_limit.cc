#include "base/rate_limit.h"

#include <cmath>

namespace nb {

double TokenBucket::tokens_at(Instant now) const {
  const double seconds = std::chrono::duration<double>(std::max(now, at_) - at_).count();
  return std::min(limit_.burst, tokens_ + seconds * limit_.per_second);
}

bool TokenBucket::take(Instant now, double cost) {
  const double tokens = tokens_at(now);
  at_ = std::max(now, at_);
  tokens_ = tokens;
  if (tokens < cost) return false;
  tokens_ -= cost;
  return true;
}

std::chrono::nanoseconds TokenBucket::wait_for(Instant now, double cost) const {
  const double lacking = cost - tokens_at(now);
  if (lacking <= 0) return std::chrono::nanoseconds(0);
  constexpr double kForever = 1e9;  // seconds; a bucket that never fills
  const double seconds =
      limit_.per_second > 0 ? std::min(lacking / limit_.per_second, kForever) : kForever;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::ceil(seconds * 1e9)));
}

bool KeyedRateLimit::take(std::string_view key, Instant now, double cost) {
  TokenBucket* bucket = buckets_.find(key);
  if (bucket == nullptr) bucket = &buckets_.put(std::string(key), TokenBucket(limit_, now));
  return bucket->take(now, cost);
}

}  // namespace nb
