// What netbird-mgmt looks at again and again: whether its database is there, and whether its keys
// were rotated.
#pragma once

#include "base/health.h"
#include "base/log.h"
#include "base/task_group.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_core.h"
#include "management/grpc/envelope.h"

namespace nb::cmd {

class MgmtWatch {
 public:
  /// All of it outlives the tasks.
  struct Ports {
    const MgmtConfig& config;
    MgmtCore& core;
    management::grpc::ServerKeyRing& keys;
    Health::Part& store;
  };
  MgmtWatch(Ports ports, Logger log) : ports_(ports), log_(std::move(log)) {}
  /// On home; the tasks end with the group.
  void start(TaskGroup& tasks);

 private:
  boost::asio::awaitable<void> store();
  boost::asio::awaitable<void> keys();

  const Ports ports_;
  const Logger log_;
};

}  // namespace nb::cmd
