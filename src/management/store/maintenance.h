// What an operator does to the main database by hand, through netbird-mgmt's verbs.
#pragma once

#include "management/domain/account.h"
#include "sql/database.h"
#include "sql/migration.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

/// Raises the serial of every account by `step`. For a database restored from a backup: agents drop
/// maps whose serial is lower than the last they applied (contract/network-map.md §3.2). Running
/// instances notice within seconds.
Result<std::vector<AccountSerial>> raise_serials(sql::Database& database, std::uint64_t step,
                                                 Instant deadline);

Result<std::int64_t> count_accounts(sql::Database& database, Instant deadline);

struct ComponentState {
  std::string component;  // as in sql::MigrationSet
  sql::MigrationState migrations;
};
struct SchemaState {
  std::vector<ComponentState> components;
  std::vector<std::string> missing_indexes;                // unique ones that hold invariants
  [[nodiscard]] std::vector<std::string> pending() const;  // "main: upstream's tables"
  [[nodiscard]] bool complete() const { return pending().empty() && missing_indexes.empty(); }
};

/// What the main database lacks of the servers' and the agents' tables. Reads only; a database that
/// was never migrated lacks everything.
Result<SchemaState> schema_state(sql::Database& database, Instant deadline);

}  // namespace nb::management
