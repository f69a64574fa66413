// netbird-relay among its kind: relays need nothing of each other, but say in Redis that they live,
// and no two may have one exposed address (contract/signal-relay-ops.md §3.5).
#pragma once

#include "base/result.h"
#include "cmd/common_config.h"
#include "cmd/host.h"
#include "net/loop.h"
#include "relay/service.h"

#include <memory>
#include <string>

namespace nb::cmd {

/// Lives on loop 0. Without Redis the relay serves as ever.
class RelayCluster {
 public:
  /// Null when HA is off. `health_prefix`: of its names in /readyz.
  static Result<std::unique_ptr<RelayCluster>> make(const HaConfig& config, std::string url,
                                                    net::LoopPool& loops,
                                                    const relay::Service& service, Host& host,
                                                    const std::string& health_prefix = {});
  ~RelayCluster();
  RelayCluster(const RelayCluster&) = delete;
  RelayCluster& operator=(const RelayCluster&) = delete;

  void start();
  /// Says good-bye; blocks.
  void stop();

 private:
  struct Impl;
  explicit RelayCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::cmd
