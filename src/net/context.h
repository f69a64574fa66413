// What every session of one server on one loop shares.
#pragma once

#include "base/log.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/net_metrics.h"
#include "net/server.h"

#include <memory>

namespace nb::net {

struct ServerContext {
  EventLoop& loop;
  const GrpcRouter& grpc;
  const HttpRouter& http;
  const ServerConfig& config;
  const ProxyRules& proxies;
  NetMetrics& metrics;
  Logger log;
  std::shared_ptr<const void> routes{};  // owner of grpc and http, for coroutines that outlive us
  bool draining = false;

  [[nodiscard]] const ServerLimits& limits() const { return config.limits; }
};

}  // namespace nb::net
