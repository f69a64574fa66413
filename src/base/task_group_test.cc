#include "base/task_group.h"

#include "base/clock.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace nb {
namespace {
namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> wait_long(SystemClock& clock, int& ended) {
  co_await clock.sleep_for(1h);
  ++ended;
}

asio::awaitable<void> stop_group(TaskGroup& group, bool& stopped) {
  co_await group.stop();
  stopped = true;
}

TEST(TaskGroup, StopCancelsAndAwaitsEveryTask) {
  asio::io_context io;
  SystemClock clock;
  TaskGroup group(io.get_executor());
  int ended = 0;
  group.spawn(wait_long(clock, ended));
  group.spawn(wait_long(clock, ended));
  io.poll();
  ASSERT_EQ(group.size(), 2U);
  bool stopped = false;
  asio::co_spawn(io, stop_group(group, stopped), asio::detached);
  io.restart();
  io.run();
  EXPECT_TRUE(stopped);
  EXPECT_EQ(group.size(), 0U);
}

TEST(TaskGroup, TaskSpawnedAfterStopNeverStarts) {
  asio::io_context io;
  SystemClock clock;
  TaskGroup group(io.get_executor());
  bool stopped = false;
  asio::co_spawn(io, stop_group(group, stopped), asio::detached);
  io.run();
  ASSERT_TRUE(stopped);
  int ended = 0;
  group.spawn(wait_long(clock, ended));
  EXPECT_EQ(group.size(), 0U);
}

}  // namespace
}  // namespace nb
