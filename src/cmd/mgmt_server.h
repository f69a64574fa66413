// netbird-mgmt's server: its parts, built, started and stopped in order.
#pragma once

#include "base/health.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/program.h"
#include "base/result.h"
#include "cmd/mgmt_config.h"

#include <memory>
#include <string>
#include <vector>

namespace nb::cmd {

class MgmtServer {
 public:
  /// Opens the database (waits for it a while) and builds everything; nothing listens yet.
  /// `config` must stay where it is.
  static Result<std::unique_ptr<MgmtServer>> make(MgmtConfig& config,
                                                  std::shared_ptr<MetricRegistry> metrics,
                                                  Health& health, Logger log);
  ~MgmtServer();
  MgmtServer(const MgmtServer&) = delete;
  MgmtServer& operator=(const MgmtServer&) = delete;

  void add_to(Program& program);

 private:
  struct Impl;
  explicit MgmtServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::cmd
