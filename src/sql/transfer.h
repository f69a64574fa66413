// Carries every row of a SQLite database into PostgreSQL: restartable, and verified row by row.
//
// The target has been migrated to the program's schema before. Tables and columns that only the
// source has (upstream's own) are made in the target. Each table is copied in one transaction,
// with its record in nb_transfer; whoever is interrupted goes on after the last whole table. What
// is recorded is what was read back from the target, compared with what was read from the source.
#pragma once

#include "sql/database.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::sql {

struct TransferOptions {
  std::string component;  // "main", "events", "idp"; several may share one target
  /// Type in the target of a column that the target does not have; nothing: by its type in SQLite.
  std::function<std::optional<std::string>(std::string_view table, std::string_view column)> type{};
  /// Told after each table.
  std::function<void(std::string_view table, std::int64_t rows, bool resumed)> progress{};
};

struct TransferReport {
  std::int64_t tables = 0;
  std::int64_t rows = 0;
  std::int64_t resumed = 0;        // tables that an earlier run had copied
  std::vector<std::string> notes;  // for the operator: what could not be kept as it was, and why
};

/// `from` is SQLite, `to` PostgreSQL. Nobody else may write to either; writers of `from` wait.
/// Errors   kFailedPrecondition: the target has rows that are not from here, or a row does not fit
///          its rules; kDataLoss: what was written is not what was read.
Result<TransferReport> transfer(Database& from, Database& to, const TransferOptions& options,
                                Instant deadline);

/// Components of `database` whose transfer has begun and not ended; nothing if none ever began.
Result<std::vector<std::string>> unfinished_transfers(Database& database, Instant deadline);

}  // namespace nb::sql
