// The report on instances as JSON, the same for GET /api/ha/status and `ha status --json`.
#pragma once

#include "management/app/ha_report.h"

#include <string>

namespace nb::management::rest {

[[nodiscard]] std::string ha_status_json(const app::HaReport& report);

}  // namespace nb::management::rest
