// What a unit of work does with a database: statements on one connection, inside one transaction.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "sql/types.h"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace nb::sql {

/// Which rule of the database the last failed statement broke.
struct Violation {
  enum class Kind : std::uint8_t { kNone, kUnique, kForeignKey, kNotNull, kCheck };
  Kind kind = Kind::kNone;
  /// PostgreSQL: name of the constraint or unique index. SQLite: "table.column, table.column", or
  /// the index name for partial and expression indexes.
  std::string constraint;
};

/// Used on a worker thread by the function given to Database::run, and only until it returns.
/// Placeholders are $1, $2, … on both engines; statements are prepared and cached by their text, so
/// texts come from the program, never from data.
/// Errors   kAlreadyExists: unique violation; kFailedPrecondition: other violations (violation()
///          tells which); kAborted: serialization failure or deadlock (run() tries again);
///          kUnavailable: connection lost, database starting, stopping or locked (run() tries
///          again until the deadline unless COMMIT was under way); kDeadlineExceeded; kCancelled;
///          kInternal: everything else, which is a mistake in the program or the schema.
class Session {
 public:
  virtual ~Session() = default;
  [[nodiscard]] virtual Engine engine() const = 0;
  [[nodiscard]] bool postgres() const { return engine() == Engine::kPostgres; }

  /// Runs one statement and reads its whole answer.
  virtual Result<Rows> query(std::string_view statement, Params params) = 0;
  Result<Rows> query(std::string_view statement, std::initializer_list<Param> params = {}) {
    return query(statement, Params(params.begin(), params.size()));
  }
  /// The same for the number of rows written.
  Result<std::int64_t> exec(std::string_view statement, std::initializer_list<Param> params = {}) {
    return exec(statement, Params(params.begin(), params.size()));
  }
  Result<std::int64_t> exec(std::string_view statement, Params params);
  /// Several statements without parameters; for schema changes.
  virtual Result<> script(std::string_view statements) = 0;

  /// Says that what this transaction does has to outlast a power cut. One of relaxed durability
  /// (RunOptions) ends with the error that comes back, and its work runs again in one of full.
  virtual Result<> require_full_durability() = 0;

  [[nodiscard]] virtual const Violation& violation() const = 0;
  /// Whether `error` is the last one that the driver reported, unchanged; its text is for
  /// operators.
  [[nodiscard]] virtual bool reported(const Error& error) const = 0;
  [[nodiscard]] virtual Instant deadline() const = 0;

  /// PostgreSQL: delivered to listeners when the transaction commits. SQLite: nobody listens.
  Result<> notify(std::string_view channel, std::string_view payload);
  /// Serialises transactions that use the same number until the end of this one. SQLite: writers
  /// are serialised anyway.
  Result<> lock(std::int64_t number);
};

/// A stable number for Session::lock from a name such as "bootstrap" or "account:<id>".
[[nodiscard]] std::int64_t lock_number(std::string_view name);

}  // namespace nb::sql
