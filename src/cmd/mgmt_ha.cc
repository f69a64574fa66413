// ha status and ha drain, for operators who look from outside. A look writes nothing, neither to
// the database (which it does not migrate either) nor to Redis.
#include "base/metrics.h"
#include "base/text.h"
#include "cmd/common_config.h"
#include "cmd/mgmt_admin.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_settings.h"
#include "ha/redis/adapters.h"
#include "ha/redis/instance_board.h"
#include "management/app/ha_report.h"
#include "management/rest/ha_status.h"
#include "management/store/instance_rows.h"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace nb::cmd {
namespace {

namespace app = management::app;
namespace asio = boost::asio;
using config::Option;
using management::Task;
using namespace std::chrono_literals;

constexpr auto kStep = 5s;  // for one question to one store

struct StatusFlags {
  bool json = false;
};
constexpr Option<StatusFlags> kStatus[] = {
    {.flag = "json", .env = "-", .member = &StatusFlags::json, .help = "print one JSON object"},
};

/// The database as it is; or the reason why it cannot be opened.
Result<std::unique_ptr<sql::Database>> open_database(const VerbCall& call) {
  NB_LET(sql::Dsn dsn, main_dsn(call.config));
  // SQLite would make the file.
  if (dsn.engine == sql::Engine::kSqlite && !std::filesystem::exists(dsn.file))
    return fail(Code::kNotFound, "{}: there is no such file", dsn.file);
  sql::DatabaseOptions options = database_options(call.config);
  options.workers = 1;
  return sql::Database::open(std::move(dsn), std::move(options), call.log);
}

/// What an overview stands on in a process that is no server.
struct Window {
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<management::InstanceRows> rows;
  std::string database_error;
};

/// `work(overview)` while a client of Redis runs, if there is one. On one thread.
template <class T, class Work>
Task<T> through(const VerbCall& call, const Window& window, Work work) {
  const bool shared = call.config.service.ha.enabled;
  const SystemClock clock;
  const auto executor = co_await asio::this_coro::executor;
  app::HaReportPorts ports{.rows = window.rows.get(), .home = executor, .clock = clock};
  app::HaReportOptions options{
      .ha = shared, .engine = call.config.store.engine, .database_error = window.database_error};
  MetricRegistry registry;
  redis::Metrics metrics(registry);
  std::unique_ptr<redis::Client> client;
  std::unique_ptr<ha::InstanceBoard> signal;
  std::unique_ptr<ha::InstanceBoard> relay;
  std::unique_ptr<ha::PeerDirectory> directory;
  if (shared) {
    NB_CO_LET(redis::Options redis,
              redis_options(call.config.service.ha.redis, "netbird-ha-status"));
    client = std::make_unique<redis::Client>(executor, std::move(redis), metrics, call.log);
    signal = std::make_unique<ha::RedisInstanceBoard>(*client, "signal");
    relay = std::make_unique<ha::RedisInstanceBoard>(*client, "relay");
    ha::DirectoryConfig registered{.registry_key = call.config.ha.signal_registry_key};
    directory = std::make_unique<ha::RedisDirectory>(*client, std::move(registered));
    ports.boards = {{"signal", signal.get()}, {"relay", relay.get()}};
    ports.signal = directory.get();
    client->start();
  }
  const app::HaOverview overview(std::move(ports), std::move(options));
  auto done = co_await work(overview);
  if (client) co_await client->stop();
  co_return done;
}

Window open_window(const VerbCall& call) {
  Window out;
  auto opened = open_database(call);
  if (!opened) {
    out.database_error = opened.error().text;
    return out;
  }
  out.database = *std::move(opened);
  out.rows = management::make_sql_instance_rows(*out.database);
  return out;
}

Instant soon() {
  return std::chrono::steady_clock::now() + kStep;
}

Task<app::HaReport> report_of(const app::HaOverview& overview) {
  return overview.report(soon());
}

std::string duration_text(std::int64_t seconds) {
  if (seconds >= 86'400) return fmt::format("{}d{}h", seconds / 86'400, seconds % 86'400 / 3'600);
  if (seconds >= 3'600) return fmt::format("{}h{}m", seconds / 3'600, seconds % 3'600 / 60);
  if (seconds >= 60) return fmt::format("{}m{}s", seconds / 60, seconds % 60);
  return fmt::format("{}s", seconds);
}

/// What is worth an operator's eye beside the columns.
std::string notes(const app::HaReport& report, const app::HaInstance& one) {
  const ha::InstanceFacts& facts = one.facts;
  std::vector<std::string> out;
  if (one.alive && one.drain_ordered && facts.state != ha::kDrained) out.push_back("drain ordered");
  if (!facts.trouble.empty()) out.push_back(facts.trouble);
  if (one.alive && facts.redis == "down") out.push_back("Redis down");
  if (one.alive && facts.bus_lag_us)
    out.push_back(fmt::format("bus {:.1f} ms", static_cast<double>(*facts.bus_lag_us) / 1'000));
  if (!facts.leases.empty()) out.push_back(fmt::format("leases {}", fmt::join(facts.leases, ",")));
  if (facts.repairs + facts.reclaimed > 0) {
    const auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(report.at.time_since_epoch()).count();
    out.push_back(
        fmt::format("repairs {}, reclaimed {}, the last {} ago", facts.repairs, facts.reclaimed,
                    duration_text(std::max<std::int64_t>(now - facts.repaired_ms, 0) / 1'000)));
  }
  if (!facts.address.empty()) out.push_back(facts.address);
  return escape_control(fmt::format("{}", fmt::join(out, "; ")));
}

std::string part_text(const app::HaPart& part) {
  return part.up ? "ok" : "down: " + escape_control(part.error);
}
std::string or_dash(std::string_view text) {
  return text.empty() ? "-" : escape_control(text);
}

void print_text(const app::HaReport& report) {
  fmt::print("Mode: {}\n", report.ha ? "active-active" : "single node (ha-enabled is off)");
  fmt::print("Database: {}, {}\n", report.engine == "postgres" ? "PostgreSQL" : "SQLite",
             part_text(report.database));
  fmt::print("Redis: {}\n", report.ha ? part_text(report.redis) : "not used");
  if (report.waiting_events) fmt::print("Events on their way: {}\n", *report.waiting_events);
  fmt::print("\nSERVICE\tINSTANCE\tSTATE\tPEERS\tVERSION\tUPTIME\tPROGRAM\tNOTES\n");
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(report.at.time_since_epoch()).count();
  for (const app::HaInstance& one : report.instances) {
    const std::int64_t started = one.facts.started_ms / 1'000;
    fmt::print(
        "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", one.service, escape_control(one.id),
        escape_control(one.state()), one.peers ? std::to_string(*one.peers) : "-",
        or_dash(one.facts.version),
        started > 0 && one.alive ? duration_text(std::max<std::int64_t>(now - started, 0)) : "-",
        or_dash(one.facts.program), notes(report, one));
  }
}

int status(const VerbCall& call, const StatusFlags& flags) {
  const Window window = open_window(call);
  const auto report = MgmtCore::wait(through<app::HaReport>(call, window, report_of));
  if (!report) return call.complain(report.error());
  if (flags.json)
    fmt::print("{}\n", management::rest::ha_status_json(*report));
  else
    print_text(*report);
  return 0;
}

struct DrainFlags {
  std::string service;
  bool wait = false;
  std::chrono::seconds timeout{120};
};
constexpr std::string_view kServices[] = {"", "management", "signal", "relay"};
Result<> check_service(std::string_view value) {
  if (std::find(std::begin(kServices), std::end(kServices), value) != std::end(kServices))
    return {};
  return fail(Code::kInvalidArgument, "management, signal or relay");
}
constexpr Option<DrainFlags> kDrain[] = {
    {.flag = "service",
     .env = "-",
     .member = &DrainFlags::service,
     .check = check_service,
     .help = "management, signal or relay, where instances of several have that name"},
    {.flag = "wait",
     .env = "-",
     .member = &DrainFlags::wait,
     .help = "until nobody is connected to it any more"},
    {.flag = "timeout",
     .env = "-",
     .member = &DrainFlags::timeout,
     .min = 1,
     .max = 3'600,
     .help = "of --wait; exit status 4 when it is over (seconds)"},
};

constexpr auto kLook = 500ms;
constexpr int kTooLate = 4;

bool done_with(const app::HaReport& report, const app::HaInstance& ordered) {
  for (const app::HaInstance& one : report.instances) {
    if (one.service != ordered.service || one.id != ordered.id) continue;
    // Another start of it is not what was ordered. One that had told nothing has no start to know.
    if (ordered.facts.started_ms > 0 && one.facts.started_ms != ordered.facts.started_ms)
      return true;
    return !one.alive || one.facts.state == ha::kDrained;
  }
  const bool seen = ordered.service == "management" ? report.database.up : report.redis.up;
  return seen;  // it said good-bye
}

/// 0, or kTooLate.
int wait_drained(const VerbCall& call, const Window& window, const DrainFlags& flags,
                 const std::vector<app::HaInstance>& ordered) {
  const Instant until = std::chrono::steady_clock::now() + flags.timeout;
  for (;;) {
    const auto report = MgmtCore::wait(through<app::HaReport>(call, window, report_of));
    if (report && std::all_of(ordered.begin(), ordered.end(), [&](const app::HaInstance& one) {
          return done_with(*report, one);
        })) {
      fmt::print("drained\n");
      return 0;
    }
    if (std::chrono::steady_clock::now() >= until) {
      fmt::print(stderr, "{}: '{}' has not drained within {} s; the order stands\n", call.program,
                 ordered.front().id, flags.timeout.count());
      return kTooLate;
    }
    std::this_thread::sleep_for(kLook);
  }
}

constexpr auto kTold = 12s;  // by then it was told: 2 s after a start, otherwise with a heartbeat

/// Until every instance of that name has told what it is: which of them are one process, and which
/// start of it this is. Older versions never tell.
void wait_told(const VerbCall& call, const Window& window, const std::string& id) {
  const Instant until = std::chrono::steady_clock::now() + kTold;
  const auto silent = [&](const app::HaInstance& one) {
    return one.alive && one.id == id && one.facts.state.empty();
  };
  for (;;) {
    const auto report = MgmtCore::wait(through<app::HaReport>(call, window, report_of));
    if (report && std::none_of(report->instances.begin(), report->instances.end(), silent)) return;
    if (std::chrono::steady_clock::now() >= until) return;
    std::this_thread::sleep_for(kLook);
  }
}

int drain(const VerbCall& call, const DrainFlags& flags) {
  if (call.invocation.arguments.empty())
    return call.complain(
        fail(Code::kInvalidArgument, "ha drain: which instance? See ha status for their names"));
  const std::string id = call.invocation.arguments.front();
  const Window window = open_window(call);
  wait_told(call, window, id);
  using Ordered = std::vector<app::HaInstance>;
  const auto ordered =
      MgmtCore::wait(through<Ordered>(call, window, [&](const app::HaOverview& overview) {
        return overview.drain(soon(), id, flags.service);
      }));
  if (!ordered) return call.complain(ordered.error());
  for (const app::HaInstance& one : *ordered) {
    fmt::print("{} {}: told to drain\n", one.service, escape_control(one.id));
    if (one.facts.state.empty())
      fmt::print(stderr, "{}: it is of an older version, which does not know such orders\n",
                 call.program);
  }
  std::fflush(stdout);
  return flags.wait ? wait_drained(call, window, flags, *ordered) : 0;
}

}  // namespace

std::vector<VerbPlan> ha_verbs() {
  const auto flags = std::make_shared<StatusFlags>();
  std::vector<VerbPlan> out;
  out.push_back(
      {.path = "ha status",
       .help = "which servers are alive, how they are, and who serves how many peers",
       .only_looks = [] { return true; },
       .add_rows = [flags](config::Table& table) { table.section("Output").add(kStatus, *flags); },
       .run = [flags](const VerbCall& call) { return status(call, *flags); }});
  const auto draining = std::make_shared<DrainFlags>();
  out.push_back(
      {.path = "ha drain",
       .help = "make an instance shed its peers and stay empty until it is stopped",
       .usage = "<instance>",
       .arguments_max = 1,
       .only_looks = [] { return true; },
       .add_rows =
           [draining](config::Table& table) { table.section("The drain").add(kDrain, *draining); },
       .run = [draining](const VerbCall& call) { return drain(call, *draining); }});
  return out;
}

}  // namespace nb::cmd
