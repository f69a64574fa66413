// The metrics of each binary, whole: a renamed one is seen in review (signal-relay-ops.md §8.2).
#include "base/metrics.h"

#include "idp/metrics.h"
#include "management/grpc/mgmt_metrics.h"
#include "net/net_metrics.h"
#include "redis/metrics.h"
#include "signal/metrics.h"
#include "support/golden.h"

#include <gtest/gtest.h>

namespace nb::cmd {
namespace {

TEST(MetricNames, OfSignal) {
  MetricRegistry registry;
  add_process_metrics(registry, "signal");
  const net::NetMetrics net(registry);
  const redis::Metrics redis(registry);
  const signal::SignalMetrics own(registry);
  test::expect_golden("tests/data/metrics-signal.txt", metric_list(registry));
}

TEST(MetricNames, OfManagement) {
  MetricRegistry registry;
  add_process_metrics(registry, "management");
  const net::NetMetrics net(registry);
  const redis::Metrics redis(registry);
  const management::grpc::MgmtMetrics own(registry);
  const idp::IdpMetrics idp(registry);
  test::expect_golden("tests/data/metrics-management.txt", metric_list(registry));
}

/// Names that upstream's dashboards ask for.
TEST(MetricNames, UpstreamsSignalNamesAreThere) {
  MetricRegistry registry;
  const signal::SignalMetrics own(registry);
  const std::string list = "\n" + metric_list(registry);
  for (const std::string name :
       {"active_peers gauge\n", "peer_connection_duration_seconds histogram\n",
        "registrations_total counter\n", "deregistrations_total counter\n",
        "registration_failures_total counter error\n",
        "registration_delay_milliseconds histogram\n",
        "get_registration_delay_milliseconds histogram status,type\n",
        "messages_forwarded_total counter\n", "message_forward_failures_total counter type\n",
        "message_forward_latency_milliseconds histogram type\n",
        "message_size_bytes histogram type\n", "message_forward_cross_instance_total counter\n",
        "redis_unavailable_errors_total counter\n", "registry_hit_local_total counter\n",
        "registry_miss_local_total counter\n"}) {
    EXPECT_NE(list.find("\n" + name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace nb::cmd
