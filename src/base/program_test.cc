#include "base/program.h"

#include "base/log_sinks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace nb {
namespace {
using namespace std::chrono_literals;
using testing::ElementsAre;

struct World {
  SystemClock clock;
  Health health{clock};
  std::vector<std::string> events;
  Program program;
  explicit World(ProgramLimits limits = {.drain_delay = 0ms, .stop_total = 5s})
      : program(health, {}, limits) {}
  Program::Part part(std::string name) {
    return {.name = name,
            .start = [this, name]() -> Result<> {
              events.push_back("start " + name);
              return {};
            },
            .stop = [this, name] { events.push_back("stop " + name); }};
  }
};

TEST(Program, StartsInOrderAndStopsInReverseOnSigterm) {
  World world;
  world.health.add("x", HealthState::kOk);
  world.program.add(world.part("a"));
  world.program.add(world.part("b"));
  world.program.add({.name = "signal", .start = []() -> Result<> {
                       ::kill(::getpid(), SIGTERM);
                       return {};
                     }});
  world.program.add({.name = "last", .stop = [&] {
                       EXPECT_TRUE(world.health.draining()) << "not ready before the first stop";
                     }});
  EXPECT_EQ(world.program.run(), 0);
  EXPECT_THAT(world.events, ElementsAre("start a", "start b", "stop b", "stop a"));
}

TEST(Program, AFailedStartStopsWhatRan) {
  World world;
  world.program.add(world.part("a"));
  world.program.add({.name = "bad", .start = []() -> Result<> {
                       return fail(Code::kUnavailable, "port in use");
                     }});
  world.program.add(world.part("never"));
  EXPECT_EQ(world.program.run(), 1);
  EXPECT_THAT(world.events, ElementsAre("start a", "stop a"));
}

TEST(Program, ADrainShedsUsersAndStaysUntilASignal) {
  World world;
  world.health.add("x", HealthState::kOk);
  auto a = world.part("a");
  auto b = world.part("b");
  b.drain = [&] {
    EXPECT_TRUE(world.health.draining());
    EXPECT_FALSE(world.program.drained());
    world.events.push_back("drain b");
  };
  a.drain = [&] {
    world.events.push_back("drain a");
    world.program.request_stop();  // comes while it drains: it ends in order all the same
  };
  world.program.add(std::move(a));
  world.program.add(std::move(b));
  world.program.request_drain();
  EXPECT_EQ(world.program.run(), 0);
  EXPECT_TRUE(world.program.drained());
  EXPECT_THAT(world.events,
              ElementsAre("start a", "start b", "drain b", "drain a", "stop b", "stop a"));
}

TEST(Program, SighupReloads) {
  World world;
  std::promise<void> reloaded;
  world.program.on_reload([&] {
    reloaded.set_value();
    world.program.request_stop();
  });
  world.program.add({.name = "hup", .start = []() -> Result<> {
                       ::kill(::getpid(), SIGHUP);
                       return {};
                     }});
  EXPECT_EQ(world.program.run(), 0);
  EXPECT_EQ(reloaded.get_future().wait_for(0s), std::future_status::ready);
}

TEST(Program, SignalsWorkAgainAfterIt) {
  for (int i = 0; i < 3; ++i) {
    World world;
    world.program.request_stop();
    EXPECT_EQ(world.program.run(), 0);
  }
}

void run_with_stuck_part() {
  World world({.drain_delay = 0ms, .stop_total = 5s});
  world.program.add({.name = "stuck",
                     .stop =
                         [] {
                           std::promise<void>().get_future().wait();
                           ::pause();
                         },
                     .stop_limit = 50ms});
  world.program.request_stop();
  world.program.run();
}
TEST(ProgramDeathTest, APartThatDoesNotStopCannotHoldTheProcess) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(run_with_stuck_part(), testing::ExitedWithCode(1), "");
}

void run_with_two_signals() {
  World world({.drain_delay = 10min, .stop_total = 5s});
  world.health.add("x", HealthState::kOk);
  // The second signal comes once the drain has begun, or the kernel would merge the two.
  world.health.on_change([](bool ready) {
    if (!ready) ::kill(::getpid(), SIGTERM);
  });
  world.program.add({.name = "signal", .start = []() -> Result<> {
                       ::kill(::getpid(), SIGTERM);
                       return {};
                     }});
  world.program.run();
}
TEST(ProgramDeathTest, TheSecondSignalEndsTheProcessAtOnce) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(run_with_two_signals(), testing::ExitedWithCode(128 + SIGTERM), "");
}

}  // namespace
}  // namespace nb
