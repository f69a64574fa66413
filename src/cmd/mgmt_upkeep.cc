#include "cmd/mgmt_upkeep.h"

#include "base/backoff.h"
#include "base/log_keys.h"
#include "cmd/mgmt_settings.h"

#include <boost/asio/this_coro.hpp>

#include <condition_variable>
#include <mutex>
#include <utility>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kMoveEvery = 1s;  // a listing is at most this far behind
constexpr auto kPrepareDeadline = 10s;
constexpr auto kPruneEvery = 1min;
constexpr auto kPruneDeadline = 30s;
/// Far longer than any instance is behind before it reads a whole account anyway.
constexpr auto kLogAge = 1h;
constexpr std::size_t kPruneBatch = 10'000;

}  // namespace

Result<sql::Dsn> events_dsn(const MgmtConfig& config) {
  const bool shared = config.store.engine == "postgres" && config.service.ha.enabled;
  if (config.activity_store.engine == "postgres") {
    const std::string dsn(config.activity_store.postgres_dsn.reveal());
    return dsn.empty() ? main_dsn(config) : sql::Dsn::postgres(dsn);
  }
  if (shared) return main_dsn(config);
  const std::string& file = config.activity_store.sqlite_file;
  if (file.starts_with('/')) return sql::Dsn::sqlite(file);
  return sql::Dsn::sqlite(config.datadir + (config.datadir.ends_with('/') ? "" : "/") + file);
}

Result<std::unique_ptr<MgmtUpkeep>> MgmtUpkeep::make(const MgmtConfig& config, MgmtCore& core,
                                                     Logger log) {
  std::unique_ptr<MgmtUpkeep> out(new MgmtUpkeep(core, log));
  NB_LET(sql::Dsn dsn, events_dsn(config));
  if (dsn.describe() == core.database().dsn().describe()) {
    out->events_ = &core.database();
  } else {
    sql::DatabaseOptions options = database_options(config);
    options.workers = 2;
    NB_LET(out->own_, sql::Database::open(std::move(dsn), std::move(options), log));
    out->events_ = out->own_.get();
  }
  out->event_log_ =
      std::make_unique<management::EventLog>(core.database(), *out->events_, std::move(log));
  return out;
}

void MgmtUpkeep::start(TaskGroup& tasks, std::function<bool()> my_turn) {
  preparing_ = std::jthread([this](const std::stop_token& stop) { prepare(stop); });
  tasks.spawn(move_events());
  tasks.spawn(prune(std::move(my_turn)));
}

void MgmtUpkeep::prepare(const std::stop_token& stop) {
  Backoff backoff({.first = 200ms, .most = 10s}, 1);
  std::mutex mutex;
  std::condition_variable_any stopped;
  while (!stop.stop_requested()) {
    const auto done = event_log_->prepare(core_.clock().now() + kPrepareDeadline);
    if (done) {
      prepared_.store(true, std::memory_order_release);
      return;
    }
    log_.warn("the database of activity events cannot be prepared; events wait in the main one",
              {log::f(log::kError, done.error().text)});
    std::unique_lock lock(mutex);
    stopped.wait_for(lock, stop, backoff.next(), [] { return false; });
  }
}

asio::awaitable<void> MgmtUpkeep::move_events() {
  while (!prepared_.load(std::memory_order_acquire)) co_await core_.clock().sleep_for(kMoveEvery);
  co_await event_log_->run(core_.clock(), kMoveEvery);
}

asio::awaitable<void> MgmtUpkeep::prune(std::function<bool()> my_turn) {
  for (;;) {
    co_await core_.clock().sleep_for(kPruneEvery);
    for (bool more = my_turn(); more;) {
      const auto pruned = co_await core_.store().prune_changes(core_.clock().now() + kPruneDeadline,
                                                               kLogAge, kPruneBatch);
      if (!pruned) log_.debug("change log not pruned", {log::f(log::kError, pruned.error().text)});
      more = pruned && *pruned == kPruneBatch;
    }
  }
}

}  // namespace nb::cmd
