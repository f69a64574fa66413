// The metrics of netbird-relay, whole: a renamed one is seen in review (signal-relay-ops.md §8.2).
#include "base/metrics.h"
#include "net/net_metrics.h"
#include "relay/metrics.h"
#include "relay/quic/quic.h"
#include "stun/stun.h"
#include "support/golden.h"

#include <gtest/gtest.h>

#include <string>

namespace nb::cmd {
namespace {

TEST(RelayMetricNames, AreTheCommittedOnes) {
  MetricRegistry registry;
  add_process_metrics(registry, "relay");
  const net::NetMetrics net(registry);
  const relay::RelayMetrics own(registry);
  const relay::quic::Metrics quic(registry);
  const stun::StunMetrics stun(registry);
  test::expect_golden("tests/data/metrics-relay.txt", metric_list(registry));
}

TEST(RelayMetricNames, IncludeAllOfUpstreams) {
  MetricRegistry registry;
  const relay::RelayMetrics own(registry);
  const std::string list = "\n" + metric_list(registry);
  for (const std::string name :
       {"relay_transfer_sent_bytes_total counter\n",
        "relay_transfer_received_bytes_total counter\n", "relay_peers gauge transport\n",
        "relay_peers_active gauge\n", "relay_peers_idle gauge\n",
        "relay_peer_authentication_time_milliseconds histogram\n",
        "relay_peer_store_time_milliseconds histogram\n",
        "relay_peer_reconnections_total counter\n"}) {
    EXPECT_NE(list.find("\n" + name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace nb::cmd
