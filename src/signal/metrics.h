// Metrics of the signal server; names of upstream letter for letter (signal-relay-ops.md §8.2).
#pragma once

#include "base/metrics.h"
#include "base/result.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace nb::signal {

struct SignalMetrics {
  /// `prefix`: "signal_" in the combined server, for names of upstream.
  explicit SignalMetrics(MetricRegistry& registry, std::string_view prefix = {});

  FastGauge& active_peers;
  FastHistogram& connection_seconds;  // peer_connection_duration_seconds
  FastCounter& registrations;
  FastCounter& deregistrations;
  FastCounter& failed_missing_id;  // registration_failures_total{error=…}
  FastCounter& failed_missing_meta;
  FastCounter& failed_header;
  FastCounter& failed_registration;
  FastHistogram& registration_ms;  // registration_delay_milliseconds
  FastHistogram& lookup_found_ms;  // get_registration_delay_milliseconds{status=found}
  FastHistogram& lookup_missing_ms;
  FastCounter& forwarded;   // messages_forwarded_total
  FastCounter& lost_error;  // message_forward_failures_total{type=…}
  FastCounter& lost_not_connected;
  FastCounter& lost_not_registered;
  FastCounter& lost_timeout;
  FastCounter& lost_disconnected;
  FastCounter& lost_overflow;    // {type=queue_full}, ours
  FastHistogram& forward_ms;     // message_forward_latency_milliseconds
  FastHistogram& message_bytes;  // message_size_bytes

  FastCounter& cross_instance;     // message_forward_cross_instance_total
  FastCounter& store_unavailable;  // redis_unavailable_errors_total
  FastCounter& hit_local;          // registry_hit_local_total
  FastCounter& miss_local;         // registry_miss_local_total

  FastGauge& instance_peers;        // nb_instance_peers
  FastCounter& repairs;             // nb_registry_repairs_total
  FastCounter& dropped_peer_queue;  // nb_signal_queue_dropped_total{queue=peer}: oldest thrown out
  FastCounter& dropped_forward;     // {queue=forward}: refused, too many under way
  FastCounter& dropped_loop;        // {queue=loop}: refused, another loop does not keep up
  FastGauge& queued_messages;       // nb_signal_queue_messages
  FastGauge& queued_bytes;          // nb_signal_queue_bytes
  FastCounter& displaced_local;     // nb_signal_displacements_total{by=stream}
  FastCounter& displaced_remote;    // {by=instance}
  FastCounter& rejected_older;      // nb_signal_streams_rejected_total{reason=older}
  FastCounter& rejected_rate;       // {reason=rate}
  FastCounter& rejected_full;       // {reason=full}
  FastCounter& rejected_draining;   // {reason=draining}
  FastCounter& throttled;           // nb_signal_streams_delayed_total
  FastCounter& sends_limited;       // nb_signal_sends_limited_total
  FastCounter& malformed;           // nb_signal_malformed_messages_total
  FastCounter& resent;              // nb_signal_forward_resent_total
  FastCounter& duplicates;          // nb_signal_forward_duplicates_total
  FastCounter& bus_invalid;         // nb_signal_bus_invalid_total
  FastCounter& evictions_sent;      // nb_signal_evictions_total{direction=sent}
  FastCounter& evictions_received;  // {direction=received}
  FastGauge& forwards_pending;      // nb_signal_forward_pending

  /// rpc_server_duration_milliseconds and rpc_server_requests_per_rpc of one ended call.
  void rpc_ended(bool stream, Code code, double ms);

 private:
  struct Rpc {
    std::array<FastHistogram*, 17> duration{};
    std::array<FastHistogram*, 17> requests{};
  };
  Rpc send_;
  Rpc connect_;
};

}  // namespace nb::signal
