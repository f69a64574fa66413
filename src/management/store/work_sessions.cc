// Which instance serves which peer, fenced by (peer, epoch).
// Source   contract/management-grpc.md §5.5, network-map.md §5 "Session fencing".
#include "management/store/change_log.h"
#include "management/store/store_work.h"

namespace nb::management::work {

Result<std::int64_t> heartbeat(Session& session, const InstanceId& instance,
                               std::int64_t incarnation, std::chrono::milliseconds ttl) {
  // Waits for a reaper that found the lease lapsed (disconnect_dead): afterwards either it has
  // taken the peers, or it sees that the lease is held again.
  const std::string text = fmt::format(
      "INSERT INTO nb_instances (id, incarnation, lease_until, held_since) VALUES ($1, $2, {0} + "
      "CAST($3 AS bigint), {0}) ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, "
      "lease_until = excluded.lease_until, held_since = CASE WHEN nb_instances.incarnation = "
      "excluded.incarnation AND nb_instances.lease_until > {0} THEN nb_instances.held_since ELSE "
      "excluded.held_since END, facts = CASE WHEN nb_instances.incarnation = excluded.incarnation "
      "THEN nb_instances.facts END WHERE nb_instances.incarnation <= excluded.incarnation "
      "RETURNING "
      "held_since",
      now_ms(session));
  NB_LET(const sql::Rows rows, session.query(text, {instance.value(), incarnation,
                                                    static_cast<std::int64_t>(ttl.count())}));
  if (rows.empty())
    return fail(Code::kAborted, "instance {}: a newer process has its id", instance.value());
  return rows[0].integer(0);
}

Result<> retire(Session& session, const InstanceId& instance, std::int64_t incarnation) {
  NB_TRY(session.exec("UPDATE nb_instances SET lease_until = 0 WHERE id = $1 AND incarnation = $2",
                      {instance.value(), incarnation}));
  return {};
}

Result<SessionStarted> connect(Session& session, const Context& context, const SessionCall& call) {
  const std::string select = fmt::format(
      "SELECT p.peer_status_session_started_at, p.peer_status_login_expired, p.account_id, "
      "p.proxy_meta_embedded, s.epoch, s.instance_id, {}, s.reaped_epoch FROM peers p LEFT JOIN "
      "nb_peer_sessions s ON s.peer_id = p.id WHERE p.id = $1{}",
      now_ns(session), locking(session, "FOR UPDATE OF p"));
  NB_LET(const sql::Rows rows, session.query(select, {call.peer.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "peer is not registered");
  const sql::Row row = rows[0];
  SessionStarted out;
  out.previous_epoch = row.integer(0);
  out.login_expired = row.boolean(1);
  const AccountId account_id(row.string(2));
  // A reaped session may still have its stream: its instance must hear that it is superseded.
  const bool reaped =
      out.previous_epoch == 0 && row.integer(4) != 0 && row.integer(7) == row.integer(4);
  if (reaped) out.previous_epoch = row.integer(4);
  if (out.previous_epoch != 0 && row.integer(4) == out.previous_epoch)
    out.previous_instance = InstanceId(row.string(5));
  // The database's clock, and beyond every epoch it has given: never a host's clock.
  out.epoch = std::max({row.integer(6), out.previous_epoch + 1, row.integer(4) + 1});
  NB_TRY(session.exec(fmt::format("UPDATE peers SET peer_status_connected = TRUE, "
                                  "peer_status_last_seen = {}, peer_status_session_started_at = $2 "
                                  "WHERE id = $1",
                                  now_time(session)),
                      {call.peer.value(), out.epoch}));
  NB_TRY(session.exec(
      "INSERT INTO nb_peer_sessions (peer_id, account_id, instance_id, incarnation, epoch, "
      "call_no) "
      "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (peer_id) DO UPDATE SET account_id = "
      "excluded.account_id, instance_id = excluded.instance_id, incarnation = "
      "excluded.incarnation, epoch = excluded.epoch, call_no = excluded.call_no",
      {call.peer.value(), account_id.value(), call.instance.value(), call.incarnation, out.epoch,
       call.number}));
  // Maps name embedded proxies only while they are connected.
  if (row.boolean(3)) NB_TRY(bump_serial(session, context, Changes(account_id).touched(call.peer)));
  return out;
}

namespace {

/// Marks the peer disconnected whose session this is.
Result<bool> end_session(Session& session, const Context& context, const PeerId& peer,
                         std::int64_t epoch) {
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

}  // namespace

Result<bool> disconnect(Session& session, const Context& context, const PeerId& peer,
                        std::int64_t epoch) {
  if (epoch == 0) return false;
  NB_LET(const bool ended, end_session(session, context, peer, epoch));
  if (ended) return true;
  // Superseded, or reaped. A reaped session must not be restored after its stream is gone; and if
  // it was restored just now, it ends after all.
  NB_LET(const std::int64_t reaped,
         session.exec("UPDATE nb_peer_sessions SET reaped_epoch = 0 WHERE peer_id = $1 AND "
                      "reaped_epoch = $2",
                      {peer.value(), epoch}));
  if (reaped > 0) return false;
  return end_session(session, context, peer, epoch);
}

Result<bool> abandon(Session& session, const Context& context, const SessionCall& call) {
  // The call held the peer's row when it sent its COMMIT, which may still be under way: this waits
  // for it. The session is read by a statement of its own, which sees what was committed meanwhile.
  NB_TRY(session.query(
      fmt::format("SELECT 1 FROM peers WHERE id = $1{}", locking(session, "FOR UPDATE")),
      {call.peer.value()}));
  NB_LET(const sql::Rows rows,
         session.query("SELECT epoch FROM nb_peer_sessions WHERE peer_id = $1 AND instance_id = $2 "
                       "AND incarnation = $3 AND call_no = $4",
                       {call.peer.value(), call.instance.value(), call.incarnation, call.number}));
  if (rows.empty()) return false;
  return disconnect(session, context, call.peer, rows[0].integer(0));
}

}  // namespace nb::management::work
