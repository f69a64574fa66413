#include "sql/database.h"

#include "sql/connection.h"
#include "sql/worker_pool.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <mutex>
#include <random>
#include <thread>

namespace nb::sql {

namespace asio = boost::asio;

namespace {

/// A file that is open costs nobody anything, and one in memory would be gone.
constexpr std::chrono::milliseconds kNeverIdle{0};
constexpr std::chrono::seconds kMarkTime{1};

/// PRAGMA data_version tells a connection of the commits of all others, so this one only looks.
class ChangeObserver {
 public:
  ChangeObserver(const Dsn& dsn, const DatabaseOptions& options)
      : connection_(make_sqlite_connection(dsn, options, false)) {}

  std::optional<std::string> mark() {
    const std::lock_guard lock(mutex_);
    connection_->set_limits(std::chrono::steady_clock::now() + kMarkTime, nullptr);
    const auto was_open = connection_->ensure_open();
    if (!was_open) return std::nullopt;
    if (!*was_open) {  // numbers of another connection, or of another process, mean nothing to it
      std::random_device random;
      series_ = std::uint64_t{random()} << 32 | random();
    }
    const auto rows = connection_->query("PRAGMA data_version");
    if (rows && !rows->empty()) return fmt::format("{:x}.{}", series_, (*rows)[0].text(0));
    connection_->close();
    return std::nullopt;
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Connection> connection_;
  std::uint64_t series_ = 0;
};

}  // namespace

struct Database::Impl {
  Impl(Dsn dsn_in, DatabaseOptions options_in, prometheus::Registry* registry)
      : dsn(std::move(dsn_in)), options(std::move(options_in)), metrics(registry, dsn.engine) {
    if (dsn.engine == Engine::kPostgres) {
      main = std::make_shared<WorkerPool>(
          options.workers, options.queue_max, options.connection_idle_max,
          [this] { return make_pg_connection(dsn, options); }, metrics);
      return;
    }
    main = std::make_shared<WorkerPool>(
        1, options.queue_max, kNeverIdle,
        [this] { return make_sqlite_connection(dsn, options, true); }, metrics);
    readers = std::make_shared<WorkerPool>(
        options.workers, options.queue_max, kNeverIdle,
        [this] { return make_sqlite_connection(dsn, options, false); }, metrics);
    observer = std::make_unique<ChangeObserver>(dsn, options);
  }

  [[nodiscard]] const std::shared_ptr<WorkerPool>& pool(const RunOptions& run) const {
    return readers && run.read_only ? readers : main;
  }

  const Dsn dsn;
  const DatabaseOptions options;
  SqlMetrics metrics;
  std::shared_ptr<WorkerPool> main;
  std::shared_ptr<WorkerPool> readers;       // SQLite only
  std::unique_ptr<ChangeObserver> observer;  // SQLite only
};

Result<std::unique_ptr<Database>> Database::open(Dsn dsn, DatabaseOptions options, Logger log,
                                                 prometheus::Registry* registry) {
  constexpr std::size_t kWorkersMin = 4;
  constexpr std::size_t kWorkersMax = 256;
  if (options.workers == 0)
    options.workers = std::max<std::size_t>(kWorkersMin, std::thread::hardware_concurrency());
  if (options.workers > kWorkersMax)
    return fail(Code::kInvalidArgument, "{} database connections: at most {}", options.workers,
                kWorkersMax);
  if (options.queue_max == 0)
    return fail(Code::kInvalidArgument, "database queue: must hold at least one entry");
  if (dsn.engine == Engine::kSqlite) {
    const auto folder = std::filesystem::path(dsn.file).parent_path();
    std::error_code error;
    if (!folder.empty() && !std::filesystem::is_directory(folder, error))
      return fail(Code::kInvalidArgument, "SQLite file {}: folder does not exist", dsn.file);
  }
  log.debug("database opened",
            {log::f("database", dsn.describe()), log::f("connections", options.workers)});
  return std::unique_ptr<Database>(
      new Database(std::make_unique<Impl>(std::move(dsn), std::move(options), registry)));
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() {
  stop();
}

Engine Database::engine() const {
  return impl_->dsn.engine;
}
const Dsn& Database::dsn() const {
  return impl_->dsn;
}

std::optional<std::string> Database::change_mark() {
  return impl_->observer ? impl_->observer->mark() : std::nullopt;
}

void Database::stop() {
  impl_->main->stop();
  if (impl_->readers) impl_->readers->stop();
}

namespace {

JobPtr make_job(Instant deadline, const RunOptions& options, std::chrono::milliseconds time_max,
                std::function<Result<>(Session&)> work) {
  auto job = std::make_shared<Job>();
  job->deadline = std::min(deadline, std::chrono::steady_clock::now() + time_max);
  job->options = options;
  job->work = std::move(work);
  return job;
}

/// Starts the job for a waiting coroutine: answers on its executor, cancels with it.
struct StartJob {
  std::shared_ptr<WorkerPool> pool;
  JobPtr job;

  template <class Handler>
  void operator()(Handler handler) {
    auto shared = std::make_shared<Handler>(std::move(handler));
    auto slot = asio::get_associated_cancellation_slot(*shared);
    auto executor = asio::prefer(asio::get_associated_executor(*shared),
                                 asio::execution::outstanding_work.tracked);
    if (slot.is_connected())
      slot.assign(
          [weak_pool = std::weak_ptr(pool), weak = std::weak_ptr(job)](asio::cancellation_type) {
            const auto alive = weak_pool.lock();
            const auto waiting = weak.lock();
            if (alive && waiting) alive->cancel(waiting);
          });
    job->home = executor;
    job->finish = [shared](Result<> result) mutable {
      asio::get_associated_cancellation_slot(*shared).clear();
      std::move (*shared)(std::move(result));
    };
    pool->submit(job);
  }
};

}  // namespace

asio::awaitable<Result<>> Database::run_erased(Instant deadline, RunOptions options, Work work) {
  const auto& pool = impl_->pool(options);
  StartJob start{pool,
                 make_job(deadline, options, impl_->options.transaction_max, std::move(work))};
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<>)>(
      std::move(start), asio::use_awaitable);
}

Result<> Database::run_erased_blocking(Instant deadline, RunOptions options, Work work) {
  const JobPtr job = make_job(deadline, options, impl_->options.transaction_max, std::move(work));
  auto answer = std::make_shared<std::promise<Result<>>>();
  auto future = answer->get_future();
  job->finish = [answer](Result<> result) { answer->set_value(std::move(result)); };
  impl_->pool(options)->submit(job);
  return future.get();
}

template <>
asio::awaitable<Result<>> Database::run<void>(Instant deadline, RunOptions options,
                                              std::function<Result<>(Session&)> work) {
  return run_erased(deadline, options, std::move(work));
}

template <>
Result<> Database::run_blocking<void>(Instant deadline, RunOptions options,
                                      std::function<Result<>(Session&)> work) {
  return run_erased_blocking(deadline, options, std::move(work));
}

asio::awaitable<Result<>> Database::ping(Instant deadline) {
  Work work = [](Session& session) -> Result<> {
    if (!session.postgres()) return session.script("SELECT 1");
    NB_LET(const Rows rows, session.query("SELECT pg_is_in_recovery()"));
    if (rows[0].boolean(0))
      return fail(Code::kUnavailable, "database is a standby, not the primary");
    return {};
  };
  return run_erased(deadline, {.read_only = true, .single_statement = true, .attempts_max = 2},
                    std::move(work));
}

}  // namespace nb::sql
