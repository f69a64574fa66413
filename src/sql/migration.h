// Versioned schema changes, applied once, by whichever instance comes first.
#pragma once

#include "base/log.h"
#include "sql/database.h"

#include <functional>
#include <string>
#include <vector>

namespace nb::sql {

/// Lines for the operator: what was repaired, what was found and left.
using MigrationReport = std::vector<std::string>;

struct Migration {
  int version = 0;  // grows by one from 1
  std::string name;
  /// Runs in a transaction of its own, under the migration lock; may run again after a failure.
  std::function<Result<>(Session&, MigrationReport&)> apply;
};

/// The history of one component of a database; several can share one.
struct MigrationSet {
  std::string component;  // "main", "events"
  std::vector<Migration> migrations;
};

struct MigrationState {
  int applied = 0;                   // highest version in the database, 0: none
  int wanted = 0;                    // highest version of the program
  std::vector<std::string> pending;  // names, in order
};

/// Reads table nb_schema_migrations; writes nothing.
Result<MigrationState> check_migrations(Database& database, const MigrationSet& set,
                                        Instant deadline);
/// Applies what is missing, one transaction each, while other instances may serve. A database that
/// is ahead of the program is left alone: migrations only add.
/// Errors   kFailedPrecondition: a migration could not be applied, with its name.
Result<MigrationReport> migrate(Database& database, const MigrationSet& set, Instant deadline,
                                const Logger& log);

}  // namespace nb::sql
