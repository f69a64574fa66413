// When to try Redis and when not to: pure rules, no clock and no socket.
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstdint>

namespace nb::redis {

enum class BreakerState : std::uint8_t { kClosed, kHalfOpen, kOpen };

/// Closed: commands are sent. Open: they are refused; at probe_at() one attempt to connect may be
/// made. Half-open: that attempt is under way. A stalled connection (silent, but not given up)
/// counts as open until it answers.
class Breaker {
 public:
  struct Options {
    std::chrono::milliseconds backoff_min{50};
    std::chrono::milliseconds backoff_max{1'000};
    /// A connection that lived this long makes the next back-off short again.
    std::chrono::milliseconds stable_after{1'000};
  };
  explicit Breaker(Options options) : options_(options) {}

  [[nodiscard]] BreakerState state() const { return stalled_ ? BreakerState::kOpen : state_; }
  [[nodiscard]] bool allows() const { return state() == BreakerState::kClosed; }

  /// No connection, a refused greeting, or silence: opens. `jitter` in [0, 1) spreads the clients
  /// of a fleet over the second half of each pause.
  void on_failure(Instant now, double jitter);
  /// Connected and greeted: closes.
  void on_success(Instant now);
  /// Silence with commands outstanding; only while closed.
  void on_stall() { stalled_ = state_ == BreakerState::kClosed; }
  void on_answer() { stalled_ = false; }
  /// The connection ended without blame (server closed it): the next attempt may be made at once.
  void on_close() { stalled_ = false; }

  /// Open and due: becomes half-open.
  bool try_probe(Instant now);
  [[nodiscard]] Instant probe_at() const { return probe_at_; }

 private:
  Options options_;
  BreakerState state_ = BreakerState::kClosed;
  bool stalled_ = false;
  int failures_ = 0;  // in a row
  Instant closed_at_{};
  Instant probe_at_{};
};

}  // namespace nb::redis
