// PostgreSQL's error fields as our errors. Private to sql/.
#pragma once

#include "base/result.h"
#include "sql/session.h"

#include <string_view>

struct pg_result;

namespace nb::sql {

/// Never repeats values: of data errors only the part of the message before the first quote is
/// kept.
Error pg_error(const pg_result* result, Violation& violation);
/// "cached plan must not change result type", or the prepared statement is gone.
bool pg_plan_is_stale(const pg_result* result);
/// SQLSTATE → our code.
Code pg_code(std::string_view sqlstate);

}  // namespace nb::sql
