// The Loop behind LoopPool: sockets on an epoll set of its own, with Asio's set as one of them.
//
// Asio's reactor would be armed anew for every wait on every socket (one system call each) and keep
// some 300 bytes per descriptor. Here a socket is registered once, level-triggered, and waiting is
// one system call. A turn is: ready sockets are read, handlers run, then turn-end work, then
// each touched connection is written once. Only a loop whose executor() was asked for looks into
// Asio as well, when Asio's set is ready or handlers are queued.
//
// Sockets, what is posted and handlers of Asio have some milliseconds each at a time, and go on in
// the next pass, which begins with sockets again; timers and turn-end work are done to their end.
// So what must be answered at once is answered from on_io(), and what takes long is posted.
//
// What Asio queues from threads of its own cannot be heard of, so name look-ups are made elsewhere:
// net/resolve.h. See docs/decisions/0114-loops-and-threads.md.
#pragma once

#include "base/clock.h"
#include "net/loop.h"
#include "net/loop_executor.h"
#include "net/output.h"
#include "net/timer_heap.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <sys/epoll.h>

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

class EventLoop final : public Loop, private AsioListener {
 public:
  explicit EventLoop(std::size_t index);
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  [[nodiscard]] std::size_t index() const override { return index_; }
  [[nodiscard]] boost::asio::any_io_executor executor() const override;
  void post(std::function<void()> work) override;
  void at_turn_end(std::function<void()> work) override;
  [[nodiscard]] bool running_here() const override;

  /// False before its pool runs and after it has ended: then its objects may be touched from any
  /// thread.
  [[nodiscard]] bool alive() const { return alive_.load(); }
  /// Turns without waiting, on the calling thread, until nothing is left: for tests and fuzzers.
  void poll();

  // For the thread that serves the loop at the moment.
  /// For wait(): 0: there is work or a timer is due; -1: what comes next, be it a timer, ends it.
  [[nodiscard]] int wait_limit(Instant now);
  /// Returns how many sockets are ready, for turn().
  int wait(int limit_ms);
  /// The last turn was over before all ready sockets had been served.
  [[nodiscard]] bool sockets_left() const { return sockets_left_; }
  void turn(int ready, Instant now);
  [[nodiscard]] int descriptor() const { return epoll_; }
  /// `seat` stands for the thread, `wake` is a descriptor of it that ends wait(). Null: nobody's.
  void sit(const void* seat, int wake);
  void leave(int wake);
  /// What the calling thread is called by sit(): then post() to its own loops needs no wake-up.
  static void take_seat(const void* seat);
  /// Among the loops of the crew that serves it; its index, unless it is a guest there.
  [[nodiscard]] std::size_t place() const { return place_; }
  void set_place(std::size_t place) { place_ = place; }
  void set_alive(bool alive);

  // The rest is called on the loop only.
  void watch(int fd, std::uint32_t events, IoHandler& handler);
  void rewatch(int fd, std::uint32_t events, IoHandler& handler);
  void unwatch(int fd);
  void touch(Flushable& flushable);
  void bury(std::unique_ptr<Mortal> corpse);
  void arm(Timer& timer, Instant at) { timers_.arm(timer, at); }
  void cancel(Timer& timer) { timers_.cancel(timer); }
  [[nodiscard]] const TimerHeap& timers() const { return timers_; }
  /// Time of the current turn.
  [[nodiscard]] Instant now() const { return now_; }
  /// Shared by all connections of the loop; contents are dead once a callback returns.
  [[nodiscard]] std::span<std::uint8_t> read_buffer() { return read_buffer_; }
  [[nodiscard]] OutputBuffer& output() { return output_; }

 private:
  // AsioListener
  [[nodiscard]] bool in_turn_here() const override { return running_here(); }
  void on_asio_queued() override;

  void wake();
  void set_alarm(Instant at, Instant now);
  void handle(int ready);
  void run_asio();
  /// Handlers may be queued, or sockets and timers of Asio be ready.
  [[nodiscard]] bool asio_waits();
  void finish_pass();
  void drain_inbox();
  bool end_turn();

  const std::size_t index_;
  std::size_t place_ = index_;
  /// Sockets and timers of Asio's.
  struct AsioReady final : IoHandler {
    explicit AsioReady(EventLoop& on) : loop(on) {}
    void on_io(std::uint32_t /*events*/) override { loop.asio_due_ = true; }
    EventLoop& loop;
  };

  boost::asio::io_context context_{1};
  const boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::any_io_executor executor_;
  mutable std::atomic<bool> asio_used_ = false;  // once for ever
  std::atomic<bool> asio_queued_ = false;        // by another thread, which has woken us
  bool asio_due_ = false;                        // there may be something to run
  AsioReady asio_ready_{*this};
  int epoll_ = -1;
  int wake_ = -1;
  int alarm_ = -1;      // timerfd, ends wait()
  Instant alarm_at_{};  // what it is set to
  TimerHeap timers_;
  Instant now_;
  bool sockets_left_ = false;            // not all that are ready have had their turn
  std::atomic<std::thread::id> thread_;  // in a turn
  std::atomic<const void*> seat_ = nullptr;
  std::atomic<bool> alive_ = false;
  std::array<epoll_event, 256> events_{};
  std::size_t ready_max_ = events_.size();  // events to ask for at a time

  std::mutex inbox_mutex_;
  std::vector<std::function<void()>> inbox_;  // guarded by inbox_mutex_
  std::vector<std::function<void()>> inbox_running_;
  std::size_t inbox_done_ = 0;  // of inbox_running_
  std::atomic<bool> inbox_waiting_ = false;

  std::vector<std::function<void()>> turn_end_;
  std::vector<std::function<void()>> turn_end_running_;
  std::vector<Flushable*> touched_;
  std::vector<Flushable*> touched_running_;
  std::vector<std::unique_ptr<Mortal>> dead_;
  std::vector<std::uint8_t> read_buffer_;
  OutputBuffer output_;
};

}  // namespace nb::net
