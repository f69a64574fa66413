#include "relay/metrics.h"

#include <string>
#include <string_view>

namespace nb::relay {
namespace {
FastCounter& dropped(MetricRegistry& registry, std::string_view reason) {
  return registry.counter("nb_relay_queue_dropped_total", "packets refused by a full queue",
                          {{"reason", std::string(reason)}});
}
FastCounter& refused(MetricRegistry& registry, std::string_view reason) {
  return registry.counter("nb_relay_refused_total", "connections that did not get in",
                          {{"reason", std::string(reason)}});
}
FastCounter& ended(MetricRegistry& registry, std::string_view reason) {
  return registry.counter("nb_relay_ended_total", "connections of peers ended by the relay",
                          {{"reason", std::string(reason)}});
}
}  // namespace

RelayMetrics::RelayMetrics(MetricRegistry& registry)
    : sent_bytes(registry.counter("relay_transfer_sent_bytes_total",
                                  "bytes of transport messages sent to peers")),
      received_bytes(registry.counter("relay_transfer_received_bytes_total",
                                      "bytes of transport messages received from peers")),
      peers(registry.gauge("relay_peers", "connected peers", {{"transport", "ws"}})),
      quic_peers(registry.gauge("relay_peers", "connected peers", {{"transport", "quic"}})),
      peers_active(registry.gauge("relay_peers_active", "peers with traffic in the last 30 s")),
      peers_idle(registry.gauge("relay_peers_idle", "peers without traffic in the last 30 s")),
      auth_ms(registry.histogram("relay_peer_authentication_time_milliseconds",
                                 "from the connection to a valid token", kStdBuckets)),
      store_ms(registry.histogram("relay_peer_store_time_milliseconds",
                                  "from a valid token to being reachable", kStdBuckets)),
      reconnections(registry.counter("relay_peer_reconnections_total",
                                     "connections that took over an id in use")),
      instance_peers(registry.gauge("nb_instance_peers", "peers connected to this instance")),
      dropped_full(dropped(registry, "peer")),
      dropped_unfair(dropped(registry, "share")),
      dropped_memory(dropped(registry, "memory")),
      dropped_loop(dropped(registry, "loop")),
      dropped_absent(registry.counter("nb_relay_absent_dropped_total",
                                      "packets for peers that are not connected here")),
      sent_messages(registry.counter("nb_relay_messages_sent_total", "packets sent to peers")),
      queued_bytes(registry.gauge("nb_relay_queue_bytes", "bytes waiting for slow peers")),
      handshakes(registry.gauge("nb_relay_handshakes", "connections without a valid token yet")),
      subscriptions(registry.gauge("nb_relay_subscriptions", "ids that peers watch")),
      refused_token(refused(registry, "token")),
      refused_protocol(refused(registry, "protocol")),
      refused_timeout(refused(registry, "timeout")),
      refused_full(refused(registry, "full")),
      refused_replaced(refused(registry, "replaced_too_often")),
      ended_malformed(ended(registry, "malformed")),
      ended_dead(ended(registry, "no_health_answer")),
      ended_slow(ended(registry, "slow")),
      ended_displaced(ended(registry, "displaced")),
      malformed(registry.counter("nb_relay_malformed_messages_total",
                                 "messages of peers that were ignored")),
      subscriptions_refused(registry.counter("nb_relay_subscriptions_refused_total",
                                             "ids that could not be watched any more")) {}

}  // namespace nb::relay
