// Verbs of the databases: migrate, doctor, serial raise.
#pragma once

#include "cmd/mgmt_admin.h"

#include <cstdint>

namespace nb::cmd {

/// Exit statuses: 0 well, 1 failed, 3 something is missing or wrong and was listed.
int migrate_database(const VerbCall& call, bool check_only);
int examine_database(const VerbCall& call);
int raise_serials(const VerbCall& call, std::uint64_t step);

}  // namespace nb::cmd
