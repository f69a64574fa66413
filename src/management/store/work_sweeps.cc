// What time does to peers: logins expire, idle machines have to log in again, ephemeral ones go.
// Source   contract/network-map.md §5. Any number of instances may sweep at once: each row is taken
//          by one of them (SKIP LOCKED), so every event and serial happens once.
#include "management/store/peer_removal.h"
#include "management/store/store_work.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace nb::management::work {
namespace {

/// Locks and reads the peers for which `condition` holds; rows of others' transactions are left to
/// them.
Result<std::vector<Peer>> due_peers(Session& session, const Context& context,
                                    const std::string& condition,
                                    std::vector<sql::Param> more_params, std::size_t limit) {
  const std::string text = fmt::format(
      "SELECT {} FROM peers p JOIN accounts a ON a.id = p.account_id WHERE {} ORDER BY "
      "p.id LIMIT $1{}",
      rows::peer_columns(), condition, locking(session, "FOR UPDATE OF p SKIP LOCKED"));
  std::vector<sql::Param> params{static_cast<std::int64_t>(limit)};
  for (sql::Param& param : more_params) params.push_back(std::move(param));
  NB_LET(const sql::Rows rows, session.query(text, params));
  columns::Damage damage;
  std::vector<Peer> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sql::RowReader reader(rows[i]);
    out.push_back(rows::read_peer(reader, damage));
  }
  context.report(damage, "peers", "due");
  return out;
}

/// Changes by account, in the order in which everybody locks accounts.
using ByAccount = std::map<AccountId, Changes>;

Changes& changes_of(ByAccount& accounts, const AccountId& id) {
  return accounts.try_emplace(id, id).first->second;
}

/// An event for each peer, then the accounts' serials, the hot rows, last.
Result<> finish(Session& session, const Context& context, Activity activity, bool by_owner,
                const ByAccount& accounts, Swept& swept) {
  std::map<AccountId, AccountSettings> settings;
  for (const auto& [id, changes] : accounts) {
    NB_LET(Account owner, account(session, context, id));
    settings.emplace(id, std::move(owner.settings));
  }
  for (const Peer& peer : swept.peers)
    NB_TRY(
        add_event(session, context,
                  peer_event(context, activity, by_owner ? peer.user_id.value() : kSystemInitiator,
                             peer, settings.at(peer.account_id))));
  for (const auto& [id, changes] : accounts) {
    NB_LET(const std::uint64_t serial, bump_serial(session, context, changes));
    swept.accounts.push_back({id, serial});
  }
  return {};
}

Result<Swept> expire(Session& session, const Context& context, const std::string& condition,
                     std::size_t limit) {
  Swept out;
  NB_LET(out.peers, due_peers(session, context, condition, {}, limit));
  if (out.peers.empty()) return out;
  std::vector<PeerId> ids;
  ByAccount accounts;
  for (Peer& peer : out.peers) {
    ids.push_back(peer.id);
    changes_of(accounts, peer.account_id).touched(peer.id);
    peer.status.login_expired = true;
    peer.status.connected = false;
  }
  // The epoch stays: the stream that is about to be closed ends its own session with it. Only
  // somebody who was connected until now was seen now.
  const std::string text = fmt::format(
      "UPDATE peers SET peer_status_login_expired = TRUE, peer_status_last_seen = CASE WHEN "
      "peer_status_connected THEN {} ELSE peer_status_last_seen END, peer_status_connected = FALSE "
      "WHERE id IN {}",
      now_time(session), json_list(session, 1));
  NB_TRY(session.exec(text, {columns::ids(ids)}));
  NB_TRY(finish(session, context, Activity::kPeerLoginExpired, true, accounts, out));
  return out;
}

/// Leaves out those that something depends on since they were looked for. Nothing can from now on:
/// who makes a router or target of a peer holds its row, which is ours.
Result<> leave_linked(Session& session, std::vector<Peer>& peers) {
  if (peers.empty()) return {};
  std::vector<PeerId> ids;
  for (const Peer& peer : peers) ids.push_back(peer.id);
  NB_LET(
      const sql::Rows rows,
      session.query(fmt::format("SELECT peer FROM network_routers WHERE peer IN {0} UNION SELECT "
                                "target_id FROM targets WHERE target_type = 'peer' AND "
                                "target_id IN {0}",
                                json_list(session, 1)),
                    {columns::ids(ids)}));
  std::set<std::string> linked;
  for (std::size_t i = 0; i < rows.size(); ++i) linked.insert(rows[i].string(0));
  std::erase_if(peers, [&](const Peer& peer) { return linked.contains(peer.id.value()); });
  return {};
}

}  // namespace

Result<Swept> expire_logins(Session& session, const Context& context, std::size_t limit) {
  return expire(session, context,
                "p.peer_status_connected AND NOT COALESCE(p.peer_status_login_expired, FALSE) AND "
                "p.login_expiration_enabled AND COALESCE(p.user_id, '') <> '' AND "
                "a.settings_peer_login_expiration_enabled AND " +
                    passed(session, "p.last_login", "a.settings_peer_login_expiration"),
                limit);
}

Result<Swept> expire_inactive(Session& session, const Context& context, std::size_t limit) {
  return expire(
      session, context,
      "NOT COALESCE(p.peer_status_connected, FALSE) AND NOT "
      "COALESCE(p.peer_status_login_expired, FALSE) AND p.inactivity_expiration_enabled "
      "AND COALESCE(p.user_id, '') <> '' AND "
      "a.settings_peer_inactivity_expiration_enabled AND " +
          passed(session, "p.peer_status_last_seen", "a.settings_peer_inactivity_expiration"),
      limit);
}

Result<Swept> delete_ephemeral(Session& session, const Context& context,
                               std::chrono::milliseconds lifetime, std::size_t limit) {
  // Those that something else depends on stay, as they would for a user who deletes them.
  const std::string condition =
      "p.ephemeral AND NOT COALESCE(p.peer_status_connected, FALSE) AND NOT EXISTS (SELECT 1 FROM "
      "network_routers w WHERE w.account_id = p.account_id AND w.peer = p.id) AND NOT EXISTS "
      "(SELECT 1 FROM targets x WHERE x.account_id = p.account_id AND x.target_type = 'peer' AND "
      "x.target_id = p.id) AND " +
      passed(session, "COALESCE(p.peer_status_last_seen, p.created_at)", "CAST($2 AS bigint)");
  Swept out;
  NB_LET(out.peers, due_peers(session, context, condition,
                              {std::chrono::nanoseconds(lifetime).count()}, limit));
  NB_TRY(leave_linked(session, out.peers));
  ByAccount accounts;
  for (const Peer& peer : out.peers)
    NB_TRY(remove_peer(session, peer, changes_of(accounts, peer.account_id)));
  if (out.peers.empty()) return out;
  NB_TRY(finish(session, context, Activity::kPeerRemovedByUser, false, accounts, out));
  return out;
}

}  // namespace nb::management::work
