#include "cmd/migrate_store.h"

#include "base/metrics.h"
#include "base/text.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_idp.h"
#include "cmd/mgmt_settings.h"
#include "cmd/mgmt_upkeep.h"
#include "idp/schema.h"
#include "idp/vault.h"
#include "management/store/agent_store.h"
#include "management/store/event_log.h"
#include "management/store/instance_rows.h"
#include "management/store/migrations.h"
#include "sql/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>

namespace nb::cmd {
namespace {

using config::Option;
using namespace std::chrono_literals;

constexpr auto kStep = 60s;
constexpr auto kWait = 10s;
constexpr auto kWhole = 12h;  // one database
constexpr std::string_view kRunAgain = "run the same command again to go on";

struct Targets {
  Secret main;
  Secret auth;
  Secret events;
};

constexpr Option<Targets> kTargets[] = {
    {.flag = "to",
     .env = "NB_MIGRATE_TO",
     .member = &Targets::main,
     .redact = config::redact_address,
     .help = "empty PostgreSQL database: URL or key=value text"},
    {.flag = "auth-to",
     .env = "NB_MIGRATE_AUTH_TO",
     .member = &Targets::auth,
     .redact = config::redact_address,
     .default_text = "--to",
     .help = "another one for the identity provider"},
    {.flag = "events-to",
     .env = "NB_MIGRATE_EVENTS_TO",
     .member = &Targets::events,
     .redact = config::redact_address,
     .default_text = "--to",
     .help = "another one for activity events"},
};

/// Flags of upstream's provider: numbers in SQLite, booleans in PostgreSQL.
std::optional<std::string> provider_type(std::string_view /*table*/, std::string_view column) {
  constexpr std::array kFlags = {"public",    "claims_email_verified", "email_verified",
                                 "logged_in", "force_approval_prompt", "mfa_validated"};
  if (std::find(kFlags.begin(), kFlags.end(), column) != kFlags.end()) return "boolean";
  return std::nullopt;
}

Result<std::unique_ptr<sql::Database>> open_target(const MgmtConfig& config, const Secret& dsn,
                                                   const Logger& log) {
  NB_LET(sql::Dsn parsed, sql::Dsn::postgres(dsn.reveal()));
  sql::DatabaseOptions options = database_options(config);
  options.workers = 2;
  options.transaction_max = kWhole;
  options.application_name = "netbird-server migrate-store";
  return sql::Database::open(std::move(parsed), std::move(options), log);
}

Result<std::unique_ptr<sql::Database>> open_source(const MgmtConfig& config, sql::Dsn dsn,
                                                   const Logger& log) {
  sql::DatabaseOptions options = database_options(config);
  options.transaction_max = kWhole;
  return sql::Database::open(std::move(dsn), std::move(options), log);
}

Instant call_deadline(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

/// One of the three databases.
Result<> carry(sql::Database& from, sql::Database& to, const std::string& component) {
  fmt::print("{}: {} to {}\n", component, from.dsn().describe(), to.dsn().describe());
  std::fflush(stdout);
  sql::TransferOptions options{.component = component};
  if (component == "idp") options.type = provider_type;
  options.progress = [](std::string_view table, std::int64_t rows, bool resumed) {
    fmt::print("  {}\t{}{}\n", escape_control(table), rows,
               resumed ? "\tcopied before, unchanged" : "");
    std::fflush(stdout);
  };
  const auto report = sql::transfer(from, to, options, call_deadline(kWhole));
  if (!report)
    return fail(report.error().code, "{}: {}; {}", component, report.error().text, kRunAgain);
  for (const std::string& note : report->notes) fmt::print("  note: {}\n", escape_control(note));
  fmt::print("{}: {} tables, {} rows, checksums agree\n", component, report->tables, report->rows);
  return {};
}

/// Nobody may write while, or after, the rows are read.
Result<> nobody_runs(MgmtCore& core) {
  const auto rows = management::make_sql_instance_rows(core.database());
  NB_LET(const management::InstanceList list, MgmtCore::wait(rows->list(call_deadline(kStep))));
  for (const management::ListedInstance& instance : list.instances)
    if (instance.alive())
      return fail(Code::kFailedPrecondition,
                  "the server {} still runs on this database, or was killed less than a minute "
                  "ago: stop it first",
                  instance.id);
  return {};
}

Result<> carry_main(MgmtCore& core, sql::Database& to, const VerbCall& call) {
  const management::SqlStoreParts parts{.database = to,
                                        .cipher = core.cipher(),
                                        .random = core.random(),
                                        .clock = core.clock(),
                                        .log = call.log};
  const auto deadline = call_deadline(kStep);
  NB_TRY(sql::migrate(to, management::main_migrations(), deadline, call.log));
  NB_TRY(management::prepare_agent_tables(parts, deadline));
  NB_LET(const auto from, open_source(call.config, core.database().dsn(), call.log));
  return carry(*from, to, "main");
}

Result<> carry_events(MgmtCore& core, sql::Database& to, const VerbCall& call) {
  if (call.config.activity_store.engine != "sqlite") {
    fmt::print("events: in PostgreSQL already\n");
    return {};
  }
  NB_LET(const auto upkeep, MgmtUpkeep::make(call.config, core, call.log));
  const auto deadline = call_deadline(kStep);
  NB_TRY(management::EventLog(core.database(), upkeep->events(), call.log).prepare(deadline));
  NB_TRY(sql::migrate(to, management::event_migrations(), deadline, call.log));
  NB_LET(const auto from, open_source(call.config, upkeep->events().dsn(), call.log));
  return carry(*from, to, "events");
}

Result<> carry_idp(MgmtCore& core, sql::Database& to, const VerbCall& call) {
  if (!call.config.embedded_idp.enabled) return {};
  if (call.config.embedded_idp.storage_type == "postgres") {
    fmt::print("idp: in PostgreSQL already\n");
    return {};
  }
  NB_TRY(apply_embedded_idp(call.config));
  MetricRegistry registry;
  // Brings the source up to date, an import of Dex's tables included.
  NB_LET(const auto source, MgmtIdp::open(call.config, core, {}, kWait, registry, call.log));
  NB_LET(const idp::Vault vault,
         idp::Vault::make({call.config.data_store_encryption_key}, core.random()));
  NB_TRY(sql::migrate(to, idp::migrations(vault), call_deadline(kStep), call.log));
  NB_LET(const auto from, open_source(call.config, source->database().dsn(), call.log));
  return carry(*from, to, "idp");
}

Result<> migrate(MgmtCore& core, const VerbCall& call, const Targets& targets) {
  NB_TRY(nobody_runs(core));
  NB_LET(const auto main, open_target(call.config, targets.main, call.log));
  NB_TRY(carry_main(core, *main, call));
  const auto other = [&](const Secret& dsn) {
    return open_target(call.config, dsn.empty() ? targets.main : dsn, call.log);
  };
  NB_LET(const auto events, other(targets.events));
  NB_TRY(carry_events(core, *events, call));
  NB_LET(const auto auth, other(targets.auth));
  NB_TRY(carry_idp(core, *auth, call));
  NB_TRY(nobody_runs(core));
  fmt::print(
      "\nAll rows are there. Now set in config.yaml, with the encryption key as it is:\n"
      "  server.store.engine: postgres          server.store.dsn: <--to>\n"
      "  server.activityStore.engine: postgres  server.activityStore.dsn: <--events-to or --to>\n"
      "  server.authStore.engine: postgres      server.authStore.dsn: <--auth-to or --to>\n"
      "The SQLite files were not changed; keep them until the server has run on PostgreSQL.\n");
  return {};
}

}  // namespace

VerbPlan migrate_store_verb() {
  const auto targets = std::make_shared<Targets>();
  return {
      .path = "migrate-store",
      .help = "copy everything from SQLite to PostgreSQL; the server must be stopped",
      .add_rows =
          [targets](config::Table& table) { table.section("Where to").add(kTargets, *targets); },
      .run =
          [targets](const VerbCall& call) {
            if (targets->main.empty())
              return call.complain(fail(Code::kInvalidArgument,
                                        "migrate-store: --to is missing (also NB_MIGRATE_TO or "
                                        "NB_MIGRATE_TO_FILE)"));
            if (call.config.store.engine != "sqlite")
              return call.complain(fail(Code::kFailedPrecondition,
                                        "the store is {}, not sqlite: nothing to migrate",
                                        call.config.store.engine));
            return with_core([targets](MgmtCore& core, const VerbCall& c) {
              return migrate(core, c, *targets);
            })(call);
          }};
}

}  // namespace nb::cmd
