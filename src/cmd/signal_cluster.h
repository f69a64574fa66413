// Everything netbird-signal needs to share its load with other instances.
#pragma once

#include "base/result.h"
#include "cmd/host.h"
#include "cmd/signal_config.h"
#include "net/loop.h"
#include "signal/metrics.h"
#include "signal/service.h"

#include <memory>
#include <string>

namespace nb::cmd {

/// Redis, membership, directory, bus and exchange, all on loop 0.
class SignalCluster {
 public:
  /// Null when HA is off. `health_prefix`: of its names in /readyz.
  /// Errors   kInvalidArgument: settings that cannot work. Redis being away is none.
  static Result<std::unique_ptr<SignalCluster>> make(const SignalConfig& config,
                                                     net::LoopPool& loops, signal::Service& service,
                                                     signal::SignalMetrics& metrics, Host& host,
                                                     const std::string& health_prefix = {});
  ~SignalCluster();
  SignalCluster(const SignalCluster&) = delete;
  SignalCluster& operator=(const SignalCluster&) = delete;

  void start();
  /// Takes our peers and ourselves out of Redis. Blocks, a few seconds at most.
  void stop();

 private:
  struct Impl;
  explicit SignalCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::cmd
