#include "net/event_loop.h"

#include "base/assert.h"
#include "net/asio_descriptor.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace nb::net {
namespace {
constexpr std::size_t kReadBytes = 64 * 1024;
/// Passes over the ready set in one turn.
constexpr int kPasses = 4;
/// A nearly idle loop does not pay for a look in vain: fewer ready sockets end the turn.
constexpr int kLookAgain = 32;
/// Handlers of Asio in one go, before our sockets get their turn again.
constexpr int kHandlersMax = 256;
/// What sockets, posts and handlers of Asio have before it is the next one's turn, and a whole turn
/// before the thread's other loops have theirs.
constexpr std::chrono::milliseconds kSocketsTime{4};
constexpr std::chrono::milliseconds kPostsTime{2};
constexpr std::chrono::milliseconds kHandlersTime{2};
constexpr std::chrono::milliseconds kTurnTime{8};
/// Rounds of "flush, then what the flush caused" in one turn; the rest waits for the next turn.
constexpr int kRounds = 3;
/// How many connections ahead each step of prefetching is.
constexpr std::size_t kObjectAhead = 6;
constexpr std::size_t kSessionAhead = 4;
constexpr std::size_t kStateAhead = 2;
constexpr std::size_t kObjectBytes = 192;

/// Time for some of many things: begins when the first is done, so that a single one costs no look
/// at the clock.
class Slice {
 public:
  explicit Slice(std::chrono::milliseconds time) : time_(time) {}
  /// Asked after each of them.
  bool over() {
    const Instant now = std::chrono::steady_clock::now();
    if (!until_) until_ = now + time_;
    return now >= *until_;
  }

 private:
  const std::chrono::milliseconds time_;
  std::optional<Instant> until_;
};

/// `at(i)` is the i-th of `count` handlers to come, or null. Before the first one.
template <class At>
void ahead_of_all(std::size_t count, const At& at) {
  for (std::size_t i = 0; i < std::min(count, kObjectAhead); ++i) {
    if (const auto* handler = at(i)) prefetch_bytes(handler, kObjectBytes);
  }
  for (std::size_t i = 0; i < std::min(count, kSessionAhead); ++i) {
    if (const auto* handler = at(i)) handler->prefetch(Ahead::kSession);
  }
  for (std::size_t i = 0; i < std::min(count, kStateAhead); ++i) {
    if (const auto* handler = at(i)) handler->prefetch(Ahead::kState);
  }
}

/// Before the i-th.
template <class At>
void ahead(std::size_t i, std::size_t count, const At& at) {
  if (i + kObjectAhead < count) {
    if (const auto* handler = at(i + kObjectAhead)) prefetch_bytes(handler, kObjectBytes);
  }
  if (i + kSessionAhead < count) {
    if (const auto* handler = at(i + kSessionAhead)) handler->prefetch(Ahead::kSession);
  }
  if (i + kStateAhead < count) {
    if (const auto* handler = at(i + kStateAhead)) handler->prefetch(Ahead::kState);
  }
}
}  // namespace

EventLoop::EventLoop(std::size_t index)
    : index_(index),
      work_(context_.get_executor()),
      executor_(LoopExecutor(context_.get_executor(), static_cast<AsioListener&>(*this))),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      alarm_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      now_(std::chrono::steady_clock::now()) {
  NB_ASSERT(epoll_ >= 0 && wake_ >= 0 && alarm_ >= 0);
  read_buffer_.resize(kReadBytes);
  // Edge-triggered: each write to the eventfd, and each time the alarm goes off, is one edge, so
  // nobody has to read them.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
  NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, alarm_, &event) == 0);
  // Readable until Asio has looked into it.
  event.events = EPOLLIN;
  event.data.ptr = static_cast<IoHandler*>(&asio_ready_);
  NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, asio_descriptor(context_), &event) == 0);
  context_.poll();  // a new reactor has one event for itself
}

EventLoop::~EventLoop() {
  // Work and coroutines still queued are dropped with the io_context; none of it may run any more.
  inbox_.clear();
  inbox_running_.clear();
  dead_.clear();
  close(wake_);
  close(alarm_);
  close(epoll_);
}

boost::asio::any_io_executor EventLoop::executor() const {
  asio_used_.store(true, std::memory_order_relaxed);
  return executor_;
}

bool EventLoop::running_here() const {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

// ---- from other threads

namespace {
thread_local const void* own_seat = nullptr;
}

void EventLoop::take_seat(const void* seat) {
  own_seat = seat;
}

void EventLoop::wake() {
  // This thread asks wait_limit() of all its loops before it waits.
  if (own_seat != nullptr && seat_.load(std::memory_order_relaxed) == own_seat) return;
  const std::uint64_t one = 1;
  NB_ASSERT(write(wake_, &one, sizeof one) == sizeof one);
}

void EventLoop::post(std::function<void()> work) {
  bool first = false;
  {
    const std::lock_guard lock(inbox_mutex_);
    first = inbox_.empty();
    inbox_.push_back(std::move(work));
    inbox_waiting_.store(true, std::memory_order_relaxed);
  }
  if (first) wake();
}

void EventLoop::on_asio_queued() {
  if (running_here()) {
    asio_due_ = true;
  } else if (!asio_queued_.exchange(true)) {
    wake();
  }
}

// ---- on the loop

void EventLoop::at_turn_end(std::function<void()> work) {
  turn_end_.push_back(std::move(work));
}

void EventLoop::touch(Flushable& flushable) {
  if (flushable.flush_queued_) return;
  flushable.flush_queued_ = true;
  touched_.push_back(&flushable);
}

void EventLoop::bury(std::unique_ptr<Mortal> corpse) {
  dead_.push_back(std::move(corpse));
}

void EventLoop::watch(int fd, std::uint32_t events, IoHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
}

void EventLoop::rewatch(int fd, std::uint32_t events, IoHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void EventLoop::unwatch(int fd) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

// ---- a turn

void EventLoop::sit(const void* seat, int wake) {
  seat_.store(seat, std::memory_order_relaxed);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake, &event) == 0);
}

void EventLoop::leave(int wake) {
  unwatch(wake);
  seat_.store(nullptr, std::memory_order_relaxed);
}

void EventLoop::set_alive(bool alive) {
  if (!alive) dead_.clear();
  alive_ = alive;
}

int EventLoop::wait_limit(Instant now) {
  const bool work = sockets_left_ || asio_due_ || !turn_end_.empty() || !touched_.empty() ||
                    !dead_.empty() || !inbox_running_.empty() ||
                    inbox_waiting_.load(std::memory_order_relaxed) ||
                    asio_queued_.load(std::memory_order_relaxed);
  if (work) return 0;
  const auto earliest = timers_.earliest();
  if (!earliest) return -1;
  if (*earliest <= now) return 0;
  set_alarm(*earliest, now);
  return -1;
}

/// A limit given to epoll_wait() is a timer of the kernel, made and taken back in each turn. The
/// alarm stays from turn to turn; when what it was set for is cancelled, it goes off once in vain.
void EventLoop::set_alarm(Instant at, Instant now) {
  if (now < alarm_at_ && alarm_at_ <= at) return;
  alarm_at_ = at;
  const std::chrono::nanoseconds time = at.time_since_epoch();  // steady_clock: CLOCK_MONOTONIC
  constexpr std::chrono::nanoseconds kSecond = std::chrono::seconds(1);
  itimerspec spec{};
  spec.it_value.tv_sec = time / kSecond;
  spec.it_value.tv_nsec = (time % kSecond).count();
  NB_ASSERT(timerfd_settime(alarm_, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
}

int EventLoop::wait(int limit_ms) {
  return epoll_wait(epoll_, events_.data(), static_cast<int>(ready_max_), limit_ms);
}

void EventLoop::turn(int ready, Instant now) {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  now_ = now;
  for (int pass = 0; pass < kPasses; ++pass) {
    handle(ready);
    drain_inbox();
    timers_.run(now_);
    finish_pass();
    if (!sockets_left_ && ready < kLookAgain) break;
    now_ = std::chrono::steady_clock::now();
    if (now_ - now >= kTurnTime) break;
    ready = wait(0);
    if (ready <= 0) break;
  }
  thread_.store({}, std::memory_order_relaxed);
}

void EventLoop::poll() {
  do turn(wait(0), std::chrono::steady_clock::now());
  while (wait_limit(now_) == 0);
}

/// What is left when the slice is over is still ready. epoll puts all that it has reported behind
/// those that it has not, served or not: so it is asked for as many as there is time for, and each
/// gets its turn however busy the others are.
void EventLoop::handle(int ready) {
  const auto handler = [this](std::size_t i) {
    return static_cast<IoHandler*>(events_[i].data.ptr);
  };
  const auto count = static_cast<std::size_t>(std::max(0, ready));
  Slice slice(kSocketsTime);
  ahead_of_all(count, handler);
  std::size_t done = 0;
  while (done < count) {
    ahead(done, count, handler);
    IoHandler* const each = handler(done);
    if (each != nullptr) each->on_io(events_[done].events);
    if (++done < count && slice.over()) break;
  }
  sockets_left_ = done < count || (count == ready_max_ && count < events_.size());
  ready_max_ = done < count ? done : std::min(2 * ready_max_, events_.size());
}

void EventLoop::finish_pass() {
  if (!asio_used_.load(std::memory_order_relaxed)) {
    end_turn();
    return;
  }
  for (int round = 0; round < 2; ++round) {
    if (asio_waits()) run_asio();
    if (!end_turn()) return;
  }
  asio_due_ = asio_waits();
}

/// Waits of Asio end without a word to us (a cancelled timer, a socket that could be read at once),
/// so it is asked after everything that may have ended some.
bool EventLoop::asio_waits() {
  return asio_due_ || asio_queued_.load(std::memory_order_relaxed) || asio_has_queued(context_);
}

void EventLoop::run_asio() {
  asio_due_ = false;
  asio_queued_.exchange(false);
  Slice slice(kHandlersTime);
  int ran = 0;
  while (ran < kHandlersMax && context_.poll_one() > 0) {
    ++ran;
    if (slice.over()) ran = kHandlersMax;
    if (!asio_has_queued(context_)) return;
  }
  if (ran == kHandlersMax) asio_due_ = true;
}

void EventLoop::drain_inbox() {
  if (inbox_running_.empty()) {
    if (!inbox_waiting_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock(inbox_mutex_);
    inbox_running_.swap(inbox_);
    inbox_waiting_.store(false, std::memory_order_relaxed);
  }
  Slice slice(kPostsTime);
  while (inbox_done_ < inbox_running_.size()) {
    const auto work = std::exchange(inbox_running_[inbox_done_++], nullptr);
    work();
    if (inbox_done_ < inbox_running_.size() && slice.over()) return;
  }
  inbox_running_.clear();
  inbox_done_ = 0;
}

/// False: there was nothing to do.
bool EventLoop::end_turn() {
  if (turn_end_.empty() && touched_.empty() && dead_.empty()) return false;
  for (int round = 0; round < kRounds && !(turn_end_.empty() && touched_.empty()); ++round) {
    turn_end_running_.swap(turn_end_);
    for (auto& work : turn_end_running_) work();
    turn_end_running_.clear();
    touched_running_.swap(touched_);
    const auto flushable = [this](std::size_t i) { return touched_running_[i]; };
    ahead_of_all(touched_running_.size(), flushable);
    for (std::size_t i = 0; i < touched_running_.size(); ++i) {
      ahead(i, touched_running_.size(), flushable);
      touched_running_[i]->flush_queued_ = false;
      touched_running_[i]->flush();
    }
    touched_running_.clear();
  }
  // Something may still be queued for a flush: the dead stay until nothing refers to them.
  if (touched_.empty() && !dead_.empty()) {
    const auto dead = std::exchange(dead_, {});
  }
  return true;
}

}  // namespace nb::net
