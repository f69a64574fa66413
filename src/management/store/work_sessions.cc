// Which instance serves which peer, fenced by (peer, epoch).
// Source   contract/management-grpc.md §5.5, network-map.md §5 "Session fencing".
#include "management/store/change_log.h"
#include "management/store/store_work.h"

#include <map>

namespace nb::management::work {

Result<> heartbeat(Session& session, const InstanceId& instance, std::int64_t incarnation,
                   std::chrono::milliseconds ttl) {
  const std::string text = fmt::format(
      "INSERT INTO nb_instances (id, incarnation, lease_until) VALUES ($1, $2, {} + CAST($3 AS "
      "bigint)) ON "
      "CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, lease_until = "
      "excluded.lease_until, facts = CASE WHEN nb_instances.incarnation = excluded.incarnation "
      "THEN "
      "nb_instances.facts END WHERE nb_instances.incarnation <= excluded.incarnation RETURNING id",
      now_ms(session));
  NB_LET(const sql::Rows rows, session.query(text, {instance.value(), incarnation,
                                                    static_cast<std::int64_t>(ttl.count())}));
  if (rows.empty())
    return fail(Code::kAborted, "instance {}: a newer process has its id", instance.value());
  return {};
}

Result<> retire(Session& session, const InstanceId& instance, std::int64_t incarnation) {
  NB_TRY(session.exec("UPDATE nb_instances SET lease_until = 0 WHERE id = $1 AND incarnation = $2",
                      {instance.value(), incarnation}));
  return {};
}

Result<SessionStarted> connect(Session& session, const Context& context, const PeerId& peer,
                               const InstanceId& instance, std::int64_t incarnation) {
  const std::string select = fmt::format(
      "SELECT p.peer_status_session_started_at, p.peer_status_login_expired, p.account_id, "
      "p.proxy_meta_embedded, s.epoch, s.instance_id, {} FROM peers p LEFT JOIN nb_peer_sessions s "
      "ON "
      "s.peer_id = p.id WHERE p.id = $1{}",
      now_ns(session), locking(session, "FOR UPDATE OF p"));
  NB_LET(const sql::Rows rows, session.query(select, {peer.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "peer is not registered");
  const sql::Row row = rows[0];
  SessionStarted out;
  out.previous_epoch = row.integer(0);
  out.login_expired = row.boolean(1);
  const AccountId account_id(row.string(2));
  if (out.previous_epoch != 0 && row.integer(4) == out.previous_epoch)
    out.previous_instance = InstanceId(row.string(5));
  // The database's clock, and beyond every epoch it has given: never a host's clock.
  out.epoch = std::max({row.integer(6), out.previous_epoch + 1, row.integer(4) + 1});
  NB_TRY(session.exec(fmt::format("UPDATE peers SET peer_status_connected = TRUE, "
                                  "peer_status_last_seen = {}, peer_status_session_started_at = $2 "
                                  "WHERE id = $1",
                                  now_time(session)),
                      {peer.value(), out.epoch}));
  NB_TRY(session.exec(
      "INSERT INTO nb_peer_sessions (peer_id, account_id, instance_id, incarnation, epoch) VALUES "
      "($1, $2, "
      "$3, $4, $5) ON CONFLICT (peer_id) DO UPDATE SET account_id = excluded.account_id, "
      "instance_id = "
      "excluded.instance_id, incarnation = excluded.incarnation, epoch = excluded.epoch",
      {peer.value(), account_id.value(), instance.value(), incarnation, out.epoch}));
  // Maps name embedded proxies only while they are connected.
  if (row.boolean(3)) NB_TRY(bump_serial(session, context, Changes(account_id).touched(peer)));
  return out;
}

Result<bool> disconnect(Session& session, const Context& context, const PeerId& peer,
                        std::int64_t epoch) {
  if (epoch == 0) return false;
  const std::string text = fmt::format(
      "UPDATE peers SET peer_status_connected = FALSE, peer_status_last_seen = {}, "
      "peer_status_session_started_at = 0 WHERE id = $1 AND peer_status_session_started_at = $2 "
      "RETURNING "
      "account_id, proxy_meta_embedded",
      now_time(session));
  NB_LET(const sql::Rows rows, session.query(text, {peer.value(), epoch}));
  if (rows.empty()) return false;
  if (rows[0].boolean(1))
    NB_TRY(bump_serial(session, context, Changes(AccountId(rows[0].string(0))).touched(peer)));
  return true;
}

Result<std::vector<ReapedPeer>> disconnect_dead(Session& session, const Context& context,
                                                std::size_t limit) {
  // The epoch found is compared once more in the row that is written: a peer that connects in
  // between is left alone.
  const std::string text = fmt::format(
      "UPDATE peers SET peer_status_connected = FALSE, peer_status_last_seen = {}, "
      "peer_status_session_started_at = 0 FROM (SELECT p.id AS dead_id, "
      "p.peer_status_session_started_at "
      "AS dead_epoch FROM peers p WHERE p.peer_status_connected AND NOT EXISTS (SELECT 1 FROM "
      "nb_peer_sessions s JOIN nb_instances i ON i.id = s.instance_id AND i.incarnation = "
      "s.incarnation "
      "WHERE s.peer_id = p.id AND s.epoch = p.peer_status_session_started_at AND i.lease_until > "
      "{}) "
      "ORDER BY p.id LIMIT $1) dead WHERE peers.id = dead.dead_id AND "
      "peers.peer_status_session_started_at = dead.dead_epoch AND peers.peer_status_connected "
      "RETURNING "
      "peers.id, peers.account_id, peers.ephemeral, peers.proxy_meta_embedded",
      now_time(session), now_ms(session));
  NB_LET(const sql::Rows rows, session.query(text, {static_cast<std::int64_t>(limit)}));
  std::vector<ReapedPeer> out;
  std::map<AccountId, Changes> changed;  // in the order in which everybody locks accounts
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const sql::Row row = rows[i];
    out.push_back({PeerId(row.string(0)), AccountId(row.string(1)), row.boolean(2)});
    if (row.boolean(3))
      changed.try_emplace(out.back().account, out.back().account)
          .first->second.touched(out.back().peer);
  }
  for (const auto& [id, changes] : changed) NB_TRY(bump_serial(session, context, changes));
  return out;
}

}  // namespace nb::management::work
