// sql: bounded pool of connections, transactions with deadlines, migrations, LISTEN/NOTIFY.
//
// Purpose      the only way to a database; PostgreSQL through libpq, SQLite through its C library.
// Not here     tables and statements (management/store, idp); advisory leases (ha).
// Start with   Database below, Session in session.h, then migration.h and listener.h.
// Threads      each connection has a worker thread; run() may be called from any executor and
//              answers on the caller's. SQLite has one writing worker and a few reading ones.
// Limits       DatabaseOptions: workers, queue, statements cached, time.
// Failure      Session's codes; a full queue is kResourceExhausted; a restarted PostgreSQL is
//              found again by the next call.
// Decisions    docs/decisions/0003-own-sql-sessions.md
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "sql/dsn.h"
#include "sql/session.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace prometheus {
class Registry;
}

namespace nb::sql {

enum class Isolation : std::uint8_t { kReadCommitted, kRepeatableRead, kSerializable };

/// What a commit outlasts once it is answered.
enum class Durability : std::uint8_t {
  kFull,  ///< a power cut
  /// The death of the process. SQLite's COMMIT does not wait for the disk then: a power cut may
  /// undo this commit and all after it, up to the next one of full durability, which takes them
  /// along to the disk. For what is true only while the machine runs; see
  /// Session::require_full_durability(). PostgreSQL commits as ever: there the instances survive
  /// their database.
  kRelaxed,
};

struct RunOptions {
  Isolation isolation = Isolation::kReadCommitted;
  bool read_only = false;
  /// Exactly one statement, which needs no BEGIN and COMMIT around it.
  bool single_statement = false;
  Durability durability = Durability::kFull;
  /// Large reads: they never take the last workers, so that short work does not queue behind them.
  bool bulk = false;
  /// How often the function may run in all after kAborted or a lost connection.
  int attempts_max = 6;
};

struct DatabaseOptions {
  /// Connections and threads; 0: one per core, at least 4. SQLite: readers, plus the one writer.
  std::size_t workers = 0;
  std::size_t queue_max = 4'096;
  std::size_t statements_cached_max = 512;
  std::chrono::milliseconds connect_timeout{5'000};
  /// Above any caller's deadline: what a statement and a transaction may take at most.
  std::chrono::milliseconds transaction_max{std::chrono::minutes(5)};
  /// A paused instance must not keep row locks longer than this (PostgreSQL).
  std::chrono::milliseconds idle_in_transaction_max{10'000};
  std::chrono::milliseconds connection_age_max{std::chrono::hours(1)};
  /// A connection without work is closed then; the next work opens it again (PostgreSQL).
  std::chrono::milliseconds connection_idle_max{std::chrono::minutes(3)};
  std::string application_name = "netbird";
};

class Database {
 public:
  /// Opens no connection yet: a database that is away now may come later. See ping().
  /// Errors   kInvalidArgument: a directory that does not exist, a malformed option.
  static Result<std::unique_ptr<Database>> open(Dsn dsn, DatabaseOptions options, Logger log,
                                                prometheus::Registry* registry = nullptr);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] Engine engine() const;
  [[nodiscard]] const Dsn& dsn() const;

  /// Runs `work` in a transaction on a worker: committed if it returns a value, rolled back if it
  /// returns an error. It may run more than once, so it must not change what it captured, and it
  /// owns what it uses (captures are values).
  /// Errors   Session's; kResourceExhausted: queue full; kCancelled: the caller was cancelled.
  template <class T>
  boost::asio::awaitable<Result<T>> run(Instant deadline, RunOptions options,
                                        std::function<Result<T>(Session&)> work);
  /// The same on the calling thread's time; for start-up, admin verbs and tests.
  template <class T>
  Result<T> run_blocking(Instant deadline, RunOptions options,
                         std::function<Result<T>(Session&)> work);

  /// One round trip.
  /// Errors   kUnavailable: away, or a standby that takes no writes.
  boost::asio::awaitable<Result<>> ping(Instant deadline);
  /// SQLite: a text that gives way to another once any connection of any process has committed
  /// something. Asked for before the reading that it stands for, it is never newer than what was
  /// read. Takes microseconds; for workers.
  /// Nothing: PostgreSQL, whose rows have versions of their own; or a file that cannot be read now.
  [[nodiscard]] std::optional<std::string> change_mark();
  /// Refuses new work, ends queued work with kCancelled, waits for the running. Idempotent; also
  /// done by the destructor. Executors of waiting callers must still exist.
  void stop();

  struct Impl;

 private:
  using Work = std::function<Result<>(Session&)>;
  explicit Database(std::unique_ptr<Impl> impl);
  boost::asio::awaitable<Result<>> run_erased(Instant deadline, RunOptions options, Work work);
  Result<> run_erased_blocking(Instant deadline, RunOptions options, Work work);

  template <class T>
  static Work erase(std::shared_ptr<std::optional<T>> out,
                    std::function<Result<T>(Session&)> work) {
    return [out = std::move(out), work = std::move(work)](Session& session) -> Result<> {
      auto result = work(session);
      if (!result) return std::move(result).error();
      *out = *std::move(result);
      return {};
    };
  }

  std::unique_ptr<Impl> impl_;
};

template <>
boost::asio::awaitable<Result<>> Database::run<void>(Instant deadline, RunOptions options,
                                                     std::function<Result<>(Session&)> work);
template <>
Result<> Database::run_blocking<void>(Instant deadline, RunOptions options,
                                      std::function<Result<>(Session&)> work);

template <class T>
boost::asio::awaitable<Result<T>> Database::run(Instant deadline, RunOptions options,
                                                std::function<Result<T>(Session&)> work) {
  auto out = std::make_shared<std::optional<T>>();
  auto done = co_await run_erased(deadline, options, erase<T>(out, std::move(work)));
  if (!done) co_return std::move(done).error();
  co_return std::move(**out);
}

template <class T>
Result<T> Database::run_blocking(Instant deadline, RunOptions options,
                                 std::function<Result<T>(Session&)> work) {
  auto out = std::make_shared<std::optional<T>>();
  auto done = run_erased_blocking(deadline, options, erase<T>(out, std::move(work)));
  if (!done) return std::move(done).error();
  return std::move(**out);
}

}  // namespace nb::sql
