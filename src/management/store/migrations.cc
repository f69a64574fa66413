#include "management/store/migrations.h"

#include "management/store/schema.h"

#include <fmt/format.h>

namespace nb::management {
namespace {

using sql::MigrationReport;
using sql::Session;

Result<> upstream_tables(Session& session, MigrationReport& report) {
  return schema::complete(session, schema::main_tables(), report);
}

// Ours. None has a foreign key to a table of upstream's except with cascade, so that upstream can
// delete what it likes when a database goes back to it.
Result<> own_tables(Session& session, MigrationReport& /*report*/) {
  NB_TRY(session.script(
      "CREATE TABLE nb_meta (name text NOT NULL PRIMARY KEY, value text NOT NULL);"
      "CREATE TABLE nb_server_keys (slot text NOT NULL PRIMARY KEY, public_key text NOT NULL,"
      " private_key text NOT NULL, created_at text NOT NULL);"
      "CREATE TABLE nb_instances (id text NOT NULL PRIMARY KEY, incarnation bigint NOT NULL,"
      " lease_until bigint NOT NULL);"
      "CREATE TABLE nb_peer_sessions (peer_id text NOT NULL PRIMARY KEY, account_id text NOT NULL,"
      " instance_id text NOT NULL, incarnation bigint NOT NULL, epoch bigint NOT NULL,"
      " FOREIGN KEY (peer_id) REFERENCES peers (id) ON DELETE CASCADE);"
      "CREATE INDEX nb_peer_sessions_instance ON nb_peer_sessions (instance_id, incarnation)"));
  return session.script(
      session.postgres()
          ? "CREATE TABLE nb_event_outbox (id bigserial PRIMARY KEY, key text NOT NULL UNIQUE,"
            " event text NOT NULL)"
          : "CREATE TABLE nb_event_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " key text NOT NULL UNIQUE, event text NOT NULL)");
}

Result<> repaired(Session& session, MigrationReport& report, std::string_view what,
                  std::string_view statement) {
  NB_LET(const std::int64_t count, session.exec(statement));
  if (count > 0) report.push_back(fmt::format("{}: {}", what, count));
  return {};
}

Result<> index_or_report(Session& session, MigrationReport& report, std::string_view name,
                         std::string_view rest) {
  std::string why;
  NB_LET(const bool made,
         schema::try_statement(session, fmt::format("CREATE UNIQUE INDEX {} {}", name, rest), why));
  if (!made)
    report.push_back(fmt::format("unique index {} not made: rows violate it ({})", name, why));
  return {};
}

Result<> membership(Session& session, MigrationReport& report) {
  NB_TRY(repaired(
      session, report, "group memberships of unknown peers or groups removed",
      "DELETE FROM group_peers WHERE peer_id NOT IN (SELECT id FROM peers) OR group_id NOT "
      "IN (SELECT id FROM groups)"));
  NB_TRY(session.script("CREATE INDEX IF NOT EXISTS nb_group_peers_peer ON group_peers (peer_id)"));
  // SQLite can not add a constraint to a table; there the store's statements keep the rule, and it
  // has one writer only.
  if (!session.postgres()) return {};
  return session.script(
      "ALTER TABLE group_peers ADD CONSTRAINT nb_group_peers_peer_fk FOREIGN KEY (peer_id) "
      "REFERENCES peers (id) ON DELETE CASCADE");
}

Result<> peer_uniqueness(Session& session, MigrationReport& report) {
  // The later one of two peers with one IPv6 address gets a new one at its next registration of
  // addresses; without any it works over IPv4.
  NB_TRY(repaired(
      session, report, "duplicate IPv6 addresses taken from later peers",
      "UPDATE peers SET ipv6 = '\"\"' WHERE ipv6 IS NOT NULL AND ipv6 NOT IN ('', '\"\"') AND "
      "EXISTS (SELECT 1 FROM peers other WHERE other.account_id = peers.account_id AND "
      "other.ipv6 = peers.ipv6 AND other.id < peers.id)"));
  return index_or_report(
      session, report, "nb_peers_ipv6",
      "ON peers (account_id, ipv6) WHERE ipv6 IS NOT NULL AND ipv6 <> '' AND ipv6 <> "
      "'\"\"'");
}

Result<> one_all_group(Session& session, MigrationReport& report) {
  NB_TRY(repaired(
      session, report, "second groups named All renamed",
      "UPDATE groups SET name = 'All (' || id || ')' WHERE name = 'All' AND EXISTS (SELECT 1 "
      "FROM groups other WHERE other.account_id = groups.account_id AND other.name = 'All' "
      "AND other.id < groups.id)"));
  return index_or_report(session, report, "nb_groups_all",
                         "ON groups (account_id) WHERE name = 'All'");
}

Result<> one_default_policy(Session& session, MigrationReport& report) {
  NB_TRY(schema::add_column(session, "policies", "nb_is_default", "bool"));
  NB_TRY(
      session.exec("UPDATE policies SET nb_is_default = TRUE WHERE id IN (SELECT MIN(id) FROM "
                   "policies WHERE name = "
                   "'Default' GROUP BY account_id)"));
  return index_or_report(session, report, "nb_policies_default",
                         "ON policies (account_id) WHERE nb_is_default");
}

Result<> one_primary_account(Session& session, MigrationReport& report) {
  NB_TRY(
      repaired(session, report, "later accounts are no longer primary for their domain",
               "UPDATE accounts SET is_domain_primary_account = FALSE WHERE "
               "is_domain_primary_account AND domain_category = 'private' AND domain <> '' AND "
               "EXISTS (SELECT 1 FROM accounts other WHERE other.is_domain_primary_account AND "
               "other.domain_category = 'private' AND lower(other.domain) = lower(accounts.domain) "
               "AND other.id < accounts.id)"));
  return index_or_report(session, report, "nb_accounts_primary",
                         "ON accounts (lower(domain)) WHERE is_domain_primary_account AND "
                         "domain_category = 'private' AND domain <> ''");
}

Result<> secret_hashes(Session& session, MigrationReport& report) {
  NB_TRY(session.script("CREATE INDEX IF NOT EXISTS nb_setup_keys_key ON setup_keys (key)"));
  NB_TRY(repaired(
      session, report, "second rows of one personal access token removed",
      "DELETE FROM personal_access_tokens WHERE hashed_token <> '' AND EXISTS (SELECT 1 FROM "
      "personal_access_tokens other WHERE other.hashed_token = "
      "personal_access_tokens.hashed_token AND other.id < personal_access_tokens.id)"));
  return index_or_report(session, report, "nb_pat_hash",
                         "ON personal_access_tokens (hashed_token) WHERE hashed_token <> ''");
}

/// Order of policies, rules and routers is the order of their rows (network-map.md §1.8, §2.1).
/// SQLite has it as rowid; PostgreSQL has nothing that survives an UPDATE.
Result<> row_order(Session& session, MigrationReport& /*report*/) {
  if (!session.postgres()) return {};
  return session.script(
      "ALTER TABLE policies ADD COLUMN nb_order bigint GENERATED BY DEFAULT AS IDENTITY;"
      "ALTER TABLE policy_rules ADD COLUMN nb_order bigint GENERATED BY DEFAULT AS IDENTITY;"
      "ALTER TABLE network_routers ADD COLUMN nb_order bigint GENERATED BY DEFAULT AS IDENTITY");
}

Result<> change_log(Session& session, MigrationReport& /*report*/) {
  return session.script(
      "CREATE TABLE nb_changes (account_id text NOT NULL, serial bigint NOT NULL, kind integer NOT "
      "NULL, object_id text NOT NULL, at bigint NOT NULL, PRIMARY KEY (account_id, serial, kind, "
      "object_id), FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE);"
      "CREATE INDEX nb_changes_at ON nb_changes (at)");
}

Result<> event_tables(Session& session, MigrationReport& report) {
  NB_TRY(schema::complete(session, schema::event_tables(), report));
  // An event that is moved twice after a crash is stored once.
  NB_TRY(schema::add_column(session, "events", "nb_key", "text"));
  return session.script("CREATE UNIQUE INDEX IF NOT EXISTS nb_events_key ON events (nb_key)");
}

}  // namespace

const sql::MigrationSet& main_migrations() {
  static const sql::MigrationSet kSet{"main",
                                      {{1, "upstream tables", upstream_tables},
                                       {2, "own tables", own_tables},
                                       {3, "group membership", membership},
                                       {4, "peer addresses", peer_uniqueness},
                                       {5, "one group All", one_all_group},
                                       {6, "one default policy", one_default_policy},
                                       {7, "one primary account", one_primary_account},
                                       {8, "secret hashes", secret_hashes},
                                       {9, "row order", row_order},
                                       {10, "change log", change_log}}};
  return kSet;
}

const sql::MigrationSet& event_migrations() {
  static const sql::MigrationSet kSet{"events", {{1, "event tables", event_tables}}};
  return kSet;
}

}  // namespace nb::management
