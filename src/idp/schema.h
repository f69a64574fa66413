// Tables of the provider, and the import of what upstream's Dex left in the same database.
#pragma once

#include "idp/vault.h"
#include "sql/migration.h"

namespace nb::idp {

/// All our tables begin with nb_idp_; upstream's are read once and never changed, so the old server
/// can be started again on the same database.
/// `vault` must outlive the set.
[[nodiscard]] sql::MigrationSet migrations(const Vault& vault);
/// What is missing; needs no key and writes nothing.
Result<sql::MigrationState> check_schema(sql::Database& database, Instant deadline);

}  // namespace nb::idp
