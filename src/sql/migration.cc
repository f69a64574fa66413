#include "sql/migration.h"

#include "base/assert.h"

namespace nb::sql {
namespace {

constexpr std::string_view kLockName = "nb_schema_migrations";

constexpr std::string_view kCreateTable =
    "CREATE TABLE IF NOT EXISTS nb_schema_migrations ("
    "component text NOT NULL, version integer NOT NULL, name text NOT NULL, applied_at text NOT "
    "NULL, "
    "PRIMARY KEY (component, version))";

Result<bool> has_table(Session& session) {
  NB_LET(const Rows rows,
         session.postgres()
             ? session.query("SELECT 1 FROM information_schema.tables WHERE table_schema = "
                             "current_schema() AND table_name = 'nb_schema_migrations'")
             : session.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = "
                             "'nb_schema_migrations'"));
  return !rows.empty();
}

Result<int> highest(Session& session, const std::string& component) {
  NB_LET(const Rows rows,
         session.query(
             "SELECT COALESCE(MAX(version), 0) FROM nb_schema_migrations WHERE component = $1",
             {component}));
  return static_cast<int>(rows[0].integer(0));
}

void check_order(const std::vector<Migration>& migrations) {
  int version = 0;
  for (const Migration& migration : migrations) NB_ASSERT(migration.version == ++version);
}

/// Second: applied now, by us.
Result<bool> apply_one(Session& session, const std::string& component, const Migration& migration,
                       MigrationReport& report) {
  NB_TRY(session.lock(lock_number(kLockName)));
  NB_TRY(session.exec(kCreateTable));
  NB_LET(const Rows done,
         session.query("SELECT 1 FROM nb_schema_migrations WHERE component = $1 AND version = $2",
                       {component, migration.version}));
  if (!done.empty()) return false;
  NB_TRY(migration.apply(session, report));
  NB_TRY(session.exec(session.postgres() ? "INSERT INTO nb_schema_migrations (component, version, "
                                           "name, applied_at) VALUES ($1, $2, $3, "
                                           "now()::text)"
                                         : "INSERT INTO nb_schema_migrations (component, version, "
                                           "name, applied_at) VALUES ($1, $2, $3, "
                                           "datetime('now'))",
                      {component, migration.version, migration.name}));
  return true;
}

}  // namespace

Result<MigrationState> check_migrations(Database& database, const MigrationSet& set,
                                        Instant deadline) {
  check_order(set.migrations);
  NB_LET(const int applied,
         database.run_blocking<int>(deadline, {.read_only = true},
                                    [component = set.component](Session& session) -> Result<int> {
                                      NB_LET(const bool exists, has_table(session));
                                      if (!exists) return 0;
                                      return highest(session, component);
                                    }));
  MigrationState state;
  state.applied = applied;
  state.wanted = static_cast<int>(set.migrations.size());
  for (const Migration& migration : set.migrations)
    if (migration.version > applied) state.pending.push_back(migration.name);
  return state;
}

Result<MigrationReport> migrate(Database& database, const MigrationSet& set, Instant deadline,
                                const Logger& log) {
  NB_LET(const MigrationState state, check_migrations(database, set, deadline));
  if (state.applied > state.wanted)
    log.warn("database was migrated by a newer version; this one goes on, migrations only add",
             {log::f("applied", state.applied), log::f("known", state.wanted)});
  MigrationReport all;
  for (const Migration& migration : set.migrations) {
    if (migration.version <= state.applied) continue;
    struct Outcome {
      bool applied = false;
      MigrationReport report;
    };
    auto outcome = database.run_blocking<Outcome>(
        deadline, {}, [&set, &migration](Session& session) -> Result<Outcome> {
          Outcome out;
          NB_LET(out.applied, apply_one(session, set.component, migration, out.report));
          return out;
        });
    if (!outcome) {
      const Error& error = outcome.error();
      if (error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded) return error;
      return fail(Code::kFailedPrecondition, "migration {}/{} '{}': {}", set.component,
                  migration.version, migration.name, error.text);
    }
    if (!outcome->applied) continue;
    log.info("database migrated",
             {log::f("version", migration.version), log::f("name", migration.name)});
    for (std::string& line : outcome->report) {
      log.warn("database repaired by migration",
               {log::f("name", migration.name), log::f("what", line)});
      all.push_back(std::move(line));
    }
  }
  return all;
}

}  // namespace nb::sql
