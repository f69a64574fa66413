#include "management/store/edits/membership.h"

#include "management/store/ipv6_change.h"

#include <algorithm>
#include <map>

namespace nb::management::work {
namespace {

EventMeta member_meta(const Group& group, const Peer& peer, const std::string& domain) {
  return {{"group", group.name},
          {"group_id", group.id.value()},
          {"peer_ip", peer.ip.to_string()},
          {"peer_fqdn", peer.fqdn(domain)}};
}

Result<std::vector<PeerId>> moved(AccountEdit& edit, const Group& group,
                                  const std::vector<PeerId>& peers, Move move) {
  Session& session = edit.session();
  const std::string text =
      move == Move::kIn
          ? fmt::format(
                "INSERT INTO group_peers (account_id, group_id, peer_id) SELECT $1, $2, "
                "p.id FROM peers p WHERE p.account_id = $1 AND p.id IN {} ON CONFLICT DO "
                "NOTHING RETURNING peer_id",
                json_list(session, 3))
          : fmt::format(
                "DELETE FROM group_peers WHERE account_id = $1 AND group_id = $2 AND "
                "peer_id IN {} RETURNING peer_id",
                json_list(session, 3));
  NB_LET(const sql::Rows rows,
         session.query(text, {edit.account_id().value(), group.id.value(), columns::ids(peers)}));
  std::vector<PeerId> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.emplace_back(rows[i].string(0));
  return out;
}

}  // namespace

Result<> move_members(AccountEdit& edit, const Group& group, const std::vector<PeerId>& peers,
                      Move move) {
  if (peers.empty()) return {};
  NB_LET(const std::vector<PeerId> done, moved(edit, group, peers, move));
  if (done.empty()) return {};
  edit.changes().touched(group.id);
  NB_LET(const std::vector<Peer> views, edit.get_some<Peer>(done));
  NB_LET(const std::string domain, edit.dns_domain());
  for (const Peer& peer : views)
    edit.event(move == Move::kIn ? Activity::kGroupAddedToPeer : Activity::kGroupRemovedFromPeer,
               peer.id.value(), member_meta(group, peer, domain));
  return {};
}

Result<> reconcile_ipv6(AccountEdit& edit, const std::vector<PeerId>* peers) {
  NB_LET(const Account* account, edit.account());
  return reconcile_ipv6(edit, peers, account->network.net_v6,
                        account->settings.ipv6_enabled_groups);
}

Result<> reconcile_ipv6(AccountEdit& edit, const std::vector<PeerId>* peers, const Prefix& net,
                        const std::vector<GroupId>& enabled) {
  return reconcile_ipv6(edit.session(), edit.context(), peers, {net, enabled}, edit.changes());
}

Result<> members_changed(AccountEdit& edit, const std::vector<GroupId>& groups,
                         const std::vector<PeerId>& peers) {
  if (peers.empty()) return {};
  NB_LET(const Account* account, edit.account());
  const auto& enabled = account->settings.ipv6_enabled_groups;
  const bool concerned = std::any_of(groups.begin(), groups.end(),
                                     [&](const GroupId& id) { return contains(enabled, id); });
  if (!concerned) return {};
  return reconcile_ipv6(edit, &peers);
}

void resource_event(AccountEdit& edit, const Group& group, const NetworkResource& resource,
                    Move move) {
  edit.event(
      move == Move::kIn ? Activity::kResourceAddedToGroup : Activity::kResourceRemovedFromGroup,
      group.id.value(),
      {{"name", group.name},
       {"id", group.id.value()},
       {"resource_name", resource.name},
       {"resource_id", resource.id.value()},
       {"resource_type", resource.type}});
}

Result<> place_resource(AccountEdit& edit, const NetworkResource& resource,
                        const std::vector<GroupId>& groups) {
  NB_LET(std::vector<Group> all, edit.get_all<Group>());
  const Resource entry{resource.id.value(), resource.type};
  for (Group& group : all) {
    const auto it = std::find_if(group.resources.begin(), group.resources.end(),
                                 [&](const Resource& r) { return r.id == entry.id; });
    const bool present = it != group.resources.end();
    const bool wanted = contains(groups, group.id);
    if (present == wanted && (!present || *it == entry)) continue;
    if (present) group.resources.erase(it);
    if (wanted) group.resources.push_back(entry);
    NB_TRY(edit.put(group, false));
    if (present != wanted) resource_event(edit, group, resource, wanted ? Move::kIn : Move::kOut);
  }
  return {};
}

Result<> move_user_peers(AccountEdit& edit, const UserId& user,
                         const ListDifference<GroupId>& groups) {
  NB_LET(const sql::Rows rows,
         edit.session().query(
             "SELECT id FROM peers WHERE account_id = $1 AND user_id = $2 ORDER BY id",
             {edit.account_id().value(), user.value()}));
  std::vector<PeerId> peers;
  for (std::size_t i = 0; i < rows.size(); ++i) peers.emplace_back(rows[i].string(0));
  if (peers.empty()) return {};
  std::vector<GroupId> all = groups.added;
  all.insert(all.end(), groups.removed.begin(), groups.removed.end());
  NB_TRY(edit.hold_groups(all));
  NB_LET(peers, edit.hold_peers(peers));
  NB_LET(const std::vector<Group> found, edit.get_some<Group>(all));
  for (const Group& group : found)
    NB_TRY(move_members(edit, group, peers,
                        contains(groups.added, group.id) ? Move::kIn : Move::kOut));
  return members_changed(edit, all, peers);
}

}  // namespace nb::management::work
