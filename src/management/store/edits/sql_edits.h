// AccountEdits over a SQL database with upstream's tables.
#pragma once

#include "management/store/edits/account_edits.h"
#include "management/store/sql_store.h"

#include <memory>

namespace nb::management {

/// The schema must have been prepared (prepare_main_database).
std::unique_ptr<AccountEdits> make_sql_edits(SqlStoreParts parts, SqlStoreOptions options);

}  // namespace nb::management
