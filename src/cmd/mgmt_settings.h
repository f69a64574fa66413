// From management.json's words to the options of the modules.
#pragma once

#include "base/result.h"
#include "cmd/mgmt_config.h"
#include "management/app/peer_sessions.h"
#include "management/app/sync_hub.h"
#include "management/grpc/netbird_config.h"
#include "management/grpc/service.h"
#include "management/store/sql_store.h"
#include "sql/database.h"
#include "sql/dsn.h"

#include <functional>
#include <string>

namespace nb::cmd {

/// Errors   kInvalidArgument: engine or DSN.
[[nodiscard]] Result<sql::Dsn> main_dsn(const MgmtConfig& config);
/// The same database for a verb that only tells what is there: SQLite would make a file that is
/// missing, so that one is replaced by an empty database of the connection alone.
[[nodiscard]] sql::Dsn looked_at(sql::Dsn dsn);
[[nodiscard]] sql::DatabaseOptions database_options(const MgmtConfig& config);
/// Of everything that writes to the main database. `announce`: see SqlStoreOptions.
[[nodiscard]] management::SqlStoreOptions sql_store_options(const MgmtConfig& config,
                                                            std::function<bool()> announce = {});
[[nodiscard]] Result<management::grpc::NetbirdConfigs> netbird_configs(const MgmtConfig& config);
/// What the configuration says of the identity provider, or its document in its place.
[[nodiscard]] management::grpc::LoginSettings login_settings(const MgmtConfig& config);
[[nodiscard]] management::grpc::ServiceOptions service_options(const MgmtConfig& config);
/// `postgres`: messages can go over the database too.
[[nodiscard]] management::app::SyncHubOptions hub_options(const MgmtConfig& config,
                                                          std::string self, bool postgres);
[[nodiscard]] net::ServerConfig mgmt_server(const MgmtConfig& config);

/// PostgreSQL channel of messages that the bus could not carry.
inline constexpr const char* kFallbackChannel = "nb_account_message";

}  // namespace nb::cmd
