// Time as a port: production reads the system's clocks, simulation turns its own.
#pragma once

#include <boost/asio/awaitable.hpp>

#include <chrono>

namespace nb {

/// Wall-clock time; may jump. For timestamps that leave the process.
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;
/// Monotonic time of this process; for every deadline and interval.
using Instant = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual WallTime wall() const = 0;
  [[nodiscard]] virtual Instant now() const = 0;
  /// Waits on the calling coroutine's executor. Ends early, without error, when the coroutine is
  /// cancelled: check the cancellation state (or let the TaskGroup end you) after it.
  virtual boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds time) = 0;
};

/// The process's clock; one instance serves all threads.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override;
  [[nodiscard]] Instant now() const override;
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds time) override;
};

}  // namespace nb
