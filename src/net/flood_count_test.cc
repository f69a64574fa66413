#include "net/flood_count.h"

#include <gtest/gtest.h>

namespace nb::net {
namespace {
using namespace std::chrono_literals;

constexpr Instant kStart{1'000s};

TEST(FloodCount, ControlFramesUpToTheLimitInTenSecondsAreHonest) {
  FloodCount count(kStart);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(count.control_frame(kStart + 10s, 100)) << i;
  EXPECT_FALSE(count.control_frame(kStart + 10s, 100));
  EXPECT_TRUE(count.control_frame(kStart + 10s + 1ns, 100)) << "a new window";
}

TEST(FloodCount, EachDataFrameJustifiesFour) {
  FloodCount count(kStart);
  for (int i = 0; i < 25; ++i) count.data_frame();
  for (int i = 0; i < 110; ++i) EXPECT_TRUE(count.control_frame(kStart, 10)) << i;
  EXPECT_FALSE(count.control_frame(kStart, 10));
}

TEST(FloodCount, HalfOfWhatIsJustifiedIsLeftInTheNextWindow) {
  FloodCount count(kStart);
  for (int i = 0; i < 25; ++i) count.data_frame();
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(count.control_frame(kStart + 11s, 10)) << i;
  EXPECT_FALSE(count.control_frame(kStart + 11s, 10));
}

TEST(FloodCount, ResetsHaveALimitOfTheirOwn) {
  FloodCount count(kStart);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(count.reset(kStart, 50)) << i;
  EXPECT_FALSE(count.reset(kStart, 50));
  EXPECT_TRUE(count.reset(kStart + 11s, 50));
}

TEST(FloodCount, ResetsAreControlFramesToo) {
  FloodCount count(kStart);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(count.reset(kStart, 50));
  EXPECT_FALSE(count.control_frame(kStart, 10));
}

}  // namespace
}  // namespace nb::net
