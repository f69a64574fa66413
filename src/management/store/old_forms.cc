#include "management/store/old_forms.h"

#include "crypto/setup_key.h"
#include "management/store/change_log.h"
#include "management/store/json_columns.h"
#include "management/store/schema.h"
#include "management/store/store_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace nb::management::old_forms {
namespace {

using sql::MigrationReport;
using sql::Session;

struct Place {
  std::string_view table;
  std::string_view column;
};
constexpr Place kOnceBinary[] = {{"accounts", "network_net"},
                                 {"peers", "ip"},
                                 {"peers", "location_connection_ip"},
                                 {"routes", "network"},
                                 {"routes", "peer_groups"}};

Result<bool> is_binary(Session& session, const Place& place) {
  NB_LET(const bool there, schema::has_column(session, place.table, place.column));
  if (!there) return false;
  if (session.postgres()) {
    NB_LET(const sql::Rows rows,
           session.query("SELECT 1 FROM information_schema.columns WHERE table_schema = "
                         "current_schema() AND table_name = $1 AND column_name = $2 AND data_type "
                         "= 'bytea'",
                         {place.table, place.column}));
    return !rows.empty();
  }
  // A blob of JSON text reads like text. Four bytes of an address may be a JSON number.
  NB_LET(const sql::Rows rows,
         session.query(fmt::format(
             "SELECT 1 FROM \"{0}\" WHERE typeof(\"{1}\") = 'blob' AND length(\"{1}\") > 0 AND NOT "
             "(json_valid(CAST(\"{1}\" AS TEXT)) AND substr(CAST(\"{1}\" AS TEXT), 1, 1) IN ('{{', "
             "'[', '\"', 'n')) LIMIT 1",
             place.table, place.column)));
  return !rows.empty();
}

/// Runs an UPDATE that returns the accounts of its rows; their number.
Result<std::int64_t> update_rows(Session& session, std::string_view statement,
                                 std::set<std::string>& accounts) {
  NB_LET(const sql::Rows rows, session.query(fmt::format("{} RETURNING account_id", statement)));
  for (std::size_t i = 0; i < rows.size(); ++i) accounts.insert(rows[i].string(0));
  return static_cast<std::int64_t>(rows.size());
}

/// Official servers made upper-case UUIDs; agents may have sent them in any case.
bool is_plain_setup_key(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

}  // namespace

Result<> refuse_binary(Session& session) {
  for (const Place& place : kOnceBinary) {
    NB_LET(const bool binary, is_binary(session, place));
    if (binary)
      return fail(Code::kFailedPrecondition,
                  "{}.{} is in the binary form of official servers of years ago; start a current "
                  "official server on this database once, which rewrites it, and then this one",
                  place.table, place.column);
  }
  return {};
}

Result<> move_group_members(Session& session, MigrationReport& report) {
  NB_LET(const bool old, schema::has_column(session, "groups", "peers"));
  if (!old) return {};
  // The column goes in the end: nobody may hold what that would wait for.
  if (session.postgres()) NB_TRY(session.script("LOCK TABLE groups IN ACCESS EXCLUSIVE MODE"));
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, account_id, peers FROM groups WHERE peers IS NOT NULL AND peers "
                       "<> ''"));
  const std::string insert = fmt::format(
      "INSERT INTO group_peers (account_id, group_id, peer_id) SELECT g.account_id, g.id, p.id "
      "FROM groups g JOIN peers p ON p.account_id = g.account_id WHERE g.id = $1 AND p.id IN {} ON "
      "CONFLICT DO NOTHING",
      work::json_list(session, 2));
  std::int64_t moved = 0;
  std::set<std::string> accounts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    columns::Damage damage;
    const auto peers = columns::read_strings(rows[i].text(2), damage);
    if (damage.fields > 0)
      report.push_back(
          fmt::format("groups.peers of group {} could not be read; those members are "
                      "lost",
                      rows[i].text(0)));
    if (peers.empty()) continue;
    NB_LET(const std::int64_t count,
           session.exec(insert, {rows[i].text(0), columns::strings(peers)}));
    if (count > 0) accounts.insert(rows[i].string(1));
    moved += count;
  }
  if (moved > 0)
    report.push_back(fmt::format("group memberships moved from groups.peers: {}", moved));
  NB_TRY(work::bump_undescribed(session, accounts));
  return session.script("ALTER TABLE groups DROP COLUMN peers");
}

Result<> switch_on(Session& session, MigrationReport& report) {
  std::set<std::string> accounts;
  for (const auto& [table, what] : {std::pair{"network_routers", "network routers"},
                                    std::pair{"network_resources", "network resources"}}) {
    NB_LET(const std::int64_t count,
           update_rows(session,
                       fmt::format("UPDATE {} SET enabled = TRUE WHERE enabled IS NULL", table),
                       accounts));
    if (count > 0) report.push_back(fmt::format("{} without a switch are on: {}", what, count));
  }
  return work::bump_undescribed(session, accounts);
}

Result<> hash_setup_keys(Session& session, MigrationReport& report) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, key FROM setup_keys WHERE length(key) = 36"));
  std::int64_t count = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string_view plain = rows[i].text(1);
    if (!is_plain_setup_key(plain)) continue;
    NB_TRY(session.exec(
        "UPDATE setup_keys SET key = $2, key_secret = $3 WHERE id = $1",
        {rows[i].text(0), crypto::hash_setup_key(plain), crypto::setup_key_hint(plain)}));
    ++count;
  }
  if (count > 0) report.push_back(fmt::format("plain setup keys replaced by hashes: {}", count));
  return {};
}

Result<std::int64_t> fill_public_ids(Session& session) {
  const std::string_view fresh = session.postgres()
                                     ? "substr(replace(gen_random_uuid()::text, '-', ''), 1, 20)"
                                     : "lower(hex(randomblob(10)))";
  std::set<std::string> accounts;
  std::int64_t filled = 0;
  for (const std::string_view table :
       {"groups", "policies", "routes", "name_server_groups", "posture_checks", "networks",
        "network_routers", "network_resources"}) {
    NB_LET(
        const std::int64_t count,
        update_rows(session,
                    fmt::format("UPDATE {} SET public_id = {} WHERE COALESCE(public_id, '') = ''",
                                table, fresh),
                    accounts));
    filled += count;
  }
  NB_TRY(work::bump_undescribed(session, accounts));
  return filled;
}

}  // namespace nb::management::old_forms
