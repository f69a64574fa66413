#include "idp/store.h"

#include <algorithm>

namespace nb::idp {
namespace {

constexpr std::string_view kConnectorColumns =
    "SELECT id, type, name, issuer, client_id, config, version FROM nb_idp_connector ";
// Failures older than this are forgotten. Those of one account from one address count for a day, so
// that the locks of somebody who goes on guessing grow.
Millis window_of(const std::string& name) {
  constexpr Millis kMinute = 60 * 1000;
  return name.starts_with("p:") ? 24 * 60 * kMinute : 15 * kMinute;
}

Result<std::vector<ThrottleRow>> throttle_rows(sql::Session& session,
                                               const std::vector<std::string>& names, Millis now) {
  std::vector<ThrottleRow> out;
  for (const std::string& name : names) {
    NB_LET(const sql::Rows rows,
           session.query("SELECT failures, since, until FROM nb_idp_throttle WHERE name = $1",
                         {name}));
    ThrottleRow row;
    if (!rows.empty()) row = {rows[0].integer(0), rows[0].integer(1), rows[0].integer(2)};
    if (row.since + window_of(name) < now && row.until <= now) row = {};
    out.push_back(row);
  }
  return out;
}

}  // namespace

Result<> insert_connector(sql::Session& session, const Vault& vault, const Connector& c,
                          bool is_static, Millis now) {
  NB_TRY(session.exec(
      "INSERT INTO nb_idp_connector (id, type, name, issuer, client_id, config, version, static, "
      "created_at, updated_at) VALUES ($1,$2,$3,$4,$5,$6,1,$7,$8,$8) ON CONFLICT (id) DO UPDATE "
      "SET "
      "type = excluded.type, name = excluded.name, issuer = excluded.issuer, client_id = "
      "excluded.client_id, config = excluded.config, version = nb_idp_connector.version + 1, "
      "updated_at = excluded.updated_at",
      {c.id, c.type, c.name, c.issuer, c.client_id,
       vault.seal(Purpose::kConnectors, c.config, {"nb_idp_connector", "config", c.id}),
       is_static ? 1 : 0, now}));
  return {};
}

Result<> insert_key(sql::Session& session, const Vault& vault, const KeyRow& key) {
  const std::string sealed =
      key.private_pem.empty()
          ? std::string()
          : vault.seal(Purpose::kKeys, key.private_pem, {"nb_idp_key", "private", key.kid});
  NB_TRY(session.exec(
      "INSERT INTO nb_idp_key (kid, private, public, publish_at, activate_at, "
      "remove_at) VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT DO NOTHING",
      {key.kid, sealed, key.public_jwk, key.publish_at, key.activate_at, key.remove_at}));
  return {};
}

Result<> insert_note(sql::Session& session, const IdpNote& note, Millis now) {
  if (note.account.value().empty()) return {};
  // After those that wait: two changes of one millisecond are told in their order, too.
  NB_TRY(session.exec(
      "INSERT INTO nb_idp_note (key, at, activity, actor, account, target, name) VALUES "
      "($1, (SELECT CASE WHEN CAST($2 AS bigint) > COALESCE(MAX(at), 0) THEN CAST($2 AS bigint) "
      "ELSE MAX(at) + 1 END FROM nb_idp_note), $3, $4, $5, $6, $7)",
      {note.key, now, static_cast<std::int64_t>(note.activity), note.actor.value(),
       note.account.value(), note.target, note.name}));
  return {};
}

Result<Connector> Store::connector_of(sql::Row row) const {
  sql::RowReader reader(row);
  Connector connector;
  connector.id = reader.string();
  connector.type = reader.string();
  connector.name = reader.string();
  connector.issuer = reader.string();
  connector.client_id = reader.string();
  NB_LET(connector.config, vault_.open(Purpose::kConnectors, reader.text(),
                                       {"nb_idp_connector", "config", connector.id}));
  connector.version = reader.integer();
  return connector;
}

Task<std::vector<Connector>> Store::connectors(Instant deadline) {
  using All = std::vector<Connector>;
  return read<All>(deadline, [this](sql::Session& session, Millis) -> Result<All> {
    NB_LET(const sql::Rows rows,
           session.query(joined(kConnectorColumns, "ORDER BY name, id LIMIT 200")));
    All all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      NB_LET(Connector connector, connector_of(rows[i]));
      all.push_back(std::move(connector));
    }
    return all;
  });
}

Task<std::optional<Connector>> Store::connector(Instant deadline, std::string id) {
  using Found = std::optional<Connector>;
  return read<Found>(deadline,
                     [this, id = std::move(id)](sql::Session& session, Millis) -> Result<Found> {
                       NB_LET(const sql::Rows rows,
                              session.query(joined(kConnectorColumns, "WHERE id = $1"), {id}));
                       if (rows.empty()) return Found();
                       NB_LET(Connector connector, connector_of(rows[0]));
                       return Found(std::move(connector));
                     });
}

Task<void> Store::insert_connector_row(Instant deadline, Connector connector, bool is_static,
                                       IdpNote note) {
  return tx<void>(deadline,
                  [this, connector = std::move(connector), is_static, note = std::move(note)](
                      sql::Session& session, Millis now) -> Result<> {
                    NB_TRY(insert_connector(session, vault_, connector, is_static, now));
                    return insert_note(session, note, now);
                  });
}

Task<bool> Store::update_connector(Instant deadline, Connector connector, IdpNote note) {
  return tx<bool>(
      deadline,
      [this, c = std::move(connector), note = std::move(note)](sql::Session& session,
                                                               Millis now) -> Result<bool> {
        NB_LET(
            const std::int64_t changed,
            session.exec(
                "UPDATE nb_idp_connector SET name = $2, issuer = $3, client_id = $4, config "
                "= $5, version = version + 1, updated_at = $6 WHERE id = $1 AND version = $7",
                {c.id, c.name, c.issuer, c.client_id,
                 vault_.seal(Purpose::kConnectors, c.config, {"nb_idp_connector", "config", c.id}),
                 now, c.version}));
        if (changed == 0) return false;
        NB_TRY(insert_note(session, note, now));
        return true;
      });
}

Task<bool> Store::delete_connector(Instant deadline, std::string id, IdpNote note) {
  return tx<bool>(
      deadline,
      [id = std::move(id), note = std::move(note)](sql::Session& session,
                                                   Millis now) -> Result<bool> {
        NB_LET(const std::int64_t gone,
               session.exec("DELETE FROM nb_idp_connector WHERE id = $1", {id}));
        if (gone == 0) return false;
        NB_TRY(session.exec("DELETE FROM nb_idp_session WHERE connector_id = $1", {id}));
        NB_TRY(
            session.exec("UPDATE nb_idp_refresh SET revoked_at = $2 WHERE connector_id = $1 AND "
                         "revoked_at IS NULL",
                         {id, now}));
        NB_TRY(insert_note(session, note, now));
        return true;
      });
}

Task<std::vector<IdpNote>> Store::notes(Instant deadline, std::size_t limit) {
  using All = std::vector<IdpNote>;
  return read<All>(deadline, [limit](sql::Session& session, Millis) -> Result<All> {
    NB_LET(const sql::Rows rows,
           session.query("SELECT key, at, activity, actor, account, target, name FROM nb_idp_note "
                         "ORDER BY at, key LIMIT $1",
                         {static_cast<std::int64_t>(limit)}));
    All all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      sql::RowReader reader(rows[i]);
      IdpNote note;
      note.key = reader.string();
      note.at = WallTime(std::chrono::milliseconds(reader.integer()));
      note.activity = static_cast<management::Activity>(reader.integer());
      note.actor = management::UserId(reader.string());
      note.account = management::AccountId(reader.string());
      note.target = reader.string();
      note.name = reader.string();
      all.push_back(std::move(note));
    }
    return all;
  });
}

Task<void> Store::forget_note(Instant deadline, std::string key) {
  return tx<void>(deadline, [key = std::move(key)](sql::Session& session, Millis) -> Result<> {
    NB_TRY(session.exec("DELETE FROM nb_idp_note WHERE key = $1", {key}));
    return {};
  });
}

Task<std::vector<KeyRow>> Store::keys(Instant deadline) {
  using All = std::vector<KeyRow>;
  return read<All>(deadline, [this](sql::Session& session, Millis) -> Result<All> {
    NB_LET(const sql::Rows rows,
           session.query("SELECT kid, private, public, publish_at, activate_at, remove_at FROM "
                         "nb_idp_key ORDER BY activate_at DESC, kid LIMIT 32"));
    All all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      sql::RowReader reader(rows[i]);
      KeyRow key;
      key.kid = reader.string();
      NB_LET(key.private_pem,
             vault_.open(Purpose::kKeys, reader.text(), {"nb_idp_key", "private", key.kid}));
      key.public_jwk = reader.string();
      key.publish_at = reader.integer();
      key.activate_at = reader.integer();
      key.remove_at = reader.integer();
      all.push_back(std::move(key));
    }
    return all;
  });
}

Task<bool> Store::rotate_keys(Instant deadline, std::function<Result<KeyRow>()> make) {
  return tx<bool>(
      deadline, [this, make = std::move(make)](sql::Session& session, Millis now) -> Result<bool> {
        NB_TRY(session.lock(sql::lock_number("idp:keys")));
        NB_LET(const sql::Rows rows,
               session.query("SELECT max(activate_at) FROM nb_idp_key WHERE private <> ''"));
        const bool none = rows.empty() || rows[0].null(0);
        const Millis newest = none ? 0 : rows[0].integer(0);
        const Millis lead = 2 * to_millis(lifetimes_.jwks);
        if (!none && now < newest + to_millis(lifetimes_.key) - lead) return false;
        NB_LET(KeyRow key, make());
        key.publish_at = now;
        key.activate_at = none ? now : now + lead;
        // What the old keys signed until then stays verifiable for its whole life.
        NB_TRY(session.exec(
            "UPDATE nb_idp_key SET remove_at = $1 WHERE remove_at = 0",
            {key.activate_at + to_millis(lifetimes_.token) + to_millis(std::chrono::minutes(10))}));
        NB_TRY(insert_key(session, vault_, key));
        return true;
      });
}

Task<std::vector<ThrottleRow>> Store::throttle(Instant deadline, std::vector<std::string> names,
                                               Millis& now_out) {
  using All = std::pair<std::vector<ThrottleRow>, Millis>;
  std::function<Result<All>(sql::Session&, Millis)> work =
      [names = std::move(names)](sql::Session& session, Millis now) -> Result<All> {
    NB_LET(auto rows, throttle_rows(session, names, now));
    return All(std::move(rows), now);
  };
  auto got = co_await read<All>(deadline, std::move(work));
  if (!got) co_return std::move(got).error();
  now_out = got->second;
  co_return std::move(got->first);
}

Task<std::vector<ThrottleRow>> Store::throttle_failure(Instant deadline,
                                                       std::vector<std::string> names) {
  using All = std::vector<ThrottleRow>;
  // One order for everybody: two failures at once cannot wait for each other.
  std::sort(names.begin(), names.end());
  return tx<
      All>(deadline, [names = std::move(names)](sql::Session& session, Millis now) -> Result<All> {
    for (const std::string& name : names)
      NB_TRY(session.exec(
          "INSERT INTO nb_idp_throttle (name, failures, since, until) VALUES ($1, 1, $2, 0) ON "
          "CONFLICT (name) DO UPDATE SET failures = CASE WHEN nb_idp_throttle.since < $3 AND "
          "nb_idp_throttle.until <= $2 THEN 1 ELSE nb_idp_throttle.failures + 1 END, since = $2",
          {name, now, now - window_of(name)}));
    return throttle_rows(session, names, now);
  });
}

Task<void> Store::throttle_success(Instant deadline, std::string name) {
  return tx<void>(deadline, [name = std::move(name)](sql::Session& session, Millis) -> Result<> {
    NB_TRY(session.exec("DELETE FROM nb_idp_throttle WHERE name = $1", {name}));
    return {};
  });
}

Task<void> Store::set_throttle(Instant deadline, std::string name, Millis lock_for) {
  return tx<void>(
      deadline, [name = std::move(name), lock_for](sql::Session& session, Millis now) -> Result<> {
        NB_TRY(session.exec("UPDATE nb_idp_throttle SET until = $2 WHERE name = $1",
                            {name, now + lock_for}));
        return {};
      });
}

Task<std::int64_t> Store::purge(Instant deadline) {
  return tx<std::int64_t>(deadline, [](sql::Session& session, Millis now) -> Result<std::int64_t> {
    NB_TRY(session.lock(sql::lock_number("idp:purge")));
    // Used codes stay a while after their end, so that a late replay is still recognised.
    const Millis hour_ago = now - 60 * 60 * 1000;
    for (const auto* statement : {"DELETE FROM nb_idp_request WHERE expires_at < $1",
                                  "DELETE FROM nb_idp_session WHERE expires_at < $1",
                                  "DELETE FROM nb_idp_device WHERE expires_at < $1",
                                  "DELETE FROM nb_idp_refresh WHERE expires_at < $1",
                                  "DELETE FROM nb_idp_logout WHERE expires_at < $1",
                                  "DELETE FROM nb_idp_tombstone WHERE until < $1",
                                  "DELETE FROM nb_idp_key WHERE remove_at <> 0 AND remove_at < $1"})
      NB_TRY(session.exec(statement, {now}));
    NB_TRY(session.exec("DELETE FROM nb_idp_code WHERE expires_at < $1", {hour_ago}));
    NB_TRY(session.exec("DELETE FROM nb_idp_throttle WHERE since < $1 AND until < $2",
                        {now - 24 * 60 * 60 * 1000, now}));
    NB_LET(const sql::Rows rows, session.query("SELECT (SELECT count(*) FROM nb_idp_request) + "
                                               "(SELECT count(*) FROM nb_idp_device)"));
    return rows[0].integer(0);
  });
}

Task<std::string> Store::meta(Instant deadline, std::string name, std::string value) {
  return tx<std::string>(
      deadline,
      [name = std::move(name), value = std::move(value)](sql::Session& session,
                                                         Millis) -> Result<std::string> {
        NB_TRY(session.exec(
            "INSERT INTO nb_idp_meta (name, value) VALUES ($1,$2) ON CONFLICT DO NOTHING",
            {name, value}));
        NB_LET(const sql::Rows rows,
               session.query("SELECT value FROM nb_idp_meta WHERE name = $1", {name}));
        return rows[0].string(0);
      });
}

Task<void> Store::set_meta(Instant deadline, std::string name, std::string value) {
  return tx<void>(
      deadline,
      [name = std::move(name), value = std::move(value)](sql::Session& session,
                                                         Millis) -> Result<> {
        NB_TRY(session.exec("UPDATE nb_idp_meta SET value = $2 WHERE name = $1", {name, value}));
        return {};
      });
}

}  // namespace nb::idp
