#include "management/store/row_stamp.h"

#include <fmt/format.h>

namespace nb::management {
namespace {

/// hashint8 and hashtext are what PostgreSQL's own hash indexes and joins use.
std::string of_rows(std::string_view hash, std::string_view from, std::string_view account) {
  return fmt::format("(SELECT concat(count(*), '.', sum({})) FROM {} WHERE {} = $1)", hash, from,
                     account);
}

/// Of the versions of the rows called `alias`.
std::string versions(std::string_view alias, std::string_view from, std::string_view account) {
  return of_rows(fmt::format("hashint8({}.xmin::text::bigint)", alias), from, account);
}

/// The table whose rows are called `alias` and name their account themselves.
std::string table(std::string_view alias, std::string_view name) {
  return versions(alias, fmt::format("{} {}", name, alias), fmt::format("{}.account_id", alias));
}

std::vector<std::string> stamps(Part part) {
  switch (part) {
    case Part::kUsers:
      return {table("u", "users")};
    case Part::kPeers:
      return {table("p", "peers")};
    case Part::kPeerNames:
      // By content: rows of peers change with each connection, names hardly ever.
      return {of_rows("hashtext(concat_ws(E'\\n', p.id, p.name, p.proxy_meta_embedded))", "peers p",
                      "p.account_id")};
    case Part::kGroups:
      return {table("g", "groups"),
              versions("m", "group_peers m JOIN groups g ON g.id = m.group_id", "g.account_id"),
              of_rows("hashtext(p.id)", "peers p", "p.account_id")};  // others are not counted
    case Part::kPolicies:
      return {
          table("o", "policies"),
          versions("r", "policy_rules r JOIN policies o ON o.id = r.policy_id", "o.account_id")};
    case Part::kPostureChecks:
      return {table("c", "posture_checks")};
    case Part::kRoutes:
      return {table("t", "routes")};
    case Part::kNetworks:
      return {table("n", "networks")};
    case Part::kRouters:
      return {table("w", "network_routers")};
    case Part::kResources:
      return {table("e", "network_resources")};
    case Part::kNameServerGroups:
      return {table("s", "name_server_groups")};
    case Part::kZones:
      return {table("z", "zones"),
              versions("d", "records d JOIN zones z ON z.id = d.zone_id", "z.account_id")};
  }
  return {};
}

}  // namespace

Result<std::string> row_stamp(sql::Session& session, const AccountId& account,
                              const std::vector<Wanted>& wanted) {
  std::string text = "SELECT " + versions("a", "accounts a", "a.id");
  for (const Wanted& one : wanted)
    for (const std::string& part : stamps(one.part)) text += ", " + part;
  NB_LET(const sql::Rows rows, session.query(text, {account.value()}));
  std::string out;
  for (std::size_t i = 0; i < rows.columns(); ++i) {
    out += rows[0].text(i);
    out += ' ';
  }
  return out;
}

}  // namespace nb::management
