// What the calls of ProxyService share, and what lives per loop. Private to management/grpc.
#pragma once

#include "base/rate_limit.h"
#include "base/task_group.h"
#include "management/app/visitor_gate.h"
#include "management/grpc/proxy_service.h"

#include <atomic>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace nb::management::grpc {

class ProxySession;

/// Only on its loop.
struct ProxyLoop {
  explicit ProxyLoop(net::Loop& on)
      : loop(on), tasks(on.executor()), failures({.per_second = 5.0 / 60, .burst = 5}, 4'096) {}
  net::Loop& loop;
  TaskGroup tasks;
  KeyedRateLimit failures;  // of tokens, by address
  std::unordered_set<ProxySession*> sessions;
};

/// Outlives every call: calls hold it.
struct ProxyServiceState {
  ProxyServiceState(ProxyPorts ports_in, ProxyOptions options_in, Logger log_in)
      : ports(std::move(ports_in)),
        options(options_in),
        log(std::move(log_in)),
        gate(ports.limiter, ports.hasher, ports.random) {}

  ProxyPorts ports;
  ProxyOptions options;
  Logger log;
  app::VisitorGate gate;
  std::vector<std::unique_ptr<ProxyLoop>> loops;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> streams{0};

  [[nodiscard]] ProxyLoop& at(const net::Loop& loop) const { return *loops[loop.index()]; }
  [[nodiscard]] Instant deadline(const std::optional<Instant>& asked) const {
    const Instant ours = ports.clock.now() + options.unary_deadline;
    return asked && *asked < ours ? *asked : ours;
  }
};
using ProxyStatePtr = std::shared_ptr<ProxyServiceState>;

/// Whose proxy calls, from its "authorization" header.
/// Errors   kUnauthenticated; kResourceExhausted: too many wrong ones from this address.
[[nodiscard]] Task<ProxyGrant> proxy_caller(ProxyStatePtr state, ProxyLoop* loop,
                                            std::string authorization, std::string ip,
                                            Instant deadline);
/// A token of one account asks for that account only.
/// Errors   kPermissionDenied.
[[nodiscard]] Result<> check_scope(const ProxyGrant& grant, std::string_view account);

void add_proxy_calls(net::GrpcRouter& router, const ProxyStatePtr& state);

}  // namespace nb::management::grpc
