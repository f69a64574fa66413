#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/counter.h>

#include <thread>

namespace nb {
namespace {
using testing::HasSubstr;
using testing::Not;

TEST(FastMetrics, ManyThreadsLoseNothing) {
  FastCounter counter;
  FastGauge gauge;
  FastHistogram histogram(kStdBuckets);
  // More threads than shards, so that the shared one is used too, and two rounds, so that shards
  // change hands.
  for (int round = 0; round < 2; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 40; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          counter.add();
          gauge.add(2);
          gauge.sub();
          histogram.observe(7);
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(counter.value(), 80'000U);
  EXPECT_EQ(gauge.value(), 80'000);
  EXPECT_EQ(histogram.snapshot().count, 80'000U);
  EXPECT_DOUBLE_EQ(histogram.snapshot().sum, 560'000);
}

TEST(FastMetrics, AValueOnTheBoundBelongsToItsBucket) {
  const std::array<double, 2> bounds = {1, 5};
  FastHistogram histogram(bounds);
  for (const double value : {0.5, 1.0, 1.1, 5.0, 5.1}) histogram.observe(value);
  EXPECT_EQ(histogram.snapshot().counts, (std::vector<std::uint64_t>{2, 2, 1}));
}

TEST(MetricRegistry, ExportsFastAndLibraryMetricsUnderTheirNames) {
  MetricRegistry registry;
  registry.counter("registrations_total", "Peers that registered").add(3);
  registry.gauge("active_peers", "Connected peers").add(2);
  registry.counter("failures_total", "By kind", {{"type", "a\"b"}}).add();
  registry.histogram("size_bytes", "Sizes", std::array<double, 2>{100, 250}).observe(120);
  prometheus::BuildCounter().Name("lib_total").Help("h").Register(registry).Add({}).Increment();
  EXPECT_EQ(&registry.counter("registrations_total", ""),
            &registry.counter("registrations_total", ""));
  const auto page = metrics_page(registry);
  EXPECT_THAT(page.content_type, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(page.body, HasSubstr("# TYPE registrations_total counter\nregistrations_total 3\n"));
  EXPECT_THAT(page.body, HasSubstr("active_peers 2\n"));
  EXPECT_THAT(page.body, HasSubstr("failures_total{type=\"a\\\"b\"} 1\n"));
  EXPECT_THAT(page.body, HasSubstr("size_bytes_bucket{le=\"100\"} 0\nsize_bytes_bucket{le=\"250\"} "
                                   "1\nsize_bytes_bucket{le=\"+Inf\"} 1\nsize_bytes_sum 120\n"
                                   "size_bytes_count 1\n"));
  EXPECT_THAT(page.body, HasSubstr("lib_total 1\n"));
  EXPECT_THAT(page.body, Not(HasSubstr("EOF")));
  EXPECT_EQ(metric_list(registry),
            "active_peers gauge\nfailures_total counter type\nlib_total counter\n"
            "registrations_total counter\nsize_bytes histogram\n");
}

TEST(MetricRegistry, OpenMetricsNamesTheFamilyWithoutTotal) {
  MetricRegistry registry;
  registry.counter("x_total", "h").add();
  const auto page = metrics_page(registry, "application/openmetrics-text; version=1.0.0");
  EXPECT_THAT(page.content_type, HasSubstr("application/openmetrics-text"));
  EXPECT_EQ(page.body, "# HELP x h\n# TYPE x counter\nx_total 1\n# EOF\n");
}

TEST(MetricRegistry, AWatchEndsWithItsHandle) {
  MetricRegistry registry;
  double value = 1;
  {
    const auto watch = registry.watch_gauge("depth", "h", [&] { return value; });
    value = 5;
    EXPECT_THAT(metrics_page(registry).body, HasSubstr("depth 5\n"));
  }
  EXPECT_THAT(metrics_page(registry).body, Not(HasSubstr("depth")));
}

TEST(MetricRegistry, ProcessMetricsHaveValues) {
  MetricRegistry registry;
  add_process_metrics(registry, "signal");
  const auto body = metrics_page(registry).body;
  EXPECT_THAT(body, HasSubstr("nb_build_info{component=\"signal\",revision="));
  for (const auto* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                           "process_open_fds", "process_start_time_seconds"}) {
    EXPECT_THAT(body, HasSubstr(std::string("\n") + name + " "));
    EXPECT_THAT(body, Not(HasSubstr(std::string("\n") + name + " 0\n"))) << name;
  }
}

}  // namespace
}  // namespace nb
