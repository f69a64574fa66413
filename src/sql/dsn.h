// Data source names: which database, and how to get there.
// Source   contract/signal-relay-ops.md §6.5: PostgreSQL as URL or key=value, SQLite as a file.
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "sql/types.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::sql {

struct Dsn {
  Engine engine = Engine::kSqlite;
  /// SQLite: the file, without "file:" and "?…"; ":memory:" is refused (each connection would
  /// have its own).
  std::string file;
  /// PostgreSQL: libpq keywords in order, without password.
  std::vector<std::pair<std::string, std::string>> parameters;
  Secret password;

  /// "postgres://…", "postgresql://…" or "host=… dbname=…".
  /// Errors   kInvalidArgument; the text never repeats the input, which may hold a password.
  static Result<Dsn> postgres(std::string_view text);
  /// Pragmas after '?' are accepted and ignored: ours are fixed.
  static Result<Dsn> sqlite(std::string_view file);

  /// For logs: "postgres host:port/dbname" or "sqlite FILE".
  [[nodiscard]] std::string describe() const;
};

}  // namespace nb::sql
