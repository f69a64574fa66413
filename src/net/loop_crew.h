// Which thread serves which loop: as few threads as the load needs.
//
// A message from a connection of one loop to one of another wakes the other's thread, and that
// costs more than the message. So one thread serves all loops until it uses its core up; then the
// next ones take their share, and give it back when all of them together have little to do. A loop
// moves as a whole, between two of its turns.
#pragma once

#include "net/event_loop.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace nb::net {

/// When threads come and go.
struct ThreadPolicy {
  /// A thread that serves several loops and uses more of its core than this gives some of them
  /// away.
  double busy_share = 0.85;
  /// Half of the threads suffice when all use less than this of so many cores. Far below
  /// busy_share, or they would come and go all the time.
  double quiet_share = 0.4;
};

class Seat;

/// What stands behind LoopPool: `count` loops and as many threads, and one for each guest. Work on
/// one loop must not wait for work on another, since one thread may serve both.
class LoopCrew {
 public:
  explicit LoopCrew(std::size_t count, ThreadPolicy policy = {}, std::size_t guests = 0);
  ~LoopCrew();
  LoopCrew(const LoopCrew&) = delete;
  LoopCrew& operator=(const LoopCrew&) = delete;

  /// Threads inherit the caller's signal mask.
  void start();
  void stop();
  /// Serves another crew's loop too, until stop(); the other crew is not started.
  void attach(EventLoop& guest);
  /// After stop(); nothing if it was never attached.
  void detach(EventLoop& guest);
  [[nodiscard]] std::size_t size() const { return loops_.size(); }
  [[nodiscard]] EventLoop& at(std::size_t index) const { return *loops_.at(index); }

 private:
  friend class Seat;
  [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  [[nodiscard]] Seat& seat_of(const EventLoop& loop) const;
  /// From a seat with several loops, which has used so much of its core.
  void spread(double share);
  /// From the first seat, now and then.
  void gather(Instant now);
  void set_active(std::size_t count);

  const ThreadPolicy policy_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<std::thread> threads_;
  std::vector<EventLoop*> guests_;
  std::atomic<std::size_t> active_ = 1;  // seats that serve loops
  std::atomic<bool> stopped_ = false;
  // The first seat's:
  Instant gathered_at_;
  std::chrono::nanoseconds gathered_cpu_{0};
  std::size_t gathered_of_ = 1;
};

}  // namespace nb::net
