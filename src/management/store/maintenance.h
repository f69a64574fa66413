// What an operator does to the main database by hand, through netbird-mgmt's verbs.
#pragma once

#include "management/domain/account.h"
#include "sql/database.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

/// Raises the serial of every account by `step`. For a database restored from a backup: agents drop
/// maps whose serial is lower than the last they applied (contract/network-map.md §3.2). Running
/// instances notice within seconds.
Result<std::vector<AccountSerial>> raise_serials(sql::Database& database, std::uint64_t step,
                                                 Instant deadline);

struct SchemaState {
  int applied = 0;  // migrations of the main database
  int wanted = 0;
  std::vector<std::string> pending;          // names of migrations
  std::vector<std::string> missing_indexes;  // unique ones that hold invariants
  [[nodiscard]] bool complete() const { return pending.empty() && missing_indexes.empty(); }
};

/// Reads only; a database that was never migrated lacks everything.
Result<SchemaState> schema_state(sql::Database& database, Instant deadline);

}  // namespace nb::management
