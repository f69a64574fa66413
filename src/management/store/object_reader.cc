#include "management/store/object_reader.h"

#include "management/store/rows_shown.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

namespace nb::management::work {
namespace {

template <class T>
void sort_by_id(std::vector<T>& items) {
  // Here and not in SQL: the database may sort text by the rules of a language.
  std::sort(items.begin(), items.end(), [](const T& a, const T& b) { return a.id < b.id; });
}

/// In a list sorted by id; null: none.
template <class T, class Id>
T* find(std::vector<T>& sorted, const Id& id) {
  const auto it =
      std::lower_bound(sorted.begin(), sorted.end(), id,
                       [](const T& item, const Id& wanted) { return item.id < wanted; });
  return it != sorted.end() && it->id == id ? &*it : nullptr;
}

/// Calls `add(group, peer's id)` for rows of group and peer; `groups` sorted by id.
template <class Add>
void each_member(std::vector<Group>& groups, const sql::Rows& members, Add add) {
  Group* group = nullptr;  // rows of one group mostly come together
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::string_view id = members[i].text(0);
    if (group == nullptr || group->id.value() != id) group = find(groups, GroupId(std::string(id)));
    if (group != nullptr) add(*group, members[i].text(1));
  }
}

/// Those of `peers` (rows of ids) whose membership is among `members`, sorted, for each group.
/// Places in the order of ids are sorted instead of the ids themselves, several of which each peer
/// would have.
void add_known_members(std::vector<Group>& groups, const sql::Rows& peers,
                       const sql::Rows& members) {
  std::vector<std::string_view> order(peers.size());
  for (std::size_t i = 0; i < peers.size(); ++i) order[i] = peers[i].text(0);
  std::sort(order.begin(), order.end());
  std::unordered_map<std::string_view, std::size_t> places;
  places.reserve(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) places.emplace(order[i], i);
  std::vector<std::vector<std::size_t>> found(groups.size());
  each_member(groups, members, [&](Group& group, std::string_view peer) {
    if (const auto it = places.find(peer); it != places.end())
      found[static_cast<std::size_t>(&group - groups.data())].push_back(it->second);
  });
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::sort(found[i].begin(), found[i].end());
    groups[i].peers.reserve(found[i].size());
    for (const std::size_t place : found[i])
      groups[i].peers.emplace_back(std::string(order[place]));
  }
}

}  // namespace

std::string row_order(const Session& session, std::string_view alias) {
  return fmt::format("{}.{}", alias, session.postgres() ? "nb_order" : "rowid");
}

Result<sql::Rows> ObjectReader::query(const Source& source, Ids ids) {
  std::string text =
      fmt::format("SELECT {} FROM {} WHERE {} = $1", source.columns, source.from, source.account);
  // As an array, whose size PostgreSQL takes for small: it then looks the ids up in an index
  // instead of reading all of the account.
  if (ids != nullptr)
    text += session_.postgres()
                ? fmt::format(" AND {} = ANY(ARRAY{})", source.id, json_list(session_, 2))
                : fmt::format(" AND {} IN {}", source.id, json_list(session_, 2));
  if (!source.order.empty()) text += fmt::format(" ORDER BY {}", source.order);
  if (ids == nullptr) return session_.query(text, {account_.value()});
  return session_.query(text, {account_.value(), columns::strings(*ids)});
}

template <class T, class Read>
Result<std::vector<T>> ObjectReader::read(const Source& source, Ids ids, Read read_row) {
  NB_LET(const sql::Rows rows, query(source, ids));
  columns::Damage damage;
  std::vector<T> out;
  out.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sql::RowReader row(rows[i]);
    const columns::DamageSince unreadable(damage);
    out.push_back(read_row(row, damage));
    if constexpr (requires { out.back().id.value(); })
      if (unreadable.any()) damaged_.insert(out.back().id.value());
  }
  context_.report(damage, source.what, account_.value());
  return out;
}

template <class T, class Keep>
void ObjectReader::keep(std::string_view what, std::vector<T>& items, Keep wanted) {
  const std::size_t count = std::erase_if(items, [&](const T& item) { return !wanted(item); });
  skipped_ += count;
  context_.report_skipped(count, what, account_.value());
}

Result<std::vector<User>> ObjectReader::users(Ids ids) {
  return read<User>({"users", rows::user_columns(), "users u", "u.account_id", "u.id"}, ids,
                    [this](sql::RowReader& row, columns::Damage& damage) {
                      return rows::read_user(row, context_.codec, damage);
                    });
}

Result<std::vector<Peer>> ObjectReader::peers(Ids ids) {
  NB_LET(auto out, read<Peer>({"peers", rows::peer_columns(), "peers p", "p.account_id", "p.id"},
                              ids, rows::read_peer));
  // A peer without key or address can be nobody's neighbour.
  keep("peers", out, [](const Peer& peer) { return !peer.key.empty() && peer.ip.is_v4(); });
  return out;
}

Result<std::vector<Peer>> ObjectReader::shown_peers(Ids ids) {
  NB_LET(auto out,
         read<Peer>({"peers", rows::shown_peer_columns(), "peers p", "p.account_id", "p.id"}, ids,
                    rows::read_shown_peer));
  keep("peers", out, [](const Peer& peer) { return !peer.key.empty() && peer.ip.is_v4(); });
  return out;
}

Result<std::vector<Group>> ObjectReader::groups(Ids ids) {
  NB_LET(auto out,
         read<Group>({"groups", rows::group_columns(), "groups g", "g.account_id", "g.id"}, ids,
                     rows::read_group));
  sort_by_id(out);
  if (ids != nullptr) {
    // The join leaves out memberships of groups and peers that are not there (any more).
    NB_LET(const sql::Rows members,
           query({"group members", "m.group_id, m.peer_id",
                  "group_peers m JOIN groups g ON g.id = m.group_id JOIN peers p ON p.id = "
                  "m.peer_id AND p.account_id = g.account_id",
                  "g.account_id", "m.group_id"},
                 ids));
    each_member(out, members, [](Group& group, std::string_view peer) {
      group.peers.emplace_back(std::string(peer));
    });
    for (Group& one : out) std::sort(one.peers.begin(), one.peers.end());
    return out;
  }
  // Two queries instead of a join with peers: PostgreSQL without statistics (a database that was
  // just restored or filled) takes both tables for single rows and tries each peer with each
  // group, which took more than 20 s for 5,000 peers and 500 groups.
  NB_LET(const sql::Rows peers,
         session_.query("SELECT id FROM peers WHERE account_id = $1", {account_.value()}));
  NB_LET(const sql::Rows members,
         query({"group members", "m.group_id, m.peer_id",
                "group_peers m JOIN groups g ON g.id = m.group_id", "g.account_id", "m.group_id"},
               nullptr));
  add_known_members(out, peers, members);
  return out;
}

Result<std::vector<Policy>> ObjectReader::policies(Ids ids) {
  const std::string policy_columns = rows::policy_columns() + ", " + row_order(session_, "o");
  std::set<PolicyId> damaged;
  NB_LET(auto out, read<Policy>({"policies", policy_columns, "policies o", "o.account_id", "o.id"},
                                ids, [&](sql::RowReader& row, columns::Damage& damage) {
                                  const columns::DamageSince unreadable(damage);
                                  Policy policy = rows::read_policy(row, damage);
                                  policy.order = row.integer();
                                  if (unreadable.any()) damaged.insert(policy.id);
                                  return policy;
                                }));
  sort_by_id(out);
  const std::string order = row_order(session_, "r");
  NB_LET(auto rules, read<PolicyRule>({"policy rules", rows::rule_columns(),
                                       "policy_rules r JOIN policies o ON o.id = r.policy_id",
                                       "o.account_id", "r.policy_id", order},
                                      ids, rows::read_rule));
  for (PolicyRule& rule : rules) {
    Policy* const policy = find(out, rule.policy_id);
    if (policy == nullptr) continue;
    if (damaged_.contains(rule.id.value())) damaged_.insert(policy->id.value());
    // Its posture checks are not known: what it lets in is off, what it drops is dropped for all.
    if (rule.action != kActionDrop && damaged.contains(policy->id)) rule.enabled = false;
    policy->rules.push_back(std::move(rule));
  }
  return out;
}

Result<std::vector<PostureCheck>> ObjectReader::posture_checks(Ids ids) {
  return read<PostureCheck>(
      {"posture checks", rows::posture_check_columns(), "posture_checks c", "c.account_id", "c.id"},
      ids, rows::read_posture_check);
}

Result<std::vector<Route>> ObjectReader::routes(Ids ids) {
  return read<Route>({"routes", rows::route_columns(), "routes t", "t.account_id", "t.id"}, ids,
                     rows::read_route);
}

Result<std::vector<Network>> ObjectReader::networks(Ids ids) {
  return read<Network>({"networks", rows::network_columns(), "networks n", "n.account_id", "n.id"},
                       ids, rows::read_network);
}

Result<std::vector<NetworkRouter>> ObjectReader::routers(Ids ids) {
  const std::string router_columns = rows::router_columns() + ", " + row_order(session_, "w");
  return read<NetworkRouter>(
      {"network routers", router_columns, "network_routers w", "w.account_id", "w.id"}, ids,
      [](sql::RowReader& row, columns::Damage& damage) {
        NetworkRouter router = rows::read_router(row, damage);
        router.order = row.integer();
        return router;
      });
}

Result<std::vector<NetworkResource>> ObjectReader::resources(Ids ids) {
  return read<NetworkResource>({"network resources", rows::resource_columns(),
                                "network_resources e", "e.account_id", "e.id"},
                               ids, rows::read_resource);
}

Result<std::vector<NameServerGroup>> ObjectReader::name_server_groups(Ids ids) {
  return read<NameServerGroup>({"nameserver groups", rows::name_server_group_columns(),
                                "name_server_groups s", "s.account_id", "s.id"},
                               ids, rows::read_name_server_group);
}

Result<std::vector<DnsZone>> ObjectReader::zones(Ids ids) {
  NB_LET(auto out, read<DnsZone>({"zones", rows::zone_columns(), "zones z", "z.account_id", "z.id"},
                                 ids, rows::read_zone));
  sort_by_id(out);
  NB_LET(auto records, read<DnsZoneRecord>({"zone records", rows::record_columns(),
                                            "records d JOIN zones z ON z.id = d.zone_id",
                                            "z.account_id", "d.zone_id"},
                                           ids, rows::read_record));
  sort_by_id(records);
  for (DnsZoneRecord& record : records)
    if (DnsZone* const zone = find(out, record.zone_id)) zone->records.push_back(std::move(record));
  return out;
}

Result<std::vector<ProxyService>> ObjectReader::services(Ids ids) {
  NB_LET(auto out, read<ProxyService>(
                       {"services", rows::service_columns(), "services v", "v.account_id", "v.id"},
                       ids, rows::read_service));
  sort_by_id(out);
  using Target = std::pair<ServiceId, ServiceTarget>;
  NB_LET(auto targets, read<Target>({"service targets", rows::target_columns(),
                                     "targets x JOIN services v ON v.id = x.service_id",
                                     "v.account_id", "x.service_id", "x.id"},
                                    ids, rows::read_target));
  for (auto& [service_id, target] : targets)
    if (ProxyService* const service = find(out, service_id))
      service->targets.push_back(std::move(target));
  return out;
}

Result<std::vector<ProxyDomain>> ObjectReader::proxy_domains(Ids ids) {
  return read<ProxyDomain>(
      {"proxy domains", rows::proxy_domain_columns(), "domains y", "y.account_id", "y.id"}, ids,
      rows::read_proxy_domain);
}

}  // namespace nb::management::work
