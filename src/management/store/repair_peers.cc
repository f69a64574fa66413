#include "management/store/repair_peers.h"

#include "management/domain/allocation.h"
#include "management/store/change_log.h"
#include "management/store/json_columns.h"

#include <fmt/format.h>

#include <set>

namespace nb::management {
namespace {

using sql::Session;

/// Peers of which an earlier one in the account has the same `column`: id, account, value, address.
Result<sql::Rows> later_peers(Session& session, std::string_view column) {
  return session.query(
      fmt::format("SELECT p.id, p.account_id, p.{0}, p.ip FROM peers p WHERE EXISTS (SELECT 1 FROM "
                  "peers o WHERE o.account_id = p.account_id AND o.{0} = p.{0} AND o.id < p.id) "
                  "ORDER BY p.id",
                  column));
}

Result<std::vector<IpAddress>> used_addresses(Session& session, std::string_view account) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT ip FROM peers WHERE account_id = $1", {account}));
  columns::Damage damage;
  std::vector<IpAddress> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back(columns::read_address(rows[i].text(0), damage));
  return out;
}

Result<Prefix> network_of(Session& session, std::string_view account) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT network_net FROM accounts WHERE id = $1", {account}));
  columns::Damage damage;
  return rows.empty() ? Prefix{} : columns::read_network_v4(rows[0].text(0), damage);
}

}  // namespace

Result<std::int64_t> repair_addresses(Session& session) {
  NB_LET(const sql::Rows rows, later_peers(session, "ip"));
  std::int64_t count = 0;
  std::set<std::string> accounts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string_view account = rows[i].text(1);
    NB_LET(const Prefix net, network_of(session, account));
    NB_LET(auto used, used_addresses(session, account));
    const auto free = net.is_set() ? lowest_free_address(net, std::move(used)) : std::nullopt;
    if (!free) continue;
    NB_TRY(session.exec("UPDATE peers SET ip = $2 WHERE id = $1",
                        {rows[i].text(0), columns::address(*free)}));
    accounts.emplace(account);
    ++count;
  }
  NB_TRY(work::bump_undescribed(session, accounts));
  return count;
}

Result<std::int64_t> repair_labels(Session& session) {
  NB_LET(const sql::Rows rows, later_peers(session, "dns_label"));
  std::set<std::string> accounts;
  columns::Damage damage;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string_view account = rows[i].text(1);
    const IpAddress ip = columns::read_address(rows[i].text(3), damage);
    std::string label =
        ip.is_v4() ? suffixed_label(rows[i].text(2), ip) : fmt::format("peer-{}", rows[i].text(0));
    NB_LET(const sql::Rows taken,
           session.query("SELECT 1 FROM peers WHERE account_id = $1 AND dns_label = $2",
                         {account, label}));
    if (!taken.empty()) label = fmt::format("peer-{}", rows[i].text(0));
    NB_TRY(session.exec("UPDATE peers SET dns_label = $2 WHERE id = $1", {rows[i].text(0), label}));
    accounts.emplace(account);
  }
  NB_TRY(work::bump_undescribed(session, accounts));
  return static_cast<std::int64_t>(rows.size());
}

}  // namespace nb::management
