// Makes upstream's tables, or completes those that are there.
#pragma once

#include "base/result.h"
#include "management/store/schema_catalog.h"
#include "sql/migration.h"
#include "sql/session.h"

#include <span>

namespace nb::management::schema {

/// Missing tables, columns and indexes are added; nothing is changed or dropped. A unique index
/// that the rows do not allow is left out and reported.
Result<> complete(sql::Session& session, std::span<const Table> tables,
                  sql::MigrationReport& report);

/// False as well where the table itself is not there.
Result<bool> has_column(sql::Session& session, std::string_view table, std::string_view name);

/// A column of ours on one of upstream's tables.
Result<> add_column(sql::Session& session, std::string_view table, std::string_view name,
                    std::string_view type);

/// Runs a statement that may fail on the rows as they are; false: it did, and left no trace.
Result<bool> try_statement(sql::Session& session, std::string_view statement, std::string& why);

}  // namespace nb::management::schema
