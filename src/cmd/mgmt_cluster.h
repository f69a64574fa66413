// Everything netbird-mgmt needs of Redis to share its load with other instances.
#pragma once

#include "base/clock.h"
#include "base/health.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "cmd/mgmt_config.h"
#include "ha/ha.h"
#include "ha/rate_limiter.h"
#include "management/app/ha_report.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace nb::cmd {

/// Lives on `home`. Redis being away is no error: everything here is a fast path.
class MgmtCluster {
 public:
  /// Errors   kInvalidArgument: settings that cannot work.
  static Result<std::unique_ptr<MgmtCluster>> make(const MgmtConfig& config,
                                                   boost::asio::any_io_executor home,
                                                   MetricRegistry& registry, Health& health,
                                                   Clock& clock, const Logger& log);
  ~MgmtCluster();
  MgmtCluster(const MgmtCluster&) = delete;
  MgmtCluster& operator=(const MgmtCluster&) = delete;

  ha::MessageBus& bus();
  ha::PeerDirectory& directory();
  ha::LoginFilter& filter();
  ha::Deadlines& deadlines();
  ha::RateLimiter& limiter();
  ha::Leases& leases();
  /// What this instance holds of them, by resource.
  [[nodiscard]] std::vector<std::string> held_leases() const;
  /// Of all services that keep their membership in Redis.
  std::vector<management::app::HaBoard> boards();
  /// The signal servers' registry.
  ha::PeerDirectory& signal_directory();
  [[nodiscard]] bool redis_up() const;
  /// Called on home after Redis came (back): what it knew of us may be gone.
  void on_up(std::function<void()> call);

  /// On home.
  void start();
  boost::asio::awaitable<void> stop();

 private:
  struct Impl;
  explicit MgmtCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::cmd
