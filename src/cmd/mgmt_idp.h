// The embedded identity provider of netbird-mgmt: from EmbeddedIdP of management.json to a running
// idp::Provider, and what the rest of the server is told of it.
#pragma once

#include "base/result.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_core.h"
#include "idp/idp.h"
#include "sql/database.h"

#include <chrono>
#include <memory>

namespace nb::cmd {

/// Overwrites HttpConfig and the agents' login flows with those of the embedded provider
/// (contract/auth-idp.md §1.1, §5). Does nothing if it is off.
/// Errors   kInvalidArgument: issuer.
Result<> apply_embedded_idp(MgmtConfig& config);
/// Errors   kInvalidArgument: a setting of EmbeddedIdP that means nothing.
Result<idp::Options> idp_options(const MgmtConfig& config);

/// What the database of the provider lacks; reads only.
Result<sql::MigrationState> idp_schema(const MgmtConfig& config, Instant deadline,
                                       const Logger& log);

/// The provider with its database. Members in the order of their dependence.
class MgmtIdp {
 public:
  /// Waits for a database that is not there yet, at most `wait`.
  static Result<std::unique_ptr<MgmtIdp>> open(const MgmtConfig& config, MgmtCore& core,
                                               idp::Hooks hooks, std::chrono::milliseconds wait,
                                               prometheus::Registry& registry, Logger log);
  [[nodiscard]] idp::Provider& provider() { return *provider_; }
  [[nodiscard]] sql::Database& database() { return *database_; }

 private:
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<idp::Provider> provider_;
};

}  // namespace nb::cmd
