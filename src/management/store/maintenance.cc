#include "management/store/maintenance.h"

#include "management/store/constraints.h"
#include "management/store/migrations.h"
#include "management/store/store_work.h"

namespace nb::management {

Result<std::vector<AccountSerial>> raise_serials(sql::Database& database, std::uint64_t step,
                                                 Instant deadline) {
  using Serials = std::vector<AccountSerial>;
  return database.run_blocking<
      Serials>(deadline, {}, [step](sql::Session& session) -> Result<Serials> {
    NB_LET(const sql::Rows rows,
           session.query("UPDATE accounts SET network_serial = COALESCE(network_serial, 0) + $1 "
                         "RETURNING id, network_serial",
                         {step}));
    Serials out;
    for (std::size_t i = 0; i < rows.size(); ++i)
      out.push_back({AccountId(rows[i].string(0)), static_cast<std::uint64_t>(rows[i].integer(1))});
    return out;
  });
}

std::vector<std::string> SchemaState::pending() const {
  std::vector<std::string> out;
  for (const ComponentState& one : components)
    for (const std::string& name : one.migrations.pending)
      out.push_back(fmt::format("{}: {}", one.component, name));
  return out;
}

Result<std::int64_t> count_accounts(sql::Database& database, Instant deadline) {
  return database.run_blocking<std::int64_t>(
      deadline, {.read_only = true, .single_statement = true},
      [](sql::Session& session) -> Result<std::int64_t> {
        NB_LET(const sql::Rows rows, session.query("SELECT COUNT(*) FROM accounts"));
        return rows[0].integer(0);
      });
}

Result<SchemaState> schema_state(sql::Database& database, Instant deadline) {
  SchemaState out;
  for (const sql::MigrationSet* set : {&main_migrations(), &agent_migrations()}) {
    NB_LET(auto state, sql::check_migrations(database, *set, deadline));
    out.components.push_back({set->component, std::move(state)});
  }
  NB_LET(out.missing_indexes, database.run_blocking<std::vector<std::string>>(
                                  deadline, {.read_only = true}, [](sql::Session& session) {
                                    return constraints::missing(session);
                                  }));
  return out;
}

}  // namespace nb::management
