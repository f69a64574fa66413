// Sessions of instances that lost their lease: others mark the peers disconnected, and the instance
// that comes back takes those back which nobody else has taken over.
// Source   contract/management-grpc.md §5.5, decision 0119.
#include "management/store/change_log.h"
#include "management/store/session_rows.h"
#include "management/store/store_work.h"

#include <boost/json.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

namespace nb::management::work {
namespace {

using Epochs = std::map<PeerId, std::int64_t>;

std::string pairs_text(const Epochs& sessions) {
  std::vector<OpenSession> list;
  list.reserve(sessions.size());
  for (const auto& [peer, epoch] : sessions) list.push_back({peer, epoch});
  return session_list(list);
}

std::string ids_text(const Epochs& sessions) {
  boost::json::array list;
  list.reserve(sessions.size());
  for (const auto& [peer, epoch] : sessions) list.emplace_back(peer.value());
  return boost::json::serialize(list);
}

/// Connected peers that no living lease covers.
struct Candidate {
  PeerId peer;
  std::int64_t epoch = 0;
  std::string instance;  // empty: nobody says whose it is
  std::int64_t incarnation = 0;
};

Result<std::vector<Candidate>> dead_sessions(Session& session, std::size_t limit) {
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format(
                 "SELECT p.id, COALESCE(p.peer_status_session_started_at, 0), "
                 "COALESCE(s.instance_id, ''), COALESCE(s.incarnation, 0) FROM peers p LEFT JOIN "
                 "nb_peer_sessions s ON s.peer_id = p.id AND s.epoch = "
                 "p.peer_status_session_started_at WHERE p.peer_status_connected AND NOT EXISTS "
                 "(SELECT 1 FROM nb_instances i WHERE i.id = s.instance_id AND i.incarnation = "
                 "s.incarnation AND i.lease_until > {}) ORDER BY p.id LIMIT $1",
                 now_ms(session)),
             {static_cast<std::int64_t>(limit)}));
  std::vector<Candidate> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back(
        {PeerId(rows[i].string(0)), rows[i].integer(1), rows[i].string(2), rows[i].integer(3)});
  return out;
}

/// Takes out those whose instance renewed its lease meanwhile, and keeps the others from doing so
/// until the end of the transaction: an instance that holds its lease again looks for its sessions
/// after it, and must find what was done to them.
Result<> hold_back(Session& session, std::vector<Candidate>& found) {
  boost::json::array names;
  for (const Candidate& at : found)
    if (!at.instance.empty()) names.emplace_back(at.instance);
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("SELECT id, incarnation, lease_until > {} FROM nb_instances "
                         "WHERE id IN {} ORDER BY id{}",
                         now_ms(session), json_list(session, 1), locking(session, "FOR SHARE")),
             {boost::json::serialize(names)}));
  std::map<std::string, std::int64_t> alive;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].boolean(2)) alive.emplace(rows[i].string(0), rows[i].integer(1));
  std::erase_if(found, [&](const Candidate& at) {
    const auto instance = alive.find(at.instance);
    return instance != alive.end() && instance->second == at.incarnation;
  });
  return {};
}

/// Of `sessions`, those whose peers' rows nobody else holds; they are held from now on.
Result<Epochs> lock_peers(Session& session, const Epochs& sessions, std::string_view how) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT id FROM peers WHERE id IN {} ORDER BY id{}",
                                   json_list(session, 1), locking(session, how)),
                       {ids_text(sessions)}));
  Epochs out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PeerId peer(rows[i].string(0));
    out.emplace(peer, sessions.at(peer));
  }
  return out;
}

/// Maps name embedded proxies only while they are connected.
Result<> tell_accounts(Session& session, const Context& context,
                       const std::map<AccountId, Changes>& changed) {
  for (const auto& [id, changes] : changed) NB_TRY(bump_serial(session, context, changes));
  return {};
}

/// What the rows say about one session that an instance holds a stream of.
SessionFate fate_of(const sql::Row& row, std::int64_t epoch) {
  const std::int64_t started = row.integer(1);
  const bool connected = row.boolean(2);
  const bool refused = row.boolean(3) || row.boolean(4);
  if (row.integer(5) != epoch || (started != 0 && started != epoch))
    return SessionFate::kSuperseded;
  if (refused) return SessionFate::kRefused;
  if (started == epoch) return connected ? SessionFate::kHeld : SessionFate::kRestored;
  return row.integer(6) == epoch ? SessionFate::kRestored : SessionFate::kEnded;
}

/// Of those that can be taken back, the ones that were.
Result<std::set<PeerId>> take_back(Session& session, const Context& context, const Epochs& wanted) {
  std::set<PeerId> out;
  if (wanted.empty()) return out;
  NB_LET(const Epochs locked, lock_peers(session, wanted, "FOR UPDATE"));
  // A reaped one loses its mark first: its owner, who may end it at this moment, waits for that row
  // and then finds the session restored (disconnect).
  NB_LET(const sql::Rows unmarked,
         session.query(
             fmt::format("UPDATE nb_peer_sessions SET reaped_epoch = 0 FROM {} WHERE "
                         "nb_peer_sessions.peer_id = d.id AND nb_peer_sessions.epoch = d.epoch AND "
                         "nb_peer_sessions.reaped_epoch = d.epoch RETURNING "
                         "nb_peer_sessions.peer_id",
                         session_rows(session)),
             {pairs_text(locked)}));
  Epochs reaped;
  Epochs others = locked;
  for (std::size_t i = 0; i < unmarked.size(); ++i)
    reaped.insert(others.extract(PeerId(unmarked[i].string(0))));
  std::map<AccountId, Changes> changed;
  const auto connect = [&](const Epochs& sessions, std::string_view was) -> Result<> {
    if (sessions.empty()) return {};
    NB_LET(const sql::Rows rows,
           session.query(
               fmt::format("UPDATE peers SET peer_status_connected = TRUE, peer_status_last_seen = "
                           "{}, peer_status_session_started_at = d.epoch FROM {} WHERE peers.id = "
                           "d.id AND COALESCE(peers.peer_status_session_started_at, 0) = {} "
                           "RETURNING peers.id, peers.account_id, peers.proxy_meta_embedded",
                           now_time(session), session_rows(session), was),
               {pairs_text(sessions)}));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const PeerId peer(rows[i].string(0));
      const AccountId account(rows[i].string(1));
      out.insert(peer);
      if (rows[i].boolean(2)) changed.try_emplace(account, account).first->second.touched(peer);
    }
    return {};
  };
  NB_TRY(connect(reaped, "0"));
  NB_TRY(connect(others, "d.epoch"));
  NB_TRY(tell_accounts(session, context, changed));
  return out;
}

}  // namespace

Result<std::string> lease_mark(Session& session) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT id, incarnation, lease_until > {} FROM nb_instances "
                                   "ORDER BY id",
                                   now_ms(session))));
  std::string out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    fmt::format_to(std::back_inserter(out), "{} {} {}\n", rows[i].text(0), rows[i].integer(1),
                   rows[i].boolean(2) ? "held" : "over");
  return out;
}

Result<std::vector<ReapedPeer>> disconnect_dead(Session& session, const Context& context,
                                                std::size_t limit) {
  std::vector<ReapedPeer> out;
  NB_LET(std::vector<Candidate> found, dead_sessions(session, limit));
  if (found.empty()) return out;
  NB_TRY(hold_back(session, found));
  Epochs dead;
  for (const Candidate& at : found) dead.emplace(at.peer, at.epoch);
  // Who connects at this moment, or is reaped by another instance, is not waited for.
  NB_LET(const Epochs locked, lock_peers(session, dead, "FOR UPDATE SKIP LOCKED"));
  // The epoch found is compared once more in the row that is written: a peer that connected since
  // is left alone.
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("UPDATE peers SET peer_status_connected = FALSE, peer_status_last_seen = "
                         "{}, peer_status_session_started_at = 0 FROM {} WHERE peers.id = d.id AND "
                         "COALESCE(peers.peer_status_session_started_at, 0) = d.epoch AND "
                         "peers.peer_status_connected RETURNING peers.id, peers.account_id, "
                         "peers.ephemeral, peers.proxy_meta_embedded",
                         now_time(session), session_rows(session)),
             {pairs_text(locked)}));
  Epochs reaped;
  std::map<AccountId, Changes> changed;  // in the order in which everybody locks accounts
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const sql::Row row = rows[i];
    out.push_back({PeerId(row.string(0)), AccountId(row.string(1)), row.boolean(2)});
    const ReapedPeer& peer = out.back();
    reaped.emplace(peer.peer, locked.at(peer.peer));
    if (row.boolean(3))
      changed.try_emplace(peer.account, peer.account).first->second.touched(peer.peer);
  }
  // Its owner may only sleep: the mark tells a session that was taken away from one that ended.
  NB_TRY(session.exec(
      fmt::format("UPDATE nb_peer_sessions SET reaped_epoch = d.epoch FROM {} WHERE "
                  "nb_peer_sessions.peer_id = d.id AND nb_peer_sessions.epoch = d.epoch",
                  session_rows(session)),
      {pairs_text(reaped)}));
  NB_TRY(tell_accounts(session, context, changed));
  return out;
}

Result<std::vector<SessionFate>> reassert(Session& session, const Context& context,
                                          const std::vector<OpenSession>& open) {
  Epochs asked;
  for (const OpenSession& at : open) {
    auto& epoch = asked[at.peer];
    epoch = std::max(epoch, at.epoch);
  }
  // Nearly always all are held: one read, no lock. Nobody reaps them meanwhile, because the lease
  // is held again (hold_back).
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("SELECT p.id, COALESCE(p.peer_status_session_started_at, 0), "
                         "p.peer_status_connected, COALESCE(p.user_id, '') <> '' AND "
                         "COALESCE(p.peer_status_login_expired, FALSE), {}, "
                         "COALESCE(s.epoch, 0), COALESCE(s.reaped_epoch, 0) FROM peers p LEFT JOIN "
                         "nb_peer_sessions s ON s.peer_id = p.id LEFT JOIN users u ON u.id = "
                         "p.user_id WHERE p.id IN {}",
                         kOwnerBlocked, json_list(session, 1)),
             {ids_text(asked)}));
  std::map<PeerId, SessionFate> fates;
  Epochs wanted;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PeerId peer(rows[i].string(0));
    const std::int64_t epoch = asked.at(peer);
    const SessionFate fate = fate_of(rows[i], epoch);
    fates.emplace(peer, fate);
    if (fate == SessionFate::kRestored) wanted.emplace(peer, epoch);
  }
  NB_LET(const std::set<PeerId> restored, take_back(session, context, wanted));
  std::vector<SessionFate> out;
  out.reserve(open.size());
  for (const OpenSession& at : open) {
    const auto found = fates.find(at.peer);
    SessionFate fate = found == fates.end() ? SessionFate::kDeleted : found->second;
    if (at.epoch != asked.at(at.peer)) fate = SessionFate::kSuperseded;
    // Somebody connected, ended or deleted it while we waited for its row.
    if (fate == SessionFate::kRestored && !restored.contains(at.peer)) fate = SessionFate::kEnded;
    out.push_back(fate);
  }
  return out;
}

}  // namespace nb::management::work
