#include "management/store/constraints.h"

#include "base/assert.h"
#include "management/store/repair_peers.h"
#include "management/store/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace nb::management::constraints {
namespace {

using sql::MigrationReport;
using sql::Session;

Result<std::set<std::string>> indexes(Session& session) {
  NB_LET(const sql::Rows rows,
         session.query(session.postgres()
                           ? "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
                           : "SELECT name FROM sqlite_master WHERE type = 'index'"));
  std::set<std::string> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.insert(rows[i].string(0));
  return out;
}

/// Between repair and index nobody may write what the repair did not see.
Result<> hold_writers(Session& session, std::string_view table) {
  if (!session.postgres()) return {};  // one writer
  return session.script(fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table));
}

Result<> repair(Session& session, const Unique& unique, MigrationReport& report) {
  std::int64_t count = 0;
  if (!unique.repair.empty()) {
    NB_LET(count, session.exec(unique.repair));
  } else if (unique.name == "idx_account_ip") {
    NB_LET(count, repair_addresses(session));
  } else if (unique.name == "idx_account_dnslabel") {
    NB_LET(count, repair_labels(session));
  }
  if (count > 0) report.push_back(fmt::format("{}: {}", unique.repaired, count));
  return {};
}

std::string where(const Unique& unique) {
  return unique.condition.empty() ? std::string{} : fmt::format(" WHERE {}", unique.condition);
}

}  // namespace

std::span<const Unique> all() {
  static constexpr Unique kAll[] = {
      // As upstream does at its start; the machine that was seen last is the one that lives.
      {"idx_peers_key_unique", "peers", "key", "", "one peer per key",
       "peers with the key of another one removed",
       "DELETE FROM peers WHERE EXISTS (SELECT 1 FROM peers other WHERE other.key = peers.key AND "
       "(COALESCE(other.peer_status_last_seen, other.created_at) > "
       "COALESCE(peers.peer_status_last_seen, peers.created_at) OR "
       "(COALESCE(other.peer_status_last_seen, other.created_at) IS NOT DISTINCT FROM "
       "COALESCE(peers.peer_status_last_seen, peers.created_at) AND other.id < peers.id)))"},
      {"idx_account_ip", "peers", "account_id, ip", "", "unique addresses",
       "peers with the address of another one moved to a free address", ""},
      {"idx_account_dnslabel", "peers", "account_id, dns_label", "", "unique names",
       "peers with the DNS label of another one renamed", ""},
      // Without an address the later one works over IPv4, and gets one when groups or settings
      // change.
      {"nb_peers_ipv6", "peers", "account_id, ipv6",
       "ipv6 IS NOT NULL AND ipv6 <> '' AND ipv6 <> '\"\"'", "unique IPv6 addresses",
       "duplicate IPv6 addresses taken from later peers",
       "UPDATE peers SET ipv6 = '\"\"' WHERE ipv6 IS NOT NULL AND ipv6 NOT IN ('', '\"\"') AND "
       "EXISTS (SELECT 1 FROM peers other WHERE other.account_id = peers.account_id AND "
       "other.ipv6 = peers.ipv6 AND other.id < peers.id)"},
      {"nb_groups_all", "groups", "account_id", "name = 'All'", "one group All",
       "second groups named All renamed",
       "UPDATE groups SET name = 'All (' || id || ')' WHERE name = 'All' AND EXISTS (SELECT 1 "
       "FROM groups other WHERE other.account_id = groups.account_id AND other.name = 'All' "
       "AND other.id < groups.id)"},
      // As written: tokens of one provider may hold "Dev" and "dev", which are two groups.
      {"nb_groups_jwt", "groups", "account_id, name", "issued = 'jwt'",
       "one group for one name in tokens",
       "second groups of one name in tokens turned into own ones",
       "UPDATE groups SET issued = 'api' WHERE issued = 'jwt' AND EXISTS (SELECT 1 FROM groups "
       "other WHERE other.account_id = groups.account_id AND other.issued = 'jwt' AND other.name = "
       "groups.name AND other.id < groups.id)"},
      {"nb_policies_default", "policies", "account_id", "nb_is_default", "one default policy",
       "later default policies made ordinary ones",
       "UPDATE policies SET nb_is_default = NULL WHERE nb_is_default AND EXISTS (SELECT 1 FROM "
       "policies other WHERE other.account_id = policies.account_id AND other.nb_is_default AND "
       "other.id < policies.id)"},
      {"nb_accounts_primary", "accounts", "lower(domain)",
       "is_domain_primary_account AND domain_category = 'private' AND domain <> ''",
       "one primary account per domain", "later accounts are no longer primary for their domain",
       "UPDATE accounts SET is_domain_primary_account = FALSE WHERE is_domain_primary_account AND "
       "domain_category = 'private' AND domain <> '' AND EXISTS (SELECT 1 FROM accounts other "
       "WHERE "
       "other.is_domain_primary_account AND other.domain_category = 'private' AND "
       "lower(other.domain) = lower(accounts.domain) AND other.id < accounts.id)"},
      {"nb_pat_hash", "personal_access_tokens", "hashed_token", "hashed_token <> ''",
       "one row per access token", "second rows of one personal access token removed",
       "DELETE FROM personal_access_tokens WHERE hashed_token <> '' AND EXISTS (SELECT 1 FROM "
       "personal_access_tokens other WHERE other.hashed_token = "
       "personal_access_tokens.hashed_token AND other.id < personal_access_tokens.id)"},
  };
  return kAll;
}

Result<> ensure(Session& session, std::string_view name, MigrationReport& report) {
  const auto list = all();
  const auto unique =
      std::find_if(list.begin(), list.end(), [&](const Unique& item) { return item.name == name; });
  NB_ASSERT(unique != list.end());
  NB_LET(const auto present, indexes(session));
  if (present.contains(std::string(name))) return {};
  NB_TRY(hold_writers(session, unique->table));
  NB_TRY(repair(session, *unique, report));
  std::string why;
  NB_LET(const bool made,
         schema::try_statement(session,
                               fmt::format("CREATE UNIQUE INDEX {} ON {} ({}){}", name,
                                           unique->table, unique->columns, where(*unique)),
                               why));
  if (!made)
    report.push_back(
        fmt::format("unique index {} not made: rows violate it ({}); netbird-mgmt "
                    "doctor lists them",
                    name, why));
  return {};
}

Result<std::vector<std::string>> missing(Session& session) {
  NB_LET(const auto present, indexes(session));
  std::vector<std::string> out;
  for (const Unique& unique : all())
    if (!present.contains(std::string(unique.name))) out.emplace_back(unique.name);
  return out;
}

Result<std::vector<Breach>> breaches(Session& session, const Unique& unique, std::size_t limit) {
  // The last column is the value; those before it are the account.
  const auto comma = unique.columns.rfind(", ");
  const std::string_view value =
      comma == unique.columns.npos ? unique.columns : unique.columns.substr(comma + 2);
  const std::string text = fmt::format(
      "SELECT d.id, d.value FROM (SELECT id, {} AS value, COUNT(*) OVER (PARTITION BY {}) AS n "
      "FROM "
      "{}{}) d WHERE d.n > 1 ORDER BY d.value, d.id LIMIT $1",
      value, unique.columns, unique.table, where(unique));
  NB_LET(const sql::Rows rows, session.query(text, {static_cast<std::int64_t>(limit)}));
  std::vector<Breach> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({rows[i].string(0), rows[i].string(1)});
  return out;
}

}  // namespace nb::management::constraints
