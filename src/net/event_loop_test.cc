#include "net/event_loop.h"

#include "base/clock.h"
#include "net/loop_crew.h"
#include "net/resolve.h"
#include "net/testing.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

namespace nb::net {
namespace {
namespace asio = boost::asio;
using namespace std::chrono_literals;
using testing::eventually;

struct Running {
  Running() { loops.start(); }
  LoopPool loops{1};
  Loop& loop = loops.at(0);
};

/// On the loop, in a turn of its own.
template <class Work>
auto on(Loop& loop, Work work) {
  auto done = std::make_shared<std::promise<decltype(work())>>();
  loop.post([done, work]() mutable { done->set_value(work()); });
  return done->get_future().get();
}

TEST(EventLoop, ATimerOfAsioWakesIt) {
  Running running;
  asio::steady_timer timer(running.loop.executor());
  std::promise<bool> fired;
  running.loop.post([&] {
    timer.expires_after(5ms);
    timer.async_wait([&](const boost::system::error_code& error) {
      fired.set_value(!error && running.loop.running_here());
    });
  });
  EXPECT_TRUE(fired.get_future().get());
}

/// Fulfils a promise with the time at which it fired.
class Stopwatch final : public Timer {
 public:
  explicit Stopwatch(EventLoop& loop) : loop_(loop) {}
  ~Stopwatch() { loop_.cancel(*this); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  void arm(std::chrono::milliseconds in) { loop_.arm(*this, loop_.now() + in); }
  void cancel() { loop_.cancel(*this); }
  Instant fired() { return fired_.get_future().get(); }

 private:
  void on_timer(Instant now) override { fired_.set_value(now); }
  EventLoop& loop_;
  std::promise<Instant> fired_;
};

TEST(EventLoop, ATimerThatIsArmedForEarlierThanTheOthersFiresInTime) {
  Running running;
  auto& loop = static_cast<EventLoop&>(running.loop);
  Stopwatch later(loop);
  Stopwatch sooner(loop);
  on(loop, [&] { return later.arm(60s), true; });
  const Instant begun = on(loop, [&] { return sooner.arm(5ms), loop.now(); });
  const Instant fired = sooner.fired();
  EXPECT_GE(fired, begun + 5ms);
  EXPECT_LT(fired, begun + 30s);
  on(loop, [&] { return later.cancel(), true; });
}

TEST(EventLoop, ATimerBehindACancelledOneFiresAtItsOwnTime) {
  Running running;
  auto& loop = static_cast<EventLoop&>(running.loop);
  Stopwatch cancelled(loop);
  Stopwatch timer(loop);
  on(loop, [&] { return cancelled.arm(5ms), true; });
  const Instant begun = on(loop, [&] { return cancelled.cancel(), timer.arm(40ms), loop.now(); });
  EXPECT_GE(timer.fired(), begun + 40ms);
}

TEST(EventLoop, AWaitOfAsioThatIsCancelledInATurnEndsInIt) {
  Running running;
  asio::steady_timer timer(running.loop.executor());
  std::promise<bool> ended;
  running.loop.post([&] {
    timer.expires_after(1h);
    timer.async_wait([&](const boost::system::error_code& error) { ended.set_value(!!error); });
  });
  // From the end of a turn, when everything else of it is over.
  running.loop.post([&] { running.loop.at_turn_end([&] { timer.cancel(); }); });
  EXPECT_TRUE(ended.get_future().get());
}

TEST(EventLoop, ADescriptorOfAsioWakesIt) {
  Running running;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  asio::posix::stream_descriptor in(running.loop.executor(), ends[0]);
  std::array<char, 1> byte{};
  std::promise<std::size_t> read;
  running.loop.post([&] {
    in.async_read_some(asio::buffer(byte), [&](const boost::system::error_code&, std::size_t size) {
      read.set_value(size);
    });
  });
  on(running.loop, [] { return 0; });
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_EQ(read.get_future().get(), 1U);
  ::close(ends[1]);
}

TEST(EventLoop, WhatOtherThreadsQueueOnItsExecutorRunsOnIt) {
  Running running;
  const auto executor = running.loop.executor();
  std::atomic<int> ran = 0;
  for (int i = 0; i < 1'000; ++i) {
    asio::post(executor, [&] {
      if (running.loop.running_here()) ++ran;
    });
    if (i % 100 == 0) on(running.loop, [] { return 0; });
  }
  EXPECT_TRUE(eventually([&] { return ran == 1'000; }));
}

TEST(EventLoop, WhatMayRunAtOnceDoesInATurn) {
  Running running;
  const auto executor = running.loop.executor();
  EXPECT_TRUE(on(running.loop, [executor] {
    bool ran = false;
    asio::dispatch(executor, [&ran] { ran = true; });
    return ran;
  }));
  EXPECT_FALSE(on(running.loop, [executor] {
    const auto ran = std::make_shared<bool>(false);
    asio::post(executor, [ran] { *ran = true; });
    return *ran;
  }));
}

TEST(EventLoop, NamesAreLookedUpForItsCoroutines) {
  Running running;
  std::string host = "localhost";
  std::string port = "80";
  auto found = asio::co_spawn(
      running.loop.executor(),
      resolve(std::move(host), std::move(port), std::chrono::steady_clock::now() + 30s),
      asio::use_future);
  const auto endpoints = found.get();
  ASSERT_TRUE(endpoints) << endpoints.error().text;
  EXPECT_FALSE(endpoints->empty());
}

TEST(EventLoop, HandlersThatQueueThemselvesForEverDoNotKeepOutTheRest) {
  Running running;
  const auto executor = running.loop.executor();
  std::atomic<bool> stop = false;
  std::promise<void> stopped;
  std::function<void()> again = [&] {
    if (stop) return stopped.set_value();
    asio::post(executor, again);
  };
  asio::post(executor, again);
  EXPECT_EQ(on(running.loop, [] { return 7; }), 7);
  stop = true;
  stopped.get_future().wait();
}

void spin(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
  }
}

/// A pipe of a loop that is polled.
class Pipe final : public IoHandler {
 public:
  enum class Reads { kEachByte, kNothing };  // kNothing: once written to, it is always ready

  Pipe(EventLoop& loop, std::function<void()> on_ready, Reads reads = Reads::kEachByte)
      : loop_(loop), on_ready_(std::move(on_ready)), reads_(reads) {
    EXPECT_EQ(::pipe(ends_.data()), 0);
    loop_.watch(ends_[0], EPOLLIN, *this);
  }
  ~Pipe() {
    loop_.unwatch(ends_[0]);
    for (const int end : ends_) ::close(end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void write() const { EXPECT_EQ(::write(ends_[1], "x", 1), 1); }

 private:
  void on_io(std::uint32_t /*events*/) override {
    char byte = 0;
    if (reads_ == Reads::kEachByte) {
      EXPECT_EQ(::read(ends_[0], &byte, 1), 1);
    }
    on_ready_();
  }
  EventLoop& loop_;
  const std::function<void()> on_ready_;
  const Reads reads_;
  std::array<int, 2> ends_{};
};

/// So many pieces of work of a millisecond each are more than their slice of a turn.
constexpr int kPieces = 200;
constexpr int kSliceMost = 30;

/// Queues all pieces; how many are done when a socket has its turn that becomes ready in the first.
template <class Queue>
int pieces_before_a_socket(EventLoop& loop, Queue queue) {
  int done = 0;
  int done_before = -1;
  const Pipe pipe(loop, [&] { done_before = done; });
  for (int i = 0; i < kPieces; ++i) {
    queue([&, i] {
      if (i == 0) pipe.write();
      spin(1ms);
      ++done;
    });
  }
  loop.poll();
  EXPECT_EQ(done, kPieces);
  EXPECT_GE(done_before, 1);
  return done_before;
}

TEST(EventLoopsTurn, SocketsComeBeforeMostOfWhatIsPosted) {
  EventLoop loop(0);
  const auto post = [&](auto work) { loop.post(work); };
  EXPECT_LE(pieces_before_a_socket(loop, post), kSliceMost);
}

TEST(EventLoopsTurn, SocketsComeBeforeMostHandlersOfAsio) {
  EventLoop loop(0);
  const auto post = [&](auto work) { asio::post(loop.executor(), work); };
  EXPECT_LE(pieces_before_a_socket(loop, post), kSliceMost);
}

TEST(EventLoopsTurn, WhatIsPostedComesBeforeMostOfManySockets) {
  EventLoop loop(0);
  int done = 0;
  int done_before = -1;
  std::vector<std::unique_ptr<Pipe>> pipes;
  for (int i = 0; i < kPieces; ++i) {
    pipes.push_back(std::make_unique<Pipe>(loop, [&] {
      if (done == 0) loop.post([&] { done_before = done; });
      spin(1ms);
      ++done;
    }));
    pipes.back()->write();
  }
  loop.poll();
  EXPECT_EQ(done, kPieces);
  EXPECT_GE(done_before, 1);
  EXPECT_LE(done_before, kSliceMost);
}

TEST(EventLoopsTurn, EachOfManyBusySocketsGetsItsShare) {
  EventLoop loop(0);
  std::array<int, 40> served{};
  std::vector<std::unique_ptr<Pipe>> sockets;
  for (int& count : served) {
    const auto serve = [&count] {
      spin(1ms);
      ++count;
    };
    sockets.push_back(std::make_unique<Pipe>(loop, serve, Pipe::Reads::kNothing));
    sockets.back()->write();
  }
  const auto least = [&] { return *std::min_element(served.begin(), served.end()); };
  const auto all = [&] { return std::accumulate(served.begin(), served.end(), 0); };
  while (least() < 5 && all() < 2'000) loop.turn(loop.wait(0), std::chrono::steady_clock::now());
  EXPECT_GE(least(), 5) << "of " << all();
}

TEST(EventLoopsTurn, PostsRunInTheirOrder) {
  EventLoop loop(0);
  std::vector<int> order;
  for (int i = 0; i < kPieces; ++i) {
    loop.post([&, i] {
      if (i < 20) {
        loop.post([&, i] { order.push_back(kPieces + i); });
        spin(1ms);
      }
      order.push_back(i);
    });
  }
  loop.poll();
  ASSERT_EQ(order.size(), kPieces + 20U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

std::set<std::thread::id> threads_of(LoopCrew& loops) {
  std::set<std::thread::id> out;
  for (std::size_t i = 0; i < loops.size(); ++i)
    out.insert(on(loops.at(i), [] { return std::this_thread::get_id(); }));
  return out;
}

/// On a machine that tests share with much else, a thread seldom gets a core for itself.
constexpr ThreadPolicy kSoon{.busy_share = 0.02};

/// Keeps a loop's thread from ever waiting.
class Load {
 public:
  explicit Load(Loop& loop) : loop_(loop) { again(); }
  ~Load() {
    stop_ = true;
    ended_.get_future().wait();
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

 private:
  void again() {
    loop_.post([this] {
      if (stop_) return ended_.set_value();
      spin(1ms);
      again();
    });
  }
  Loop& loop_;
  std::atomic<bool> stop_ = false;
  std::promise<void> ended_;
};

/// Asking a loop is work for it too, so it is done seldom.
bool calms_down(const std::function<bool()>& condition) {
  constexpr auto kBetween = 100ms;
  return eventually(
      [&] {
        std::this_thread::sleep_for(kBetween);
        return condition();
      },
      60s);
}

TEST(LoopCrew, OneThreadServesAllLoopsWhileThereIsLittleToDo) {
  LoopCrew loops(4);
  loops.start();
  EXPECT_EQ(threads_of(loops).size(), 1U);
}

TEST(LoopCrew, BusyLoopsGetThreadsOfTheirOwnAndGiveThemBack) {
  LoopCrew loops(3, kSoon);
  loops.start();
  for (int round = 0; round < 2; ++round) {
    {
      const Load load(loops.at(1));
      EXPECT_TRUE(eventually([&] { return threads_of(loops).size() == 3; }));
    }
    EXPECT_TRUE(calms_down([&] { return threads_of(loops).size() == 1; }));
  }
}

TEST(LoopCrew, NothingIsLostOrOvertakenWhileLoopsMove) {
  constexpr std::size_t kLoops = 3;
  constexpr int kPosters = 2;
  LoopCrew loops(kLoops, kSoon);
  loops.start();
  std::atomic<bool> stop = false;
  std::atomic<int> astray = 0;
  std::array<std::array<std::uint64_t, kPosters>, kLoops> seen{};  // each on its loop
  std::array<std::array<std::uint64_t, kPosters>, kLoops> sent{};
  std::vector<std::thread> posters;
  for (int p = 0; p < kPosters; ++p) {
    posters.emplace_back([&, p] {
      while (!stop) {
        for (std::size_t i = 0; i < kLoops; ++i) {
          Loop& loop = loops.at(i);
          const std::uint64_t number = ++sent[i][static_cast<std::size_t>(p)];
          loop.post([&, i, p, number] {
            auto& last = seen[i][static_cast<std::size_t>(p)];
            if (++last != number || !loop.running_here()) ++astray;
          });
        }
        std::this_thread::yield();
      }
    });
  }
  for (int round = 0; round < 2; ++round) {
    const Load load(loops.at(2));
    EXPECT_TRUE(eventually([&] { return threads_of(loops).size() == kLoops; }));
  }
  stop = true;
  for (std::thread& poster : posters) poster.join();
  for (std::size_t i = 0; i < kLoops; ++i)
    EXPECT_EQ(on(loops.at(i), [&, i] { return seen[i]; }), sent[i]);
  EXPECT_EQ(astray, 0);
}

std::thread::id thread_of(Loop& loop) {
  return on(loop, [] { return std::this_thread::get_id(); });
}

TEST(LoopCrew, AGuestSharesTheThreadOfTheOthers) {
  LoopCrew host(1, {}, 1);
  EventLoop guest(0);
  host.start();
  host.attach(guest);
  EXPECT_EQ(thread_of(guest), thread_of(host.at(0)));
  host.stop();
  host.detach(guest);
}

TEST(LoopCrew, ABusyGuestHasAThreadOfItsOwnAndGivesItBack) {
  LoopCrew host(1, kSoon, 1);
  EventLoop guest(0);
  host.start();
  host.attach(guest);
  {
    const Load load(guest);
    EXPECT_TRUE(eventually([&] { return thread_of(guest) != thread_of(host.at(0)); }));
  }
  EXPECT_TRUE(calms_down([&] { return thread_of(guest) == thread_of(host.at(0)); }));
  host.stop();
  host.detach(guest);
  EXPECT_FALSE(guest.alive());
}

TEST(LoopPool, AGuestMayComeBeforeItsHostAndIsEndedAfterIt) {
  LoopPool host(2, 1);
  LoopPool guest(host);
  std::promise<bool> ran;
  guest.at(0).post([&] { ran.set_value(guest.at(0).running_here()); });
  guest.start();
  host.start();
  EXPECT_TRUE(ran.get_future().get());
  host.stop();
  guest.stop();
}

TEST(LoopPool, AGuestThatNeverCameEndsAsWell) {
  LoopPool host(1, 1);
  const LoopPool guest(host);
}

}  // namespace
}  // namespace nb::net
