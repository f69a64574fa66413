#include "base/duration.h"

#include <gtest/gtest.h>

namespace nb {
namespace {
using namespace std::chrono_literals;

TEST(Duration, GoSyntaxIsRead) {
  EXPECT_EQ(*parse_duration("1h30m"), 90min);
  EXPECT_EQ(*parse_duration("800ms"), 800ms);
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration(".5m"), 30s);
  EXPECT_EQ(*parse_duration("-2us"), -2us);
  EXPECT_EQ(*parse_duration("3\xC2\xB5s"), 3us);
  EXPECT_EQ(*parse_duration("0"), 0ns);
  EXPECT_EQ(*parse_duration("1h0m0.000000001s"), 1h + 1ns);
}

TEST(Duration, AnythingElseIsRefused) {
  for (const auto* text : {"", "5", "s", "1x", "1h30", "-", ".s", "1 s", "1h-1m", "3000000h",
                           "9223372036854775808ns", "99999999999999999999h"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Duration, FormatIsWhatGoPrints) {
  EXPECT_EQ(format_duration(90min), "1h30m0s");
  EXPECT_EQ(format_duration(800ms), "800ms");
  EXPECT_EQ(format_duration(1500us), "1.5ms");
  EXPECT_EQ(format_duration(61s), "1m1s");
  EXPECT_EQ(format_duration(0ns), "0s");
  EXPECT_EQ(format_duration(-5ns), "-5ns");
  EXPECT_EQ(format_duration(std::chrono::nanoseconds::max()), "2562047h47m16.854775807s");
  EXPECT_EQ(format_duration(std::chrono::nanoseconds::min()), "-2562047h47m16.854775808s");
}

TEST(Duration, ExtremesRoundTrip) {
  for (const auto value : {std::chrono::nanoseconds::max(), std::chrono::nanoseconds::min()}) {
    EXPECT_EQ(*parse_duration(format_duration(value)), value);
  }
}

}  // namespace
}  // namespace nb
