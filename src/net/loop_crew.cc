#include "net/loop_crew.h"

#include "base/assert.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <utility>

namespace nb::net {

namespace {
using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

/// Soon enough for a burst; and calm enough that threads do not come and go with every one.
constexpr auto kBusyWindow = std::chrono::milliseconds(25);
constexpr auto kQuietWindow = std::chrono::seconds(1);
constexpr auto kRunTime = std::chrono::microseconds(300);
/// So long the loops of one thread may go on answering each other before it looks at their sockets.
constexpr auto kTalkTime = std::chrono::microseconds(200);

int sooner(int a, int b) {
  if (a < 0) return b;
  return b < 0 ? a : std::min(a, b);
}

/// Asks to be run soon and for a short time rather than later and for a long one, when there are
/// more threads than cores. A hint of Linux 6.12 and later; older ones do not look at it.
void prefer_short_slices() {
  if (::sched_getscheduler(0) != SCHED_OTHER) return;  // the operator has chosen otherwise
  struct {
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime;
    std::uint64_t deadline;
    std::uint64_t period;
  } wish{};  // sched_setattr(2)
  wish.size = sizeof wish;
  wish.policy = SCHED_OTHER;
  wish.nice = ::getpriority(PRIO_PROCESS, 0);
  wish.runtime = static_cast<std::uint64_t>(nanoseconds(kRunTime).count());
  ::syscall(SYS_sched_setattr, 0, &wish, 0);
}

/// What the calling thread has had of a core. Not the time in which it did not wait: a thread that
/// others keep from its core would not get a second one either.
nanoseconds own_cpu() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + nanoseconds(t.tv_nsec);
}

}  // namespace

/// One thread and the loops it serves at the moment.
class Seat {
 public:
  Seat(LoopCrew& crew, std::size_t index)
      : crew_(crew),
        index_(index),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    NB_ASSERT(epoll_ >= 0 && wake_ >= 0);
    add(wake_, EPOLLIN | EPOLLET, nullptr);
  }
  ~Seat() {
    close(epoll_);
    close(wake_);
  }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  void run();
  // From any thread.
  void give(EventLoop& loop) {
    {
      const std::lock_guard lock(mutex_);
      arrivals_.push_back(&loop);
    }
    wake();
  }
  void wake() {
    const std::uint64_t one = 1;
    NB_ASSERT(write(wake_, &one, sizeof one) == sizeof one);
  }
  /// As of its last window.
  [[nodiscard]] nanoseconds cpu() const {
    return nanoseconds(cpu_ns_.load(std::memory_order_relaxed));
  }

 private:
  void add(int fd, std::uint32_t events, EventLoop* loop) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = loop;
    NB_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
  }
  void settle();
  void together(bool on);
  void serve_one(EventLoop& loop);
  void serve_all();
  void close_window(Instant now);

  LoopCrew& crew_;
  const std::size_t index_;
  const int epoll_;  // of loops_, while they are several
  const int wake_;
  std::mutex mutex_;
  std::vector<EventLoop*> arrivals_;  // guarded by mutex_
  std::vector<EventLoop*> loops_;
  bool together_ = false;
  Instant window_since_ = Clock::now();
  std::atomic<std::int64_t> cpu_ns_ = 0;
};

LoopCrew::LoopCrew(std::size_t count, ThreadPolicy policy, std::size_t guests)
    : policy_(policy), gathered_at_(Clock::now()) {
  for (std::size_t i = 0; i < count; ++i) loops_.push_back(std::make_unique<EventLoop>(i));
  for (std::size_t i = 0; i < count + guests; ++i)
    seats_.push_back(std::make_unique<Seat>(*this, i));
}

LoopCrew::~LoopCrew() {
  stop();
}

void LoopCrew::start() {
  NB_ASSERT(threads_.empty());
  for (auto& loop : loops_) {
    loop->set_alive(true);
    seat_of(*loop).give(*loop);
  }
  for (auto& seat : seats_) threads_.emplace_back([&seat] { seat->run(); });
}

void LoopCrew::stop() {
  if (threads_.empty()) return;
  stopped_ = true;
  for (auto& seat : seats_) seat->wake();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (auto& loop : loops_) loop->set_alive(false);
}

void LoopCrew::attach(EventLoop& guest) {
  const std::size_t place = loops_.size() + guests_.size();
  NB_ASSERT(place < seats_.size());
  guests_.push_back(&guest);
  guest.set_place(place);
  guest.set_alive(true);
  seat_of(guest).give(guest);
}

void LoopCrew::detach(EventLoop& guest) {
  if (std::erase(guests_, &guest) == 0) return;
  NB_ASSERT(threads_.empty());
  guest.set_alive(false);
}

Seat& LoopCrew::seat_of(const EventLoop& loop) const {
  return *seats_[loop.place() % active_.load(std::memory_order_relaxed)];
}

void LoopCrew::spread(double share) {
  const std::size_t now = active_.load();
  if (share > policy_.busy_share && now < seats_.size())
    set_active(std::min(now * 2, seats_.size()));
}

void LoopCrew::gather(Instant now) {
  if (now - gathered_at_ < kQuietWindow) return;
  nanoseconds cpu{0};
  for (const auto& seat : seats_) cpu += seat->cpu();
  const double cores = std::chrono::duration<double>(cpu - gathered_cpu_) / (now - gathered_at_);
  gathered_at_ = now;
  gathered_cpu_ = cpu;
  const std::size_t active = active_.load();
  const bool whole = std::exchange(gathered_of_, active) == active;
  if (whole && active > 1 && cores < policy_.quiet_share * static_cast<double>(active) / 2)
    set_active((active + 1) / 2);
}

void LoopCrew::set_active(std::size_t count) {
  active_ = count;
  for (auto& seat : seats_) seat->wake();
}

void Seat::run() {
  EventLoop::take_seat(this);
  prefer_short_slices();
  window_since_ = Clock::now();
  while (!crew_.stopped()) {
    settle();
    if (loops_.size() == 1)
      serve_one(*loops_.front());
    else
      serve_all();
  }
}

/// Takes what has come and hands on what belongs to others now.
void Seat::settle() {
  std::vector<EventLoop*> come;
  {
    const std::lock_guard lock(mutex_);
    come.swap(arrivals_);
  }
  for (EventLoop* const loop : come) {
    loop->sit(this, wake_);
    loops_.push_back(loop);
    if (together_) add(loop->descriptor(), EPOLLIN, loop);
  }
  std::erase_if(loops_, [this](EventLoop* loop) {
    Seat& owner = crew_.seat_of(*loop);
    if (&owner == this) return false;
    loop->leave(wake_);
    if (together_) epoll_ctl(epoll_, EPOLL_CTL_DEL, loop->descriptor(), nullptr);
    owner.give(*loop);
    return true;
  });
  together(loops_.size() > 1);
}

/// A set of sets costs at every event, so there is one only while it is needed.
void Seat::together(bool on) {
  if (std::exchange(together_, on) == on) return;
  for (EventLoop* const loop : loops_) {
    if (on)
      add(loop->descriptor(), EPOLLIN, loop);
    else
      epoll_ctl(epoll_, EPOLL_CTL_DEL, loop->descriptor(), nullptr);
  }
}

void Seat::serve_one(EventLoop& loop) {
  const Instant now = Clock::now();
  if (now - window_since_ >= kBusyWindow) close_window(now);
  const int ready = loop.wait(loop.wait_limit(now));
  loop.turn(ready, Clock::now());
}

void Seat::serve_all() {
  const Instant now = Clock::now();
  if (now - window_since_ >= kBusyWindow) close_window(now);
  int limit = -1;
  for (EventLoop* const loop : loops_) limit = sooner(limit, loop->wait_limit(now));
  std::array<epoll_event, 64> events;
  const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), limit);
  const Instant resumed = Clock::now();
  for (int i = 0; i < ready; ++i) {
    if (events[static_cast<std::size_t>(i)].data.ptr == nullptr) continue;
    auto& loop = *static_cast<EventLoop*>(events[static_cast<std::size_t>(i)].data.ptr);
    loop.turn(loop.wait(0), Clock::now());
  }
  // Timers, and what the loops have just sent to each other, which is often answered at once: as
  // long as that is soon done, nobody looks for ready sockets in between.
  Instant turned = resumed;
  bool sent = true;
  while (sent && turned - resumed < kTalkTime) {
    sent = false;
    for (EventLoop* const loop : loops_) {
      if (loop->wait_limit(turned) != 0) continue;
      turned = Clock::now();
      loop->turn(loop->sockets_left() ? loop->wait(0) : 0, turned);
      sent = true;
    }
  }
}

void Seat::close_window(Instant now) {
  const nanoseconds before = cpu();
  const nanoseconds all = own_cpu();
  cpu_ns_.store(all.count(), std::memory_order_relaxed);
  const double share = std::chrono::duration<double>(all - before) / (now - window_since_);
  window_since_ = now;
  if (loops_.size() > 1) crew_.spread(share);
  if (index_ == 0) crew_.gather(now);
}

}  // namespace nb::net
