#include "cmd/mgmt_database.h"

#include "base/text.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_idp.h"
#include "cmd/mgmt_settings.h"
#include "cmd/mgmt_upkeep.h"
#include "management/store/doctor.h"
#include "management/store/maintenance.h"
#include "management/store/migrations.h"

#include <fmt/format.h>

namespace nb::cmd {
namespace {

using namespace management;
using namespace std::chrono_literals;

constexpr auto kStep = 30s;
constexpr auto kLong = 10min;  // reads of a whole database
constexpr auto kWait = 10s;    // for a database that is not there yet
constexpr std::size_t kFindingsMax = 10'000;
constexpr int kFound = 3;

Instant in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

/// Whether nothing is missing.
bool tell(const std::string& component, const sql::MigrationState& state) {
  fmt::print("{}: version {}, this program has {}\n", component, state.applied, state.wanted);
  for (const std::string& name : state.pending) fmt::print("missing: {}: {}\n", component, name);
  return state.pending.empty();
}

Result<bool> main_complete(const MgmtConfig& config, const Logger& log) {
  NB_LET(sql::Dsn dsn, main_dsn(config));
  fmt::print("{}\n", dsn.describe());
  NB_LET(const auto database,
         sql::Database::open(looked_at(std::move(dsn)), database_options(config), log));
  NB_LET(const SchemaState state, schema_state(*database, in(kStep)));
  for (const ComponentState& one : state.components) tell(one.component, one.migrations);
  for (const std::string& name : state.missing_indexes)
    fmt::print("missing: unique index {}; the verb doctor says why\n", name);
  return state.complete();
}

Result<bool> events_complete(const MgmtConfig& config, const Logger& log) {
  NB_LET(sql::Dsn dsn, events_dsn(config));
  fmt::print("{}\n", dsn.describe());
  NB_LET(const auto database,
         sql::Database::open(looked_at(std::move(dsn)), database_options(config), log));
  NB_LET(const auto state, sql::check_migrations(*database, event_migrations(), in(kStep)));
  return tell(event_migrations().component, state);
}

Result<bool> idp_complete(const MgmtConfig& config, const Logger& log) {
  if (!config.embedded_idp.enabled) return true;
  NB_LET(const auto state, idp_schema(config, in(kStep), log));
  return tell("idp", state);
}

Result<> bring_up_to_date(MgmtConfig& config, const Logger& log) {
  NB_LET(const auto core, MgmtCore::open(config, {}, kWait, log));
  NB_LET(const auto upkeep, MgmtUpkeep::make(config, *core, log));
  NB_TRY(EventLog(core->database(), upkeep->events(), log).prepare(in(kStep)));
  if (!config.embedded_idp.enabled) return {};
  NB_TRY(apply_embedded_idp(config));
  MetricRegistry registry;
  NB_LET(const auto idp, MgmtIdp::open(config, *core, {}, kWait, registry, log));
  return {};
}

}  // namespace

int migrate_database(const VerbCall& call, bool check_only) {
  MgmtConfig& config = call.config;
  const Logger& log = call.log;
  if (!check_only)
    if (const auto done = bring_up_to_date(config, log); !done) return call.complain(done.error());
  bool complete = true;
  for (const auto check : {main_complete, events_complete, idp_complete}) {
    const auto done = check(config, log);
    if (!done) return call.complain(done.error());
    complete = complete && *done;
  }
  return complete ? 0 : kFound;
}

int examine_database(const VerbCall& call) {
  const auto core = MgmtCore::open(call.config, {}, kWait, call.log);
  if (!core) return call.complain(core.error());
  const auto diagnosis =
      examine((*core)->database(), (*core)->cipher(), (*core)->random(), kFindingsMax, in(kLong));
  if (!diagnosis) return call.complain(diagnosis.error());
  if (diagnosis->findings.empty()) {
    fmt::print("nothing wrong\n");
    return 0;
  }
  fmt::print("TABLE\tID\tWHAT\tMEANING\n");
  for (const Finding& finding : diagnosis->findings)
    fmt::print("{}\t{}\t{}\t{}\n", finding.table, escape_control(finding.id),
               escape_control(finding.what), finding.meaning);
  if (diagnosis->cut) fmt::print("only the first {} are listed\n", kFindingsMax);
  return kFound;
}

int raise_serials(const VerbCall& call, std::uint64_t step) {
  const auto core = MgmtCore::open(call.config, {}, kWait, call.log);
  if (!core) return call.complain(core.error());
  const auto raised = management::raise_serials((*core)->database(), step, in(kStep));
  if (!raised) return call.complain(raised.error());
  for (const AccountSerial& account : *raised)
    fmt::print("{}\t{}\n", account.id.value(), account.serial);
  return 0;
}

}  // namespace nb::cmd
