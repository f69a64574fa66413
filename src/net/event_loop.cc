#include "net/event_loop.h"

#include "base/assert.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <utility>

namespace nb::net {
namespace asio = boost::asio;

namespace {
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr int kEventsMax = 256;
/// Passes over the ready set before Asio's own handlers get their turn.
constexpr int kPasses = 4;
/// Rounds of "flush, then what the flush caused" in one turn; the rest waits for the next turn.
constexpr int kRounds = 3;
/// How many connections ahead each step of prefetching is.
constexpr std::size_t kObjectAhead = 6;
constexpr std::size_t kSessionAhead = 4;
constexpr std::size_t kStateAhead = 2;
constexpr std::size_t kObjectBytes = 192;

/// `at(i)` is the i-th of `count` handlers to come, or null.
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
      executor_(context_.get_executor()),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      ready_(context_, epoll_),
      timer_(context_),
      now_(std::chrono::steady_clock::now()) {
  NB_ASSERT(epoll_ >= 0 && wake_ >= 0);
  read_buffer_.resize(kReadBytes);
  // Edge-triggered: each write to the eventfd is one edge, so nobody has to read it.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
  wait();
}

EventLoop::~EventLoop() {
  // Work and coroutines still queued are dropped with the io_context; none of it may run any more.
  inbox_.clear();
  dead_.clear();
  close(wake_);
}

bool EventLoop::running_here() const {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void EventLoop::run() {
  thread_.store(std::this_thread::get_id());
  now_ = std::chrono::steady_clock::now();
  const auto work = asio::make_work_guard(context_);
  context_.run();
  dead_.clear();
  alive_ = false;
}

void EventLoop::stop() {
  context_.stop();
}

void EventLoop::poll() {
  thread_.store(std::this_thread::get_id());
  context_.restart();
  on_ready();
  context_.poll();
}

void EventLoop::post(std::function<void()> work) {
  bool wake = false;
  {
    const std::lock_guard lock(inbox_mutex_);
    wake = inbox_.empty();
    inbox_.push_back(std::move(work));
  }
  if (wake) {
    const std::uint64_t one = 1;
    NB_ASSERT(write(wake_, &one, sizeof one) == sizeof one);
  }
}

void EventLoop::at_turn_end(std::function<void()> work) {
  turn_end_.push_back(std::move(work));
  schedule_turn_end();
}

void EventLoop::touch(Flushable& flushable) {
  if (flushable.flush_queued_) return;
  flushable.flush_queued_ = true;
  touched_.push_back(&flushable);
  schedule_turn_end();
}

void EventLoop::bury(std::unique_ptr<Mortal> corpse) {
  dead_.push_back(std::move(corpse));
  schedule_turn_end();
}

/// Work done outside our own turn (a coroutine, an Asio timer) ends its turn after the handlers
/// that are queued already.
void EventLoop::schedule_turn_end() {
  if (in_turn_ || turn_end_scheduled_) return;
  turn_end_scheduled_ = true;
  asio::post(context_, [this] {
    now_ = std::chrono::steady_clock::now();
    end_turn();
  });
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

void EventLoop::wait() {
  ready_.async_wait(asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;
                      on_ready();
                      wait();
                    });
}

void EventLoop::on_ready() {
  epoll_event events[kEventsMax];
  for (int pass = 0; pass < kPasses; ++pass) {
    const int count = epoll_wait(epoll_, events, kEventsMax, 0);
    if (count <= 0 && pass > 0) break;
    now_ = std::chrono::steady_clock::now();
    in_turn_ = true;
    const auto handler = [&events](std::size_t i) {
      return static_cast<IoHandler*>(events[i].data.ptr);
    };
    const auto ready = static_cast<std::size_t>(std::max(0, count));
    for (std::size_t i = 0; i < ready; ++i) {
      ahead(i, ready, handler);
      if (IoHandler* const each = handler(i)) each->on_io(events[i].events);
    }
    drain_inbox();
    end_turn();
    if (count < kEventsMax / 8) break;  // a nearly idle loop does not pay for a look in vain
  }
}

void EventLoop::drain_inbox() {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (inbox_.empty()) return;
    inbox_running_.swap(inbox_);
  }
  for (auto& work : inbox_running_) work();
  inbox_running_.clear();
}

void EventLoop::end_turn() {
  in_turn_ = true;
  turn_end_scheduled_ = false;
  for (int round = 0; round < kRounds && !(turn_end_.empty() && touched_.empty()); ++round) {
    turn_end_running_.swap(turn_end_);
    for (auto& work : turn_end_running_) work();
    turn_end_running_.clear();
    touched_running_.swap(touched_);
    const auto flushable = [this](std::size_t i) { return touched_running_[i]; };
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
  in_turn_ = false;
  if (!turn_end_.empty() || !touched_.empty() || !dead_.empty()) schedule_turn_end();
}

void EventLoop::arm(Timer& timer, Instant at) {
  timers_.arm(timer, at);
  if (at < timer_at_) program_timer();
}

/// Only ever moved to an earlier time here; a stale early alarm finds nothing due and moves on.
void EventLoop::program_timer() {
  const auto earliest = timers_.earliest();
  if (!earliest) {
    timer_at_ = Instant::max();
    return;
  }
  timer_at_ = *earliest;
  timer_.expires_at(*earliest);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) on_asio_timer();
  });
}

void EventLoop::on_asio_timer() {
  now_ = std::chrono::steady_clock::now();
  in_turn_ = true;
  timer_at_ = Instant::min();  // no reprogramming while they run
  timers_.run(now_);
  program_timer();
  end_turn();
}

struct LoopPool::Impl {
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<std::thread> threads;
};

LoopPool::LoopPool(std::size_t count) : impl_(std::make_unique<Impl>()) {
  NB_ASSERT(count > 0);
  for (std::size_t i = 0; i < count; ++i) impl_->loops.push_back(std::make_unique<EventLoop>(i));
}

LoopPool::~LoopPool() {
  stop();
}

std::size_t LoopPool::size() const {
  return impl_->loops.size();
}

Loop& LoopPool::at(std::size_t index) const {
  return *impl_->loops.at(index);
}

void LoopPool::start() {
  NB_ASSERT(impl_->threads.empty());
  // Signals belong to the main thread; SIGPIPE of a socket closed under OpenSSL to nobody.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
    sigdelset(&all, fault);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  for (auto& loop : impl_->loops) {
    loop->alive_ = true;
    impl_->threads.emplace_back([&loop] { loop->run(); });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LoopPool::stop() {
  for (auto& loop : impl_->loops) loop->stop();
  for (auto& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

}  // namespace nb::net
