// The Loop behind LoopPool: sockets on an epoll set of its own inside the thread's io_context.
//
// Asio would arm its reactor anew for every wait on every socket (one system call each) and keep
// some 300 bytes per descriptor. Here a socket is registered once, level-triggered; the io_context
// waits on the one descriptor of our set. A turn is: all ready sockets are read, handlers run, then
// turn-end work, then each touched connection is written once.
#pragma once

#include "base/clock.h"
#include "net/loop.h"
#include "net/output.h"
#include "net/timer_heap.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace nb::net {

/// With thousands of connections nearly every one that becomes ready has fallen out of the cache,
/// and waiting for its memory costs more than working on it. So while one is served, the loop asks
/// for the next ones: first for the object, then for what it points to, then for what that does.
enum class Ahead : std::uint8_t { kSession, kState };

inline void prefetch_bytes(const void* from, std::size_t size) {
  const char* const at = static_cast<const char*>(from);
  for (std::size_t i = 0; i < size; i += 64) __builtin_prefetch(at + i);
}

/// Told about readiness of a watched descriptor. Must outlive the turn in which it is unwatched:
/// hand it to EventLoop::bury().
class IoHandler {
 public:
  virtual void on_io(std::uint32_t epoll_events) = 0;
  /// Asks the cache for what on_io() or flush() will touch; see ahead().
  virtual void prefetch(Ahead /*step*/) const {}

 protected:
  ~IoHandler() = default;
};

/// Something that has output to write at the end of the turn.
class Flushable {
 public:
  virtual void flush() = 0;
  virtual void prefetch(Ahead /*step*/) const {}

 protected:
  virtual ~Flushable() = default;

 private:
  friend class EventLoop;
  bool flush_queued_ = false;
};

/// Base of what may die in the middle of a turn; deleted when the turn is over.
class Mortal {
 public:
  virtual ~Mortal() = default;
};

class EventLoop final : public Loop {
 public:
  explicit EventLoop(std::size_t index);
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  [[nodiscard]] std::size_t index() const override { return index_; }
  [[nodiscard]] boost::asio::any_io_executor executor() const override { return executor_; }
  void post(std::function<void()> work) override;
  void at_turn_end(std::function<void()> work) override;
  [[nodiscard]] bool running_here() const override;

  /// Runs until stop(). Once per loop and thread.
  void run();
  void stop();
  /// False before run() and after it returned: then its objects may be touched from any thread.
  [[nodiscard]] bool alive() const { return alive_.load(); }
  /// One pass without waiting, on the calling thread: for tests and fuzzers.
  void poll();

  // The rest is called on the loop only.
  void watch(int fd, std::uint32_t events, IoHandler& handler);
  void rewatch(int fd, std::uint32_t events, IoHandler& handler);
  void unwatch(int fd);
  void touch(Flushable& flushable);
  void bury(std::unique_ptr<Mortal> corpse);
  void arm(Timer& timer, Instant at);
  void cancel(Timer& timer) { timers_.cancel(timer); }
  [[nodiscard]] const TimerHeap& timers() const { return timers_; }
  /// Time of the current turn.
  [[nodiscard]] Instant now() const { return now_; }
  /// Shared by all connections of the loop; contents are dead once a callback returns.
  [[nodiscard]] std::span<std::uint8_t> read_buffer() { return read_buffer_; }
  [[nodiscard]] OutputBuffer& output() { return output_; }

 private:
  friend class LoopPool;
  void wait();
  void on_ready();
  void on_asio_timer();
  void program_timer();
  void drain_inbox();
  void schedule_turn_end();
  void end_turn();

  const std::size_t index_;
  boost::asio::io_context context_{1};
  boost::asio::any_io_executor executor_;
  int epoll_ = -1;
  int wake_ = -1;
  boost::asio::posix::stream_descriptor ready_;
  boost::asio::steady_timer timer_;
  Instant timer_at_ = Instant::max();
  TimerHeap timers_;
  Instant now_;
  std::atomic<std::thread::id> thread_;
  std::atomic<bool> alive_ = false;

  std::mutex inbox_mutex_;
  std::vector<std::function<void()>> inbox_;  // guarded by inbox_mutex_
  std::vector<std::function<void()>> inbox_running_;

  std::vector<std::function<void()>> turn_end_;
  std::vector<std::function<void()>> turn_end_running_;
  std::vector<Flushable*> touched_;
  std::vector<Flushable*> touched_running_;
  std::vector<std::unique_ptr<Mortal>> dead_;
  bool in_turn_ = false;
  bool turn_end_scheduled_ = false;
  std::vector<std::uint8_t> read_buffer_;
  OutputBuffer output_;
};

}  // namespace nb::net
