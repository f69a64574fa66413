// Counters of the transport. One set per server, shared by its loops.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

namespace nb::net {

struct NetMetrics {
  explicit NetMetrics(prometheus::Registry& registry);

  prometheus::Gauge& connections;          // netbird_net_connections
  prometheus::Counter& accepted_total;     // netbird_net_connections_accepted_total
  prometheus::Counter& refused_limit;      // netbird_net_connections_refused_total{reason="limit"}
  prometheus::Counter& refused_address;    //   {reason="address_limit"}
  prometheus::Counter& closed_tls;         // netbird_net_connections_closed_total{reason="tls"}
  prometheus::Counter& closed_protocol;    //   {reason="protocol"}
  prometheus::Counter& closed_slow;        //   {reason="header_timeout"}
  prometheus::Counter& closed_idle;        //   {reason="idle"}
  prometheus::Counter& closed_dead;        //   {reason="keepalive"}
  prometheus::Counter& closed_age;         //   {reason="age"}
  prometheus::Counter& closed_flood;       //   {reason="flood"}
  prometheus::Counter& header_too_large;   // netbird_net_requests_refused_total{reason="header"}
  prometheus::Counter& body_too_large;     //   {reason="body"}
  prometheus::Counter& message_too_large;  //   {reason="message"}
  prometheus::Counter& slow_reader;        //   {reason="write_buffer"}
  prometheus::Counter& tls_reloads_total;  // netbird_net_tls_reloads_total
  prometheus::Counter& tls_reload_errors_total;  // netbird_net_tls_reload_errors_total

  prometheus::Gauge& ws_active;           // wsproxy_active_connections
  prometheus::Counter& ws_to_grpc_bytes;  // wsproxy_bytes_transferred_total{direction=…}
  prometheus::Counter& grpc_to_ws_bytes;
  prometheus::Counter& ws_accept_failed;  // wsproxy_errors_total{error_type=…}
  prometheus::Counter& ws_read_error;
  prometheus::Counter& ws_pipe_error;
  prometheus::Counter& ws_write_error;
};

}  // namespace nb::net
