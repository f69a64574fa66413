#include "signal/metrics.h"

#include <string>

namespace nb::signal {
namespace {

constexpr std::array<double, 9> kConnectionSeconds = {1,     60,    600,   3600,  7200,
                                                      21600, 43200, 86400, 172800};
constexpr std::array<double, 10> kMessageBytes = {100,   250,   500,    1000,   5000,
                                                  10000, 50000, 100000, 500000, 1000000};

/// Registers under upstream's name, with the prefix of the combined server.
class Upstream {
 public:
  Upstream(MetricRegistry& registry, std::string_view prefix)
      : registry_(registry), prefix_(prefix) {}
  FastCounter& counter(std::string_view name, std::string_view help,
                       MetricRegistry::Labels labels = {}) {
    return registry_.counter(prefix_ + std::string(name), help, std::move(labels));
  }
  FastGauge& gauge(std::string_view name, std::string_view help) {
    return registry_.gauge(prefix_ + std::string(name), help);
  }
  FastHistogram& histogram(std::string_view name, std::string_view help,
                           std::span<const double> bounds, MetricRegistry::Labels labels = {}) {
    return registry_.histogram(prefix_ + std::string(name), help, bounds, std::move(labels));
  }
  FastCounter& failure(std::string_view error) {
    return counter("registration_failures_total", "streams that could not be registered",
                   {{"error", std::string(error)}});
  }
  FastCounter& lost(std::string_view type) {
    return counter("message_forward_failures_total", "messages that did not reach a stream",
                   {{"type", std::string(type)}});
  }
  FastHistogram& lookup(std::string_view status) {
    return histogram("get_registration_delay_milliseconds", "time to look a peer up", kStdBuckets,
                     {{"type", "stream"}, {"status", std::string(status)}});
  }

 private:
  MetricRegistry& registry_;
  std::string prefix_;
};

FastCounter& dropped(MetricRegistry& registry, std::string_view queue) {
  return registry.counter("nb_signal_queue_dropped_total",
                          "messages a full queue threw out or refused",
                          {{"queue", std::string(queue)}});
}
FastCounter& displaced(MetricRegistry& registry, std::string_view by) {
  return registry.counter("nb_signal_displacements_total",
                          "streams ended because the peer has a newer one",
                          {{"by", std::string(by)}});
}
FastCounter& rejected(MetricRegistry& registry, std::string_view reason) {
  return registry.counter("nb_signal_streams_rejected_total", "streams that were not accepted",
                          {{"reason", std::string(reason)}});
}
FastCounter& evictions(MetricRegistry& registry, std::string_view direction) {
  return registry.counter("nb_signal_evictions_total", "requests to end a superseded stream",
                          {{"direction", std::string(direction)}});
}

}  // namespace

SignalMetrics::SignalMetrics(MetricRegistry& registry, std::string_view prefix)
    : active_peers(Upstream(registry, prefix).gauge("active_peers", "peers with an open stream")),
      connection_seconds(Upstream(registry, prefix)
                             .histogram("peer_connection_duration_seconds",
                                        "life time of ended streams", kConnectionSeconds)),
      registrations(
          Upstream(registry, prefix).counter("registrations_total", "peers that appeared")),
      deregistrations(
          Upstream(registry, prefix).counter("deregistrations_total", "peers that left")),
      failed_missing_id(Upstream(registry, prefix).failure("missing_id")),
      failed_missing_meta(Upstream(registry, prefix).failure("missing_meta")),
      failed_header(Upstream(registry, prefix).failure("failed_header")),
      failed_registration(Upstream(registry, prefix).failure("failed_registration")),
      registration_ms(Upstream(registry, prefix)
                          .histogram("registration_delay_milliseconds", "time to register a stream",
                                     kStdBuckets)),
      lookup_found_ms(Upstream(registry, prefix).lookup("found")),
      lookup_missing_ms(Upstream(registry, prefix).lookup("not_found")),
      forwarded(Upstream(registry, prefix)
                    .counter("messages_forwarded_total", "messages written to a stream")),
      lost_error(Upstream(registry, prefix).lost("error")),
      lost_not_connected(Upstream(registry, prefix).lost("not_connected")),
      lost_not_registered(Upstream(registry, prefix).lost("not_registered")),
      lost_timeout(Upstream(registry, prefix).lost("timeout")),
      lost_disconnected(Upstream(registry, prefix).lost("disconnected")),
      lost_overflow(Upstream(registry, prefix).lost("queue_full")),
      forward_ms(Upstream(registry, prefix)
                     .histogram("message_forward_latency_milliseconds",
                                "from receipt to the peer's stream", kStdBuckets,
                                {{"type", "stream"}})),
      message_bytes(Upstream(registry, prefix)
                        .histogram("message_size_bytes", "size of received messages", kMessageBytes,
                                   {{"type", "message"}})),
      cross_instance(Upstream(registry, prefix)
                         .counter("message_forward_cross_instance_total",
                                  "messages another instance accepted")),
      store_unavailable(
          Upstream(registry, prefix)
              .counter("redis_unavailable_errors_total", "messages that Redis could not route")),
      hit_local(Upstream(registry, prefix)
                    .counter("registry_hit_local_total", "peers found on this instance")),
      miss_local(Upstream(registry, prefix)
                     .counter("registry_miss_local_total", "peers not on this instance")),
      instance_peers(registry.gauge("nb_instance_peers", "peers connected to this instance")),
      repairs(
          registry.counter("nb_registry_repairs_total", "directory entries that were put right")),
      dropped_peer_queue(dropped(registry, "peer")),
      dropped_forward(dropped(registry, "forward")),
      dropped_loop(dropped(registry, "loop")),
      queued_messages(
          registry.gauge("nb_signal_queue_messages", "messages waiting for slow peers")),
      queued_bytes(registry.gauge("nb_signal_queue_bytes", "their size")),
      displaced_local(displaced(registry, "stream")),
      displaced_remote(displaced(registry, "instance")),
      rejected_older(rejected(registry, "older")),
      rejected_rate(rejected(registry, "rate")),
      rejected_full(rejected(registry, "full")),
      rejected_draining(rejected(registry, "draining")),
      throttled(registry.counter("nb_signal_streams_delayed_total",
                                 "streams of flapping keys made to wait")),
      sends_limited(
          registry.counter("nb_signal_sends_limited_total", "messages refused by a rate limit")),
      malformed(registry.counter("nb_signal_malformed_messages_total",
                                 "messages that are no valid protobuf")),
      resent(registry.counter("nb_signal_forward_resent_total", "forwards sent a second time")),
      duplicates(registry.counter("nb_signal_forward_duplicates_total",
                                  "forwards received a second time")),
      bus_invalid(
          registry.counter("nb_signal_bus_invalid_total", "bus messages that are not ours")),
      evictions_sent(evictions(registry, "sent")),
      evictions_received(evictions(registry, "received")),
      forwards_pending(
          registry.gauge("nb_signal_forward_pending", "messages on their way to other instances")) {
  static constexpr std::array kCodes = {
      Code::kOk,         Code::kUnknown,           Code::kInvalidArgument,
      Code::kInternal,   Code::kResourceExhausted, Code::kFailedPrecondition,
      Code::kUnavailable};
  for (const Code code : kCodes) {
    const auto index = static_cast<std::size_t>(code);
    for (const bool stream : {false, true}) {
      const MetricRegistry::Labels labels = {{"rpc_method", stream ? "ConnectStream" : "Send"},
                                             {"rpc_service", "signalexchange.SignalExchange"},
                                             {"rpc_system", "grpc"},
                                             {"rpc_grpc_status_code", std::to_string(index)}};
      Rpc& rpc = stream ? connect_ : send_;
      rpc.duration[index] = &registry.histogram("rpc_server_duration_milliseconds",
                                                "time of ended calls", kOtelBuckets, labels);
      rpc.requests[index] = &registry.histogram("rpc_server_requests_per_rpc",
                                                "messages received per call", kOtelBuckets, labels);
    }
  }
}

void SignalMetrics::rpc_ended(bool stream, Code code, double ms) {
  const auto index = static_cast<std::size_t>(code);
  Rpc& rpc = stream ? connect_ : send_;
  if (rpc.duration[index] == nullptr) return;
  rpc.duration[index]->observe(ms);
  rpc.requests[index]->observe(stream ? 0 : 1);
}

}  // namespace nb::signal
