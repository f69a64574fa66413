#include "management/store/edits/membership.h"

#include <algorithm>
#include <map>

namespace nb::management::work {
namespace {

constexpr int kRandomTries = 20;

/// Addresses of an IPv6 net that nobody has.
class Ipv6Pool {
 public:
  Ipv6Pool(const Prefix& net, RandomFn random) : net_(net), random_(std::move(random)) {}

  Result<> load(AccountEdit& edit) {
    NB_LET(const sql::Rows rows,
           edit.session().query("SELECT ipv6 FROM peers WHERE account_id = $1 AND ipv6 IS NOT NULL",
                                {edit.account_id().value()}));
    columns::Damage damage;
    for (std::size_t i = 0; i < rows.size(); ++i)
      used_.insert(columns::read_address(rows[i].text(0), damage));
    return {};
  }

  /// Unset when chance finds none and the net is used up.
  IpAddress take() {
    for (int attempt = 0; attempt < kRandomTries; ++attempt)
      if (const IpAddress ip = random_address_v6(net_, random_); used_.insert(ip).second) return ip;
    // Only in small nets chance fails for long: the last 16 bits are all of their hosts.
    const auto base = net_.masked().address.bytes();
    const int host_bits = std::min(128 - net_.length, 16);
    for (std::uint32_t host = 1; host < (1U << host_bits) - 1; ++host) {
      auto bytes = base;
      bytes[14] = static_cast<std::uint8_t>(bytes[14] | (host >> 8));
      bytes[15] = static_cast<std::uint8_t>(host);
      const IpAddress ip = IpAddress::v6(bytes);
      if (net_.contains(ip) && used_.insert(ip).second) return ip;
    }
    return {};
  }

 private:
  const Prefix net_;
  const RandomFn random_;
  std::set<IpAddress> used_;
};

struct Ipv6State {
  PeerId id;
  IpAddress current;
  bool wanted = false;
};

Result<std::vector<Ipv6State>> ipv6_states(AccountEdit& edit, const std::vector<PeerId>* peers,
                                           const std::vector<GroupId>& enabled) {
  Session& session = edit.session();
  // Embedded peers of a reverse proxy are in no group and have an address whenever there is any.
  const std::string text = fmt::format(
      "SELECT p.id, p.ipv6, CASE WHEN p.proxy_meta_embedded OR EXISTS (SELECT 1 FROM group_peers m "
      "WHERE m.peer_id = p.id AND m.group_id IN {}) THEN 1 ELSE 0 END FROM peers p WHERE "
      "p.account_id = $1{} ORDER BY p.id{}",
      json_list(session, 2),
      peers != nullptr ? fmt::format(" AND p.id IN {}", json_list(session, 3)) : std::string{},
      locking(session, "FOR NO KEY UPDATE OF p"));
  std::vector<sql::Param> params = {edit.account_id().value(), columns::ids(enabled)};
  if (peers != nullptr) params.emplace_back(columns::ids(*peers));
  NB_LET(const sql::Rows rows, session.query(text, params));
  columns::Damage damage;
  std::vector<Ipv6State> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({PeerId(rows[i].string(0)), columns::read_address(rows[i].text(1), damage),
                   !enabled.empty() && rows[i].integer(2) != 0});
  return out;
}

Result<> set_ipv6(AccountEdit& edit, const PeerId& peer, const IpAddress& ip) {
  edit.changes().touched(peer);
  NB_TRY(edit.session().exec("UPDATE peers SET ipv6 = $2 WHERE id = $1",
                             {peer.value(), columns::address(ip)}));
  return {};
}

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
  NB_LET(const std::vector<Ipv6State> states, ipv6_states(edit, peers, enabled));
  Ipv6Pool pool(net, edit.context().random_fn());
  bool loaded = false;
  for (const Ipv6State& state : states) {
    const bool wanted = state.wanted && net.is_set();
    if (!wanted && state.current.is_set()) NB_TRY(set_ipv6(edit, state.id, {}));
    if (!wanted || (state.current.is_set() && net.contains(state.current))) continue;
    if (!std::exchange(loaded, true)) NB_TRY(pool.load(edit));
    NB_TRY(set_ipv6(edit, state.id, pool.take()));
  }
  return {};
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
