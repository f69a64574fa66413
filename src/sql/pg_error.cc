#include "sql/pg_error.h"

#include <libpq-fe.h>

namespace nb::sql {
namespace {

std::string_view field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string_view{} : std::string_view(text);
}

Violation::Kind violation_kind(std::string_view state) {
  if (state == "23505" || state == "23P01") return Violation::Kind::kUnique;
  if (state == "23503") return Violation::Kind::kForeignKey;
  if (state == "23502") return Violation::Kind::kNotNull;
  if (state.starts_with("23")) return Violation::Kind::kCheck;
  return Violation::Kind::kNone;
}

}  // namespace

// Source: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
Code pg_code(std::string_view state) {
  if (state == "40001" || state == "40P01") return Code::kAborted;
  // See pg_plan_is_stale(): prepared again it works.
  if (state == "0A000" || state == "26000") return Code::kAborted;
  if (state == "23505" || state == "23P01") return Code::kAlreadyExists;
  if (state.starts_with("23")) return Code::kFailedPrecondition;
  if (state == "57014" || state == "55P03") return Code::kDeadlineExceeded;
  // Lost, starting, stopping, full, idle in transaction for too long, or not the primary any more.
  if (state.empty() || state.starts_with("08") || state.starts_with("57P") ||
      state.starts_with("53") || state == "25P03" || state == "25P04" || state == "25006")
    return Code::kUnavailable;
  if (state == "22021" || state == "22P05") return Code::kInvalidArgument;
  return Code::kInternal;
}

bool pg_plan_is_stale(const PGresult* result) {
  const std::string_view state = field(result, PG_DIAG_SQLSTATE);
  return state == "0A000" || state == "26000";
}

Error pg_error(const PGresult* result, Violation& violation) {
  const std::string_view state = field(result, PG_DIAG_SQLSTATE);
  std::string_view message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (state.starts_with("22")) message = message.substr(0, message.find('"'));
  const Code code = pg_code(state);
  if (const auto kind = violation_kind(state); kind != Violation::Kind::kNone) {
    violation.kind = kind;
    violation.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
  }
  if (code == Code::kAlreadyExists)
    return fail(code, "unique constraint ({})", violation.constraint);
  return fail(code, "PostgreSQL {}: {}", state.empty() ? "connection" : state, message);
}

}  // namespace nb::sql
