// Deadlines of one loop: a binary heap of intrusive timers, 16 bytes each, no allocation per use.
#pragma once

#include "base/clock.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace nb::net {

/// Armed or not; disarms itself when destroyed only through its owner: call TimerHeap::cancel().
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  /// Disarmed already; may arm itself again or destroy itself.
  virtual void on_timer(Instant now) = 0;
  [[nodiscard]] bool armed() const { return slot_ != kNone; }

 protected:
  virtual ~Timer() = default;

 private:
  friend class TimerHeap;
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  std::uint32_t slot_ = kNone;
};

class TimerHeap {
 public:
  /// Arms or moves `timer`.
  void arm(Timer& timer, Instant at);
  void cancel(Timer& timer);
  [[nodiscard]] std::optional<Instant> earliest() const;
  [[nodiscard]] Instant at(const Timer& timer) const { return heap_[timer.slot_].at; }
  /// Fires everything due at `now`, in order.
  void run(Instant now);
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Instant at;
    Timer* timer;
  };
  void place(std::size_t slot, Entry entry);
  void sift_up(std::size_t slot);
  void sift_down(std::size_t slot);

  std::vector<Entry> heap_;
};

}  // namespace nb::net
