#include "management/store/instance_rows.h"

#include "management/store/store_work.h"
#include "sql/database.h"

#include <utility>

namespace nb::management {
namespace {

/// Columns of the row that came with a later migration than the table.
Result<bool> has_facts(sql::Session& session) {
  NB_LET(const sql::Rows rows,
         session.query(session.postgres()
                           ? "SELECT 1 FROM information_schema.columns WHERE table_schema = "
                             "current_schema() AND table_name = 'nb_instances' AND column_name = "
                             "'facts'"
                           : "SELECT 1 FROM pragma_table_info('nb_instances') WHERE name = "
                             "'facts'"));
  return !rows.empty();
}

Result<InstanceList> list_rows(sql::Session& session) {
  NB_LET(const bool facts, has_facts(session));
  const std::string text = fmt::format(
      "SELECT i.id, i.incarnation, i.lease_until - {}, (SELECT COUNT(*) FROM nb_peer_sessions s "
      "JOIN peers p ON p.id = s.peer_id AND p.peer_status_session_started_at = s.epoch WHERE "
      "s.instance_id = i.id AND s.incarnation = i.incarnation AND p.peer_status_connected), {} "
      "FROM nb_instances i WHERE i.lease_until > {} - 3600000 ORDER BY i.id",
      work::now_ms(session),
      facts ? "COALESCE(i.facts, ''), COALESCE(i.drain_incarnation, 0) = i.incarnation"
            : "'', FALSE",
      work::now_ms(session));
  NB_LET(const sql::Rows rows, session.query(text));
  InstanceList out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.instances.push_back({.id = rows[i].string(0),
                             .incarnation = rows[i].integer(1),
                             .lease_ms = rows[i].integer(2),
                             .peers = rows[i].integer(3),
                             .facts = rows[i].string(4),
                             .drain_ordered = rows[i].boolean(5)});
  NB_LET(const sql::Rows waiting, session.query("SELECT COUNT(*) FROM nb_event_outbox"));
  out.waiting_events = waiting[0].integer(0);
  return out;
}

class SqlInstanceRows final : public InstanceRows {
 public:
  explicit SqlInstanceRows(sql::Database& database) : database_(database) {}

  Task<InstanceList> list(Instant deadline) override {
    return database_.run<InstanceList>(deadline, {.read_only = true}, list_rows);
  }
  Task<> tell(Instant deadline, InstanceId instance, std::int64_t incarnation,
              std::string facts) override {
    std::function<Result<>(sql::Session&)> work =
        [instance = std::move(instance), incarnation,
         facts = std::move(facts)](sql::Session& session) -> Result<> {
      NB_LET(const std::int64_t changed,
             session.exec("UPDATE nb_instances SET facts = $1 WHERE id = $2 AND incarnation = $3",
                          {facts, instance.value(), incarnation}));
      if (changed == 0)
        return fail(Code::kAborted, "instance {}: a newer process has its id", instance.value());
      return {};
    };
    return database_.run<void>(deadline, {.single_statement = true}, std::move(work));
  }
  Task<bool> drain_ordered(Instant deadline, InstanceId instance,
                           std::int64_t incarnation) override {
    std::function<Result<bool>(sql::Session&)> work =
        [instance = std::move(instance), incarnation](sql::Session& session) -> Result<bool> {
      NB_LET(const sql::Rows rows,
             session.query("SELECT 1 FROM nb_instances WHERE id = $1 AND incarnation = $2 AND "
                           "drain_incarnation = $2",
                           {instance.value(), incarnation}));
      return !rows.empty();
    };
    return database_.run<bool>(deadline, {.read_only = true, .single_statement = true},
                               std::move(work));
  }
  Task<> order_drain(Instant deadline, InstanceId instance, std::int64_t incarnation) override {
    std::function<Result<>(sql::Session&)> work = [instance = std::move(instance),
                                                   incarnation](sql::Session& session) -> Result<> {
      NB_LET(const std::int64_t changed,
             session.exec(fmt::format("UPDATE nb_instances SET drain_incarnation = incarnation "
                                      "WHERE id = $1 AND incarnation = $2 AND lease_until > {}",
                                      work::now_ms(session)),
                          {instance.value(), incarnation}));
      if (changed == 0)
        return fail(Code::kNotFound, "instance {} is not alive any more", instance.value());
      return {};
    };
    return database_.run<void>(deadline, {.single_statement = true}, std::move(work));
  }

 private:
  sql::Database& database_;
};

}  // namespace

std::unique_ptr<InstanceRows> make_sql_instance_rows(sql::Database& database) {
  return std::make_unique<SqlInstanceRows>(database);
}

}  // namespace nb::management
