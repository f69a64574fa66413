#include "management/domain/login_rules.h"
#include "management/store/peer_removal.h"
#include "management/store/store_work.h"

namespace nb::management::work {
namespace {

bool names_peer(std::string_view text, const PeerId& id) {
  columns::Damage damage;
  return columns::read_resource(text, damage).id == id.value();
}

/// Policies with a rule that has the peer itself as a side.
Result<std::vector<PolicyId>> direct_policies(Session& session, const Peer& peer) {
  NB_LET(const sql::Rows rows,
         session.query(
             "SELECT r.policy_id, r.source_resource, r.destination_resource FROM policy_rules r "
             "JOIN policies o ON o.id = r.policy_id WHERE o.account_id = $1 AND "
             "(r.source_resource LIKE $2 OR r.destination_resource LIKE $2)",
             {peer.account_id.value(), "%" + peer.id.value() + "%"}));
  std::vector<PolicyId> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (names_peer(rows[i].text(1), peer.id) || names_peer(rows[i].text(2), peer.id))
      out.emplace_back(rows[i].string(0));
  return out;
}

Result<> delete_policies(Session& session, const std::vector<PolicyId>& policies) {
  if (policies.empty()) return {};
  const std::string list = columns::ids(policies);
  NB_TRY(session.exec(
      fmt::format("DELETE FROM policy_rules WHERE policy_id IN {}", json_list(session, 1)),
      {list}));
  NB_TRY(session.exec(fmt::format("DELETE FROM policies WHERE id IN {}", json_list(session, 1)),
                      {list}));
  return {};
}

/// The ids that a DELETE or SELECT gives back in its first column.
template <class Id>
Result<std::vector<Id>> ids_of(Session& session, std::string_view statement,
                               std::initializer_list<sql::Param> params) {
  NB_LET(const sql::Rows rows, session.query(statement, params));
  std::vector<Id> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.emplace_back(rows[i].string(0));
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<> check_unlinked(Session& session, const Peer& peer) {
  NB_LET(const sql::Rows routers,
         session.query("SELECT id FROM network_routers WHERE account_id = $1 AND peer = $2 LIMIT 1",
                       {peer.account_id.value(), peer.id.value()}));
  if (!routers.empty())
    return fail(Code::kFailedPrecondition, "peer is linked to a network router: {}",
                routers[0].text(0));
  NB_LET(const sql::Rows services,
         session.query(
             "SELECT service_id FROM targets WHERE account_id = $1 AND target_type = 'peer' AND "
             "target_id = $2 LIMIT 1",
             {peer.account_id.value(), peer.id.value()}));
  if (!services.empty())
    return fail(Code::kFailedPrecondition, "peer {} is in use by proxy {}", peer.id.value(),
                services[0].text(0));
  return {};
}

Result<std::vector<GroupId>> remove_peer(Session& session, const Peer& peer, Changes& changes) {
  NB_LET(const auto groups,
         ids_of<GroupId>(session, "DELETE FROM group_peers WHERE peer_id = $1 RETURNING group_id",
                         {peer.id.value()}));
  NB_LET(const auto policies, direct_policies(session, peer));
  NB_TRY(delete_policies(session, policies));
  // Upstream leaves legacy routes that name the peer behind, dangling.
  NB_LET(const auto routes,
         ids_of<RouteId>(session,
                         "DELETE FROM routes WHERE account_id = $1 AND peer = $2 RETURNING id",
                         {peer.account_id.value(), peer.id.value()}));
  NB_TRY(session.exec("DELETE FROM nb_peer_sessions WHERE peer_id = $1", {peer.id.value()}));
  NB_TRY(session.exec("DELETE FROM peers WHERE id = $1", {peer.id.value()}));
  changes.touched(peer.id).touched_all(groups).touched_all(policies).touched_all(routes);
  return groups;
}

// Source: contract/management-grpc.md §5.2.2.
Result<bool> relogin_needs_write(const PeerView& view, const Relogin& request, WallTime now) {
  const bool expired = login_expired(view.peer, view.settings, now);
  if (!request.user && expired)
    return fail(Code::kPermissionDenied, "peer login has expired, please log in once more");
  if (request.user && *request.user != view.peer.user_id)
    return fail(Code::kPermissionDenied,
                "peer is already registered by a different User or a Setup Key");
  if (request.user && view.owner_blocked) return fail(Code::kPermissionDenied, "user is blocked");
  if (request.has_extra_dns_labels && !view.peer.allow_extra_dns_labels)
    return fail(Code::kFailedPrecondition,
                "couldn't login peer: setup key doesn't allow extra DNS labels");
  NB_TRY(require_network(view.network, view.peer.account_id));
  return expired || request.ssh_key != view.peer.ssh_key;
}

Result<ReloggedIn> relogin(Session& session, const Context& context, const Relogin& request) {
  ReloggedIn out;
  if (request.user) NB_TRY(lock_user(session, *request.user));
  NB_LET(out.view, peer_by_key_locked(session, context, request.key));
  NB_LET(out.posture_checks, looks_for_files(session, out.view.peer.account_id));
  const WallTime now = context.clock.wall();
  NB_LET(out.was_changed, relogin_needs_write(out.view, request, now));
  if (!out.was_changed) return out;
  Peer& peer = out.view.peer;
  out.renewed = login_expired(peer, out.view.settings, now);
  out.ssh_key_changed = request.ssh_key != peer.ssh_key;
  peer.ssh_key = request.ssh_key;
  if (out.renewed) {
    peer.status.login_expired = false;
    peer.last_login = now;
    NB_TRY(session.exec("UPDATE users SET last_login = $2 WHERE id = $1",
                        {peer.user_id.value(), now}));
    NB_TRY(add_event(session, context,
                     peer_event(context, Activity::kUserLoggedInPeer, peer.user_id.value(), peer,
                                out.view.settings)));
  }
  NB_TRY(
      session.exec("UPDATE peers SET ssh_key = $2, peer_status_login_expired = $3, last_login = $4 "
                   "WHERE id = $1",
                   {peer.id.value(), peer.ssh_key, peer.status.login_expired, peer.last_login}));
  Changes changes(peer.account_id);
  changes.touched(peer.id);
  if (out.renewed) changes.touched(peer.user_id);
  NB_LET(out.view.serial, bump_serial(session, context, changes));
  return out;
}

Result<> check_may_sync(const PeerView& view, WallTime now) {
  if (view.owner_blocked) return fail(Code::kPermissionDenied, "user is blocked");
  if (login_expired(view.peer, view.settings, now))
    return fail(Code::kPermissionDenied, "peer login has expired, please log in once more");
  return {};
}

MetaUpdated apply_meta(PeerView view, const MetaUpdate& update) {
  MetaUpdated out;
  out.view = std::move(view);
  Peer& peer = out.view.peer;
  if (update.meta) {
    PeerMeta merged = merged_meta(peer.meta, *update.meta);
    out.change = compare_meta(peer.meta, merged);
    peer.meta = std::move(merged);
  }
  if (update.location && *update.location != peer.location) {
    out.location_changed = true;
    peer.location = *update.location;
  }
  return out;
}

Result<MetaUpdated> update_meta(Session& session, const Context& context,
                                const MetaUpdate& update) {
  NB_LET(PeerView view, peer_by_key_locked(session, context, update.key));
  NB_TRY(check_may_sync(view, context.clock.wall()));
  MetaUpdated out = apply_meta(std::move(view), update);
  if (!out.change.any && !out.location_changed) return out;
  NB_TRY(session.require_full_durability());
  const rows::Write row = rows::update_peer_meta(out.view.peer);
  NB_TRY(session.exec(row.statement, row.values));
  if (out.change.map_relevant || out.location_changed) {
    const Peer& peer = out.view.peer;
    NB_LET(out.view.serial,
           bump_serial(session, context, Changes(peer.account_id).touched(peer.id)));
  }
  return out;
}

Result<DeletedPeer> delete_peer(Session& session, const Context& context, const PeerKey& key,
                                const std::string& initiator) {
  auto view = peer_by_key_locked(session, context, key);
  if (!view && view.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "peer not found: {}", key.value());
  NB_TRY(view);
  DeletedPeer out;
  out.peer = std::move(view->peer);
  NB_TRY(check_unlinked(session, out.peer));
  Changes changes(out.peer.account_id);
  NB_LET(out.groups, remove_peer(session, out.peer, changes));
  NB_TRY(add_event(
      session, context,
      peer_event(context, Activity::kPeerRemovedByUser,
                 initiator.empty() ? kSystemInitiator : initiator, out.peer, view->settings)));
  NB_LET(out.serial, bump_serial(session, context, changes));
  return out;
}

}  // namespace nb::management::work
