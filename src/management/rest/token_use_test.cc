#include "management/rest/token_use.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

namespace nb::management::rest {
namespace {

using namespace std::chrono_literals;

TEST(TokenUse, IsToldPerTokenAndMinute) {
  MetricRegistry metrics;
  TokenUse use(metrics.histogram("uses", "per minute", kOtelBuckets));
  const auto says = [&](const std::string& line) {
    const std::string page = prometheus::TextSerializer().Serialize(metrics.Collect());
    return page.find(line) != std::string::npos;
  };
  const Instant begin = Instant{} + 1h;
  for (int i = 0; i < 7; ++i) use.used("often", begin + i * 1s);
  use.used("once", begin + 59s);
  EXPECT_TRUE(says("uses_count 0")) << "the minute is not over";
  use.used("once", begin + 60s);
  EXPECT_TRUE(says("uses_count 2"));
  EXPECT_TRUE(says("uses_sum 8"));
  use.used("once", begin + 120s);
  EXPECT_TRUE(says("uses_count 3"));
  EXPECT_TRUE(says("uses_sum 9"));
}

}  // namespace
}  // namespace nb::management::rest
