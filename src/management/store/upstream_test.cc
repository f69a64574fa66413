// Databases that the official server wrote (tests/data/upstream), and damaged ones.
#include "management/store/migrations.h"
#include "management/store/test_example.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace nb::management {
namespace {

using namespace test;

class UpstreamTest : public testing::TestWithParam<sql::Engine> {
 protected:
  [[nodiscard]] bool postgres() const { return GetParam() == sql::Engine::kPostgres; }

  /// "table.column type nullable default" of every table both know.
  std::map<std::string, std::set<std::string>> columns(const Instance& instance) const {
    const auto rows = instance.database->run_blocking<sql::Rows>(
        soon(), {.read_only = true}, [&](sql::Session& session) {
          return session.query(postgres()
                                   ? "SELECT table_name, column_name || ' ' || data_type || ' ' || "
                                     "is_nullable || ' ' || "
                                     "COALESCE(character_maximum_length::text, '') || ' ' || "
                                     "COALESCE(column_default, '') "
                                     "FROM information_schema.columns WHERE table_schema = 'public'"
                                   : "SELECT m.name, c.name || ' ' || c.type || ' ' || "
                                     "c.\"notnull\" || ' ' || c.pk || ' ' || "
                                     "COALESCE(c.dflt_value, '') FROM sqlite_master m JOIN "
                                     "pragma_table_info(m.name) c WHERE "
                                     "m.type = 'table'");
        });
    NB_ASSERT(rows.has_value());
    std::map<std::string, std::set<std::string>> out;
    for (std::size_t i = 0; i < rows->size(); ++i)
      if (!(*rows)[i].text(1).starts_with("nb_"))
        out[(*rows)[i].string(0)].insert((*rows)[i].string(1));
    return out;
  }
  std::set<std::string> indexes(const Instance& instance) const {
    const auto rows = instance.database->run_blocking<sql::Rows>(
        soon(), {.read_only = true}, [&](sql::Session& session) {
          return session.query(
              postgres()
                  ? "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL SELECT "
                    "conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM "
                    "pg_constraint WHERE connamespace = 'public'::regnamespace"
                  : "SELECT m.name || ' ' || m.tbl_name || ' ' || l.\"unique\" || ' ' || (SELECT "
                    "group_concat(name) FROM pragma_index_info(m.name)) FROM sqlite_master m JOIN "
                    "pragma_index_list(m.tbl_name) l ON l.name = m.name WHERE m.type = 'index' AND "
                    "m.sql IS NOT NULL UNION ALL SELECT m.name || ' ' || f.\"from\" || ' ' || "
                    "f.\"table\" || ' ' || f.on_delete FROM sqlite_master m JOIN "
                    "pragma_foreign_key_list(m.name) f WHERE m.type = 'table'");
        });
    NB_ASSERT(rows.has_value());
    std::set<std::string> out;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      const std::string_view text = (*rows)[i].text(0);
      if (!text.empty() && text.find("nb_") == text.npos &&
          text.find("agent_network") == text.npos && text.find("_anal_") == text.npos)
        out.emplace(text);
    }
    return out;
  }
};

TEST_P(UpstreamTest, OurTablesAreThoseOfUpstream) {
  const sql::test::TestDatabase theirs_fixture(GetParam());
  load_example(theirs_fixture);
  const sql::test::TestDatabase ours_fixture(GetParam());
  const Instance theirs(theirs_fixture);
  const Instance ours(ours_fixture);
  ASSERT_TRUE(ours.prepare());
  const auto wanted = columns(theirs);
  auto made = columns(ours);
  EXPECT_GT(wanted.size(), 25U);
  for (const auto& [table, names] : wanted) {
    if (table.starts_with("agent_network") || table.starts_with("sqlite_")) continue;
    EXPECT_EQ(made[table], names) << table;
  }
  EXPECT_EQ(indexes(ours), indexes(theirs));
}

TEST_P(UpstreamTest, TheForksTestsMayWriteInTheirWords) {  // contract/network-map.md §1.2
  if (!postgres()) GTEST_SKIP() << "they speak to PostgreSQL only";
  const sql::test::TestDatabase fixture(GetParam());
  const Instance instance(fixture);
  ASSERT_TRUE(instance.prepare());
  const auto made = get(instance.store->ensure_account(soon(), fresh_account()));
  ASSERT_TRUE(made);
  const std::string owner = instance.value("SELECT id FROM users WHERE role='owner' LIMIT 1");
  const std::string account = instance.value("SELECT id FROM accounts LIMIT 1");
  EXPECT_EQ(owner, made->first.created_by.value());
  for (const char* const hash : {"old", "new"})
    instance.sql(
        "INSERT INTO personal_access_tokens (id, user_id, name, hashed_token, expiration_date, "
        "created_by, created_at, last_used) VALUES ('ha-test-pat', '" +
        owner + "', 'ha', '" + hash + "', NOW() + INTERVAL '1 year', '" + owner +
        "', NOW(), NOW()) ON CONFLICT (id) DO UPDATE SET hashed_token = EXCLUDED.hashed_token");
  EXPECT_EQ(instance.value("SELECT hashed_token FROM personal_access_tokens"), "new");
  const std::string plain = "E2808C99-E7FA-4841-845E-07CE633E50A1";
  const std::string key = crypto::hash_setup_key(plain);
  for (int i = 0; i < 2; ++i)
    instance.sql(
        "INSERT INTO setup_keys (id, account_id, key, key_secret, name, type, created_at, "
        "updated_at, revoked, used_times, auto_groups, usage_limit, ephemeral, "
        "allow_extra_dns_labels) VALUES ('ha-test-key', '" +
        account + "', '" + key +
        "', 'E2808****', 'ha-test', 'reusable', NOW(), NOW(), false, 0, '[]'::jsonb, 0, false, "
        "false) ON CONFLICT (id) DO UPDATE SET key = EXCLUDED.key");
  EXPECT_EQ(instance.value("SELECT key FROM setup_keys WHERE name='ha-test'"), key);
  const auto stored = get(instance.store->setup_key_by_hash(soon(), SetupKeyHash(key)));
  ASSERT_TRUE(stored) << stored.error().text;
  const auto joined = get(instance.store->register_peer(soon(), registration(*stored, "agent-a")));
  ASSERT_TRUE(joined) << joined.error().text;
  EXPECT_EQ(
      instance.value("SELECT id FROM peers WHERE name='agent-a' AND account_id='" + account + "'"),
      joined->peer.id.value());
}

TEST_P(UpstreamTest, TheExampleOpensAsItIs) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const Instance instance(fixture);
  const auto before = columns(instance);
  const auto report = instance.prepare();
  ASSERT_TRUE(report) << report.error().text;
  for (const auto& [table, names] : before) EXPECT_EQ(columns(instance)[table], names) << table;
  // The only repair: memberships of a deleted group.
  EXPECT_LE(report->size(), 1U);
  for (const std::string& line : *report)
    EXPECT_NE(line.find("group memberships"), std::string::npos) << line;

  const auto first = get(instance.store->first_account(soon()));
  ASSERT_TRUE(first) << first.error().text;
  const auto snapshot = get(instance.store->snapshot(soon(), first->id));
  ASSERT_TRUE(snapshot) << snapshot.error().text;
  const AccountSnapshot& s = **snapshot;
  EXPECT_EQ(s.skipped_rows, 0U);
  EXPECT_EQ(std::to_string(s.peers.size()), instance.value("SELECT COUNT(*) FROM peers"));
  EXPECT_EQ(std::to_string(s.groups.size()), instance.value("SELECT COUNT(*) FROM groups"));
  EXPECT_EQ(std::to_string(s.policies.size()), instance.value("SELECT COUNT(*) FROM policies"));
  EXPECT_EQ(std::to_string(s.account.serial),
            instance.value("SELECT network_serial FROM accounts"));
  EXPECT_EQ(s.account.network.net, Prefix::parse("100.72.0.0/16"));
  EXPECT_EQ(s.account.settings.peer_login_expiration, std::chrono::hours(48));
  EXPECT_EQ(s.account.settings.auto_update_version, "latest");
  EXPECT_EQ(s.account.dns_domain("x"), "corp.example");
  ASSERT_NE(s.all_group(), nullptr);
  std::set<std::string> names;
  for (const User& user : s.users) names.insert(user.name + "/" + user.email);
  EXPECT_TRUE(names.contains("Adam Admin/adam@example.org"));
  EXPECT_TRUE(names.contains("Uma User/uma@example.org"));
  std::map<std::string, const Policy*> policies;
  for (const Policy& policy : s.policies) policies[policy.name] = &policy;
  bool ports = false;
  bool ssh = false;
  for (const Policy& policy : s.policies)
    for (const PolicyRule& rule : policy.rules) {
      ports = ports || rule.port_ranges == std::vector<PortRange>{{5432, 5440}, {6379, 6379}};
      ssh = ssh ||
            (rule.protocol == kProtocolSsh && !rule.authorized_groups.empty() &&
             rule.authorized_groups.begin()->second == std::vector<std::string>{"root", "ubuntu"});
    }
  EXPECT_TRUE(ports);
  EXPECT_TRUE(ssh);
  const auto peer =
      std::find_if(s.peers.begin(), s.peers.end(), [](const Peer& p) { return p.name == "srv-1"; });
  ASSERT_NE(peer, s.peers.end());
  EXPECT_EQ(peer->meta.capabilities, (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_TRUE(peer->meta.flags.server_ssh_allowed);
  EXPECT_EQ(peer->meta.files, (std::vector<MetaFile>{{"/usr/bin/sshd", true, true}}));
  EXPECT_EQ(peer->meta.network_addresses.front().net_ip, Prefix::parse("192.168.10.5/24"));
  EXPECT_EQ(peer->location.connection_ip.to_string(), "127.0.0.1");
  EXPECT_TRUE(peer->ipv6.is_v6());
  EXPECT_TRUE(peer->last_login);
}

TEST_P(UpstreamTest, TheExampleServesNewPeersAndRefusesSpentKeys) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const Instance instance(fixture);
  ASSERT_TRUE(instance.prepare());
  const auto serial = get(instance.store->first_account(soon()))->serial;
  const auto with = [&](const std::string& name) {
    SetupKey key;
    key.key =
        SetupKeyHash(instance.value("SELECT key FROM setup_keys WHERE name = '" + name + "'"));
    return get(instance.store->register_peer(soon(), registration(key, "newcomer")));
  };
  const auto done = with("never");
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->serial, serial + 1);
  EXPECT_EQ(done->peer.dns_label, "newcomer");
  for (const char* spent : {"revoked", "oneoff"}) {
    const auto refused = with(spent);
    ASSERT_FALSE(refused) << spent;
    EXPECT_EQ(refused.error().code, Code::kNotFound) << spent << ": " << refused.error().text;
  }
}

TEST_P(UpstreamTest, AWrongDataStoreKeyIsNoticedOnADatabaseOfUpstream) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const auto other =
      crypto::FieldCipher::create({crypto::FieldCipher::generate_key(random_source())});
  const Instance wrong(fixture, &*other);
  const auto refused = wrong.prepare();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(Instance(fixture).prepare());
}

TEST_P(UpstreamTest, AnOlderDatabaseGetsTheColumnsItLacks) {
  const sql::test::TestDatabase fixture(GetParam());
  const Instance instance(fixture);
  // As an early release had it: few columns, no indexes.
  instance.sql(
      "CREATE TABLE accounts (id text PRIMARY KEY, created_by text, network_serial bigint);"
      "INSERT INTO accounts (id, created_by, network_serial) VALUES ('a1', 'u', 5)");
  const auto report = instance.prepare();
  ASSERT_TRUE(report) << report.error().text;
  const auto account = get(instance.store->account(soon(), AccountId("a1")));
  ASSERT_TRUE(account) << account.error().text;
  EXPECT_EQ(account->serial, 5U);
  EXPECT_EQ(account->settings.auto_update_version, "disabled");
}

TEST_P(UpstreamTest, DirtyRowsAreRepairedOrReadAsEmptyAndTheAccountServes) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const Instance instance(fixture);
  const std::string account = instance.value("SELECT id FROM accounts");
  const std::string off = postgres() ? "" : "PRAGMA foreign_keys=OFF;";
  const auto dirty = [&](const std::string& statement) { instance.sql(off + statement); };
  dirty(
      "INSERT INTO group_peers (account_id, group_id, peer_id) SELECT account_id, id, 'ghost' FROM "
      "groups "
      "WHERE name = 'All'");
  dirty("INSERT INTO groups (id, account_id, public_id, name, issued, resources) VALUES ('zz', '" +
        account + "', '', 'All', 'api', '{broken')");
  dirty("UPDATE policies SET source_posture_checks = 'not json', description = NULL");
  dirty(
      "UPDATE policy_rules SET ports = '{\"a\":1}', sources = '[1,2]', action = NULL WHERE name = "
      "'web'");
  dirty("UPDATE peers SET ipv6 = '\"fd00::1\"'");
  dirty(
      "UPDATE peers SET meta_flags = '[', meta_network_addresses = '[{\"NetIP\":\"x/y\"}]', "
      "meta_files = NULL, "
      "user_id = NULL, name = NULL, peer_status_connected = NULL, last_login = NULL WHERE "
      "dns_label = 'srv-1'");
  dirty("UPDATE peers SET ip = 'garbage' WHERE dns_label = 'uma-laptop'");
  dirty(
      "UPDATE users SET name = 'plain text', auto_groups = NULL, blocked = NULL WHERE role = "
      "'owner'");
  const auto report = instance.prepare();
  ASSERT_TRUE(report) << report.error().text;
  std::string all;
  for (const std::string& line : *report) all += line + "\n";
  EXPECT_NE(all.find("group memberships"), std::string::npos) << all;
  EXPECT_NE(all.find("groups named All"), std::string::npos) << all;
  EXPECT_NE(all.find("IPv6"), std::string::npos) << all;
  EXPECT_EQ(instance.value("SELECT COUNT(*) FROM peers WHERE ipv6 = '\"fd00::1\"'"), "1");
  const auto snapshot = get(instance.store->snapshot(soon(), AccountId(account)));
  ASSERT_TRUE(snapshot) << snapshot.error().text;
  EXPECT_EQ((*snapshot)->skipped_rows, 1U);  // the peer without an address
  EXPECT_EQ((*snapshot)->all_group()->resources.size(), 0U);
  const auto& peers = (*snapshot)->peers;
  const auto peer = std::find_if(peers.begin(), peers.end(),
                                 [](const Peer& p) { return p.dns_label == "srv-1"; });
  ASSERT_NE(peer, peers.end());
  EXPECT_TRUE(peer->name.empty());
  EXPECT_FALSE(peer->last_login);
  SetupKey key;
  key.key = SetupKeyHash(instance.value("SELECT key FROM setup_keys WHERE name = 'never'"));
  EXPECT_TRUE(get(instance.store->register_peer(soon(), registration(key))));
}

TEST_P(UpstreamTest, RowsWithoutAPublicIdGetOneOfTheirOwn) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const Instance instance(fixture);
  const std::string kept = instance.value("SELECT max(public_id) FROM policies");
  instance.sql("UPDATE groups SET public_id = ''; UPDATE networks SET public_id = NULL");
  ASSERT_TRUE(instance.prepare());
  for (const std::string table :
       {"groups", "policies", "routes", "name_server_groups", "posture_checks", "networks",
        "network_routers", "network_resources"}) {
    EXPECT_EQ(instance.value("SELECT count(*) FROM " + table),
              instance.value("SELECT count(DISTINCT public_id) FROM " + table +
                             " WHERE length(public_id) = 20"))
        << table;
  }
  EXPECT_EQ(instance.value("SELECT max(public_id) FROM policies WHERE public_id = '" + kept + "'"),
            kept);
}

TEST_P(UpstreamTest, RowsThatUpstreamMadeMeanwhileGetPublicIdsAtTheNextStart) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const Instance instance(fixture);
  ASSERT_TRUE(instance.prepare());
  const auto account = get(instance.store->first_account(soon()));
  ASSERT_TRUE(account);
  const std::string kept = instance.value("SELECT public_id FROM groups WHERE name = 'All'");
  instance.sql("INSERT INTO groups (id, account_id, public_id, name, issued) VALUES ('late', '" +
               account->id.value() +
               "', '', 'late', 'api'); UPDATE network_routers SET public_id = NULL");
  const auto report = instance.prepare();
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_TRUE(report->empty());
  EXPECT_EQ(instance.value("SELECT length(public_id) FROM groups WHERE id = 'late'"), "20");
  EXPECT_EQ(instance.value("SELECT COUNT(*) FROM network_routers WHERE length(public_id) = 20"),
            instance.value("SELECT COUNT(*) FROM network_routers"));
  EXPECT_EQ(instance.value("SELECT public_id FROM groups WHERE name = 'All'"), kept);
  // Who serves meanwhile has to read them.
  EXPECT_EQ(get(instance.store->first_account(soon()))->serial, account->serial + 1);
  ASSERT_TRUE(instance.prepare());
  EXPECT_EQ(get(instance.store->first_account(soon()))->serial, account->serial + 1);
}

TEST_P(UpstreamTest, MigratingAgainChangesNothing) {
  const sql::test::TestDatabase fixture(GetParam());
  load_example(fixture);
  const Instance instance(fixture);
  ASSERT_TRUE(instance.prepare());
  const auto tables = columns(instance);
  const auto all_indexes = indexes(instance);
  const auto again = instance.prepare();
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->empty());
  EXPECT_EQ(columns(instance), tables);
  EXPECT_EQ(indexes(instance), all_indexes);
  const auto state = sql::check_migrations(*instance.database, main_migrations(), soon());
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->pending.empty());
  EXPECT_EQ(state->applied, state->wanted);
}

INSTANTIATE_TEST_SUITE_P(Engines, UpstreamTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
