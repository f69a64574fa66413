#include "sql/session.h"

namespace nb::sql {
namespace {
constexpr std::size_t kNotifyBytesMax = 7'900;  // PostgreSQL: below 8000
}  // namespace

Result<std::int64_t> Session::exec(std::string_view statement, Params params) {
  NB_LET(const Rows rows, query(statement, params));
  return rows.affected();
}

Result<> Session::notify(std::string_view channel, std::string_view payload) {
  if (!postgres()) return {};
  if (payload.size() > kNotifyBytesMax)
    return fail(Code::kInvalidArgument, "notification of {} bytes: at most {}", payload.size(),
                kNotifyBytesMax);
  NB_TRY(query("SELECT pg_notify($1, $2)", {channel, payload}));
  return {};
}

Result<> Session::lock(std::int64_t number) {
  if (!postgres()) return {};
  NB_TRY(query("SELECT pg_advisory_xact_lock($1)", {number}));
  return {};
}

std::int64_t lock_number(std::string_view name) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  return static_cast<std::int64_t>(hash);
}

}  // namespace nb::sql
