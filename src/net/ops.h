// The operator's port: /metrics, /healthz, /readyz. Its own Server on the same loops:
//
//   auto routes = std::make_shared<HttpRouter>();
//   add_ops_routes(*routes, {.metrics = …, .ready = …});
//   Server ops(loops, nullptr, routes, {.listeners = {{.port = 9090}}}, registry_of_ops, log);
//
// Source   contract/signal-relay-ops.md §8.1, §8.3.
#pragma once

#include "net/http.h"

#include <prometheus/collectable.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace nb::net {

struct Readiness {
  bool ready = true;
  std::string json = "{}";  // per dependency
  /// Not ready because it drains: GET /readyz?drain=404 then answers 404, by which HAProxy
  /// (disable-on-404) sends nothing new but leaves the streams to us.
  bool draining = false;
};

struct OpsSources {
  /// Collected at each GET /metrics, in order.
  std::vector<std::weak_ptr<prometheus::Collectable>> metrics;
  /// Liveness; empty: always alive.
  std::function<bool()> alive{};
  /// Readiness; empty: always ready. Called on a loop: must not block.
  std::function<Readiness()> ready{};
};

/// Adds GET and HEAD of /metrics, /healthz and /readyz.
void add_ops_routes(HttpRouter& router, OpsSources sources);

/// Only /healthz and /readyz, for a service port.
void add_health_routes(HttpRouter& router, OpsSources sources);

/// Prometheus text format 0.0.4 or OpenMetrics 1.0.
[[nodiscard]] std::string metrics_text(const OpsSources& sources, bool open_metrics);

}  // namespace nb::net
