#include "net/net_metrics.h"

#include "base/plain_metrics.h"

namespace nb::net {
namespace {

prometheus::Counter& refused(prometheus::Registry& registry, const char* reason) {
  return plain_counter(registry, "netbird_net_connections_refused_total",
                       "Connections refused when accepted", {{"reason", reason}});
}

prometheus::Counter& closed(prometheus::Registry& registry, const char* reason) {
  return plain_counter(registry, "netbird_net_connections_closed_total",
                       "Connections this server ended on its own account", {{"reason", reason}});
}

prometheus::Counter& request_refused(prometheus::Registry& registry, const char* reason) {
  return plain_counter(registry, "netbird_net_requests_refused_total",
                       "Requests and calls ended because a limit was passed", {{"reason", reason}});
}

prometheus::Counter& ws_bytes(prometheus::Registry& registry, const char* direction) {
  return plain_counter(registry, "wsproxy_bytes_transferred_total",
                       "Total number of bytes transferred through the proxy",
                       {{"direction", direction}});
}

prometheus::Counter& ws_error(prometheus::Registry& registry, const char* type) {
  return plain_counter(registry, "wsproxy_errors_total", "Total number of WebSocket proxy errors",
                       {{"error_type", type}});
}

}  // namespace

NetMetrics::NetMetrics(prometheus::Registry& registry)
    : connections(plain_gauge(registry, "netbird_net_connections", "Open connections")),
      accepted_total(plain_counter(registry, "netbird_net_connections_accepted_total",
                                   "Connections accepted")),
      refused_limit(refused(registry, "limit")),
      refused_address(refused(registry, "address_limit")),
      closed_tls(closed(registry, "tls")),
      closed_protocol(closed(registry, "protocol")),
      closed_slow(closed(registry, "header_timeout")),
      closed_idle(closed(registry, "idle")),
      closed_dead(closed(registry, "keepalive")),
      closed_age(closed(registry, "age")),
      closed_flood(closed(registry, "flood")),
      header_too_large(request_refused(registry, "header")),
      body_too_large(request_refused(registry, "body")),
      message_too_large(request_refused(registry, "message")),
      slow_reader(request_refused(registry, "write_buffer")),
      tls_reloads_total(plain_counter(registry, "netbird_net_tls_reloads_total",
                                      "Certificates taken over without a restart")),
      tls_reload_errors_total(plain_counter(registry, "netbird_net_tls_reload_errors_total",
                                            "Certificate files that could not be used")),
      ws_active(plain_gauge(registry, "wsproxy_active_connections",
                            "Number of active WebSocket proxy connections")),
      ws_to_grpc_bytes(ws_bytes(registry, "ws_to_grpc")),
      grpc_to_ws_bytes(ws_bytes(registry, "grpc_to_ws")),
      ws_accept_failed(ws_error(registry, "websocket_accept_failed")),
      ws_read_error(ws_error(registry, "websocket_read_error")),
      ws_pipe_error(ws_error(registry, "pipe_write_error")),
      ws_write_error(ws_error(registry, "websocket_write_error")) {}

}  // namespace nb::net
