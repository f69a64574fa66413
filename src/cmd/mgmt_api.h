// The REST side of netbird-mgmt: who callers are, what they may, and the table of endpoints.
#pragma once

#include "base/log.h"
#include "base/metrics.h"
#include "base/task_group.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_core.h"
#include "ha/rate_limiter.h"
#include "management/app/account_commands.h"
#include "management/app/changes.h"
#include "management/app/identity_provider.h"
#include "management/app/token_validator.h"
#include "net/http.h"
#include "sql/database.h"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>

namespace nb::management {
class ProxyStore;
namespace app {
class HaOverview;
class Jobs;
class ProxySeals;
}  // namespace app
namespace auth {
class ProxySignIn;
}
}  // namespace nb::management

namespace nb::cmd {

class MgmtApi {
 public:
  /// All of it outlives the API.
  struct Ports {
    MgmtCore& core;
    sql::Database& events;              // where activity is kept
    boost::asio::any_io_executor home;  // of keys that are refreshed
    management::app::Changes& changes;
    management::IdentityProvider* provider = nullptr;  // the embedded one, if it is on
    management::app::HaOverview& overview;
    ha::RateLimiter* limiter = nullptr;  // shared; null: of this process
    MetricRegistry& metrics;
    management::ProxyStore& proxies;
    management::app::ProxySeals& seals;
    std::function<bool()> announce{};  // SqlStoreOptions::announce
    management::app::AccountCommands::OnIdle on_idle{};
  };
  /// Errors   kInvalidArgument: settings that cannot work.
  static Result<std::unique_ptr<MgmtApi>> make(const MgmtConfig& config, Ports ports, Logger log);
  ~MgmtApi();
  MgmtApi(const MgmtApi&) = delete;
  MgmtApi& operator=(const MgmtApi&) = delete;

  /// The identity provider has said who it is. Any thread.
  void learn(const MgmtConfig& config);
  /// For agents' logins; null when no identity provider is configured.
  [[nodiscard]] management::app::TokenValidator* tokens();
  /// For visitors of reverse proxies; null when no identity provider is configured for them.
  [[nodiscard]] management::auth::ProxySignIn* sign_in();
  /// What writes accounts' objects, and tells whom it concerns.
  [[nodiscard]] management::app::AccountCommands& commands();
  /// What goes on by itself.
  void start(TaskGroup& tasks);
  /// The limiter that requests are counted by.
  [[nodiscard]] ha::RateLimiter& limiter();
  /// Adds /api; after that the API must outlive the server.
  void add_to(net::HttpRouter& router, management::app::Jobs& jobs);

 private:
  struct Impl;
  explicit MgmtApi(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::cmd
