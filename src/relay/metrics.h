// Metrics of the relay; names of upstream letter for letter (signal-relay-ops.md §8.2).
#pragma once

#include "base/metrics.h"

namespace nb::relay {

struct RelayMetrics {
  explicit RelayMetrics(MetricRegistry& registry);

  FastCounter& sent_bytes;      // relay_transfer_sent_bytes_total
  FastCounter& received_bytes;  // relay_transfer_received_bytes_total
  FastGauge& peers;             // relay_peers{transport=ws}
  FastGauge& quic_peers;        // relay_peers{transport=quic}
  FastGauge& peers_active;      // relay_peers_active
  FastGauge& peers_idle;        // relay_peers_idle
  FastHistogram& auth_ms;       // relay_peer_authentication_time_milliseconds
  FastHistogram& store_ms;      // relay_peer_store_time_milliseconds
  FastCounter& reconnections;   // relay_peer_reconnections_total

  FastGauge& instance_peers;    // nb_instance_peers
  FastCounter& dropped_full;    // nb_relay_queue_dropped_total{reason=…}: the peer's queue
  FastCounter& dropped_unfair;  // … one sender's share of it
  FastCounter& dropped_memory;  // … memory of all queues
  FastCounter& dropped_loop;    // … another loop does not keep up
  FastCounter& dropped_absent;  // nb_relay_absent_dropped_total: no such peer here
  FastCounter& sent_messages;   // nb_relay_messages_sent_total
  FastGauge& queued_bytes;      // nb_relay_queue_bytes, looked at every few seconds
  FastGauge& handshakes;        // nb_relay_handshakes: connections not authenticated yet
  FastGauge& subscriptions;     // nb_relay_subscriptions
  FastCounter& refused_token;   // nb_relay_refused_total{reason=…}
  FastCounter& refused_protocol;
  FastCounter& refused_timeout;
  FastCounter& refused_full;
  FastCounter& refused_replaced;
  FastCounter& ended_malformed;  // nb_relay_ended_total{reason=…}
  FastCounter& ended_dead;
  FastCounter& ended_slow;
  FastCounter& ended_displaced;
  FastCounter& malformed;              // nb_relay_malformed_messages_total: ignored
  FastCounter& subscriptions_refused;  // nb_relay_subscriptions_refused_total
};

}  // namespace nb::relay
