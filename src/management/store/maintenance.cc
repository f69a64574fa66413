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

Result<std::vector<std::string>> live_instances(sql::Database& database, Instant deadline) {
  using Ids = std::vector<std::string>;
  return database.run_blocking<Ids>(
      deadline, {.read_only = true}, [](sql::Session& session) -> Result<Ids> {
        NB_LET(const sql::Rows rows,
               session.query(fmt::format("SELECT id FROM nb_instances WHERE lease_until > {} "
                                         "ORDER BY id",
                                         work::now_ms(session))));
        Ids out;
        for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(rows[i].string(0));
        return out;
      });
}

Result<InstanceList> list_instances(sql::Database& database, Instant deadline) {
  return database.run_blocking<InstanceList>(
      deadline, {.read_only = true}, [](sql::Session& session) -> Result<InstanceList> {
        const std::string text = fmt::format(
            "SELECT i.id, i.lease_until - {}, (SELECT COUNT(*) FROM nb_peer_sessions s JOIN peers "
            "p ON p.id = s.peer_id AND p.peer_status_session_started_at = s.epoch WHERE "
            "s.instance_id = i.id AND s.incarnation = i.incarnation AND p.peer_status_connected) "
            "FROM nb_instances i ORDER BY i.id",
            work::now_ms(session));
        NB_LET(const sql::Rows rows, session.query(text));
        InstanceList out;
        for (std::size_t i = 0; i < rows.size(); ++i)
          out.instances.push_back({rows[i].string(0), rows[i].integer(1), rows[i].integer(2)});
        NB_LET(const sql::Rows waiting, session.query("SELECT COUNT(*) FROM nb_event_outbox"));
        out.waiting_events = waiting[0].integer(0);
        return out;
      });
}

Result<SchemaState> schema_state(sql::Database& database, Instant deadline) {
  NB_LET(auto state, sql::check_migrations(database, main_migrations(), deadline));
  SchemaState out{state.applied, state.wanted, std::move(state.pending), {}};
  NB_LET(out.missing_indexes, database.run_blocking<std::vector<std::string>>(
                                  deadline, {.read_only = true}, [](sql::Session& session) {
                                    return constraints::missing(session);
                                  }));
  return out;
}

}  // namespace nb::management
