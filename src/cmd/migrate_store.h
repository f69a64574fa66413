// netbird-server migrate-store: from one server's SQLite files to PostgreSQL, so that several
// instances can share it.
#pragma once

#include "cmd/mgmt_admin.h"

namespace nb::cmd {

/// `migrate-store --to postgres://…`
[[nodiscard]] VerbPlan migrate_store_verb();

}  // namespace nb::cmd
