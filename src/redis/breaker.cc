#include "redis/breaker.h"

#include <algorithm>

namespace nb::redis {

void Breaker::on_failure(Instant now, double jitter) {
  using std::chrono::duration_cast;
  const bool lived = state_ == BreakerState::kClosed && now - closed_at_ >= options_.stable_after;
  failures_ = lived ? 1 : failures_ + 1;
  auto pause = options_.backoff_min;
  for (int i = 1; i < failures_ && pause < options_.backoff_max; ++i) pause *= 2;
  pause = std::min(pause, options_.backoff_max);
  probe_at_ = now + duration_cast<Instant::duration>(
                        std::chrono::duration<double, std::milli>(pause) * (0.5 + jitter / 2));
  state_ = BreakerState::kOpen;
  stalled_ = false;
}

void Breaker::on_success(Instant now) {
  state_ = BreakerState::kClosed;
  stalled_ = false;
  closed_at_ = now;
}

bool Breaker::try_probe(Instant now) {
  if (state_ != BreakerState::kOpen || now < probe_at_) return false;
  state_ = BreakerState::kHalfOpen;
  return true;
}

}  // namespace nb::redis
