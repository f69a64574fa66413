// Verbs of netbird-mgmt that look after the database: migrate, doctor, serial raise.
#pragma once

#include "base/log.h"
#include "cmd/mgmt_config.h"

#include <cstdint>

namespace nb::cmd {

/// Exit statuses: 0 well, 1 failed, 3 something is missing or wrong and was listed.
int migrate_database(MgmtConfig& config, bool check_only, const Logger& log);
int examine_database(MgmtConfig& config, const Logger& log);
int raise_serials(MgmtConfig& config, std::uint64_t step, const Logger& log);

}  // namespace nb::cmd
