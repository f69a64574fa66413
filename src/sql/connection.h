// What the pool needs of a driver. Private to sql/.
#pragma once

#include "sql/database.h"
#include "sql/session.h"

#include <atomic>
#include <memory>

namespace nb::sql {

/// One connection, owned and used by one worker thread.
class Connection : public Session {
 public:
  /// For the work that follows. `cancelled` outlives it.
  void set_limits(Instant deadline, const std::atomic<bool>* cancelled,
                  Durability durability = Durability::kFull) {
    durability_ = durability;
    durability_fell_short_ = false;
    deadline_ = deadline;
    cancelled_ = cancelled;
    failure_ = Error{Code::kOk, {}};
    violation_ = {};
  }
  [[nodiscard]] Instant deadline() const final { return deadline_; }
  Result<> require_full_durability() final {
    if (durability_ == Durability::kFull) return {};
    durability_fell_short_ = true;
    return failed(fail(Code::kAborted, "SQL transaction has to outlast a power cut"));
  }
  /// Since set_limits() the work has required full durability and its transaction has not got it.
  [[nodiscard]] bool durability_fell_short() const { return durability_fell_short_; }
  [[nodiscard]] const Violation& violation() const final { return violation_; }
  /// Code of the last statement that failed in the driver since set_limits(); kOk: none.
  [[nodiscard]] Code failure() const { return failure_.code; }
  [[nodiscard]] bool reported(const Error& error) const final { return error == failure_; }

  /// Connects if need be. True: it was connected before, so it may have died unnoticed.
  virtual Result<bool> ensure_open() = 0;
  virtual Result<> begin(const RunOptions& options) = 0;
  /// `in_doubt`: the connection was lost when the database may already have committed.
  virtual Result<> commit(bool& in_doubt) = 0;
  /// Leaves the connection ready for the next work, or closed.
  virtual void rollback() = 0;
  /// SQLite: between begin() and its end, which some failures of statements are as well.
  [[nodiscard]] virtual bool in_transaction() const { return false; }
  virtual void close() = 0;

 protected:
  [[nodiscard]] bool cancelled() const {
    return cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed);
  }
  Error failed(Error error) {
    failure_ = error;
    return error;
  }
  Violation violation_;

 private:
  Instant deadline_{};
  const std::atomic<bool>* cancelled_ = nullptr;
  Durability durability_ = Durability::kFull;
  bool durability_fell_short_ = false;
  Error failure_{Code::kOk, {}};
};

std::unique_ptr<Connection> make_pg_connection(const Dsn& dsn, const DatabaseOptions& options);
std::unique_ptr<Connection> make_sqlite_connection(const Dsn& dsn, const DatabaseOptions& options,
                                                   bool writer);

}  // namespace nb::sql
