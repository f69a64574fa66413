// Store over a SQL database with upstream's tables.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "crypto/field_cipher.h"
#include "management/store/store.h"
#include "sql/database.h"
#include "sql/migration.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace prometheus {
class Registry;
}

namespace nb::management {

/// PostgreSQL channel on which writes are told when SqlStoreOptions::announce says so;
/// the payload is "<account id> <serial>".
inline constexpr const char* kAccountChannel = "nb_account_changed";

struct SqlStoreOptions {
  /// Asked inside each write that bumps a serial: tell other instances through NOTIFY? The
  /// fallback of a deployment whose Redis is away. Called on worker threads. Empty: never.
  std::function<bool()> announce{};
  /// For accounts without a DNS domain of their own; appears in events.
  std::string dns_domain = "netbird.selfhosted";
  /// Activity events are kept; otherwise none is written.
  bool keep_events = true;
  /// Ports that layer-4 services get which name none; both ends are among them.
  std::uint16_t proxy_port_min = 10'000;
  std::uint16_t proxy_port_max = 49'151;
};

/// What the store stands on; all of it outlives the store.
struct SqlStoreParts {
  sql::Database& database;
  const crypto::FieldCipher* cipher = nullptr;  // null: no DataStoreEncryptionKey
  crypto::RandomSource& random;                 // used from worker threads
  const Clock& clock;
  Logger log{};
  prometheus::Registry* registry = nullptr;
};

/// Brings the schema up to date and makes sure that the data-store key is the one the database was
/// written with. Once per start, before make_sql_store().
/// Errors   kFailedPrecondition: another key, or a migration failed; kUnavailable.
Result<sql::MigrationReport> prepare_main_database(const SqlStoreParts& parts, Instant deadline);

/// The schema must have been prepared.
std::unique_ptr<Store> make_sql_store(SqlStoreParts parts, SqlStoreOptions options = {});

}  // namespace nb::management
