// Unique indexes that hold the invariants of contract/network-map.md §7, with the repair of rows
// that stand in their way. Private to store/.
#pragma once

#include "base/result.h"
#include "sql/migration.h"
#include "sql/session.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::constraints {

struct Unique {
  std::string_view name;       // of the index; upstream's or ours (nb_…)
  std::string_view table;      // with a column "id"
  std::string_view columns;    // columns or expressions
  std::string_view condition;  // empty: all rows
  std::string_view invariant;  // what two rows of one value break
  std::string_view repaired;  // what the repair did, for the report; empty: none, rows are reported
  std::string_view repair;    // statement
};

/// Those that upstream relies on too come first.
std::span<const Unique> all();

/// Makes the index `name` if it is not there: repairs what stands in its way, or reports why it is
/// left out. Other instances may serve meanwhile; writes to the table wait for the end.
Result<> ensure(sql::Session& session, std::string_view name, sql::MigrationReport& report);

/// Names of those that are not there.
Result<std::vector<std::string>> missing(sql::Session& session);

/// Rows that break `unique`: id and value, at most `limit`.
struct Breach {
  std::string id;
  std::string value;
};
Result<std::vector<Breach>> breaches(sql::Session& session, const Unique& unique,
                                     std::size_t limit);

}  // namespace nb::management::constraints
