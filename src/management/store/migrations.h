// The schema of the main and the events database, step by step.
#pragma once

#include "sql/migration.h"

namespace nb::management {

/// Upstream's tables, our own (nb_*), then the constraints of contract/network-map.md §7, each
/// after the rows that would violate it were repaired and reported.
const sql::MigrationSet& main_migrations();
/// Tables of the agent store, in the main database too; they come after the main ones.
const sql::MigrationSet& agent_migrations();
/// The activity events' database, which may be the same.
const sql::MigrationSet& event_migrations();

}  // namespace nb::management
