// Databases that official servers of earlier years wrote.
#include "management/store/agent_store.h"
#include "management/store/maintenance.h"
#include "management/store/migrations.h"
#include "management/store/test_example.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

namespace nb::management {
namespace {

using namespace test;

class OldFormsTest : public testing::TestWithParam<sql::Engine> {
 protected:
  void SetUp() override {
    load_example(fixture_);
    // Otherwise they get one, and serials grow by that.
    instance_.sql("UPDATE groups SET public_id = id; UPDATE policies SET public_id = id");
  }
  [[nodiscard]] bool postgres() const { return GetParam() == sql::Engine::kPostgres; }
  void prepare() {
    auto report = instance_.prepare();
    ASSERT_TRUE(report) << report.error().text;
    report_ = *std::move(report);
    const auto again = instance_.prepare();
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_TRUE(again->empty()) << again->front();
  }
  [[nodiscard]] bool reported(const std::string& text) const {
    return std::any_of(report_.begin(), report_.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }
  [[nodiscard]] std::string serial() const {
    return instance_.value("SELECT network_serial FROM accounts");
  }
  /// Memberships as upstream wrote them before it had group_peers; those that were are in `saved`.
  void put_members_into_groups() const {
    instance_.sql(
        "CREATE TABLE saved AS SELECT m.group_id, m.peer_id FROM group_peers m JOIN peers p ON "
        "p.id = m.peer_id JOIN groups g ON g.id = m.group_id;"
        "ALTER TABLE groups ADD COLUMN peers text");
    instance_.sql(postgres() ? "UPDATE groups SET peers = (SELECT json_agg(m.peer_id)::text FROM "
                               "group_peers m WHERE m.group_id = groups.id)"
                             : "UPDATE groups SET peers = (SELECT json_group_array(m.peer_id) FROM "
                               "group_peers m WHERE m.group_id = groups.id)");
    instance_.sql("DELETE FROM group_peers");
  }
  void expect_members_as_saved() const {
    EXPECT_NE(instance_.value("SELECT COUNT(*) FROM saved"), "0");
    for (const auto& [these, those] :
         {std::pair{"saved", "group_peers"}, std::pair{"group_peers", "saved"}})
      EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM (SELECT group_id, peer_id FROM " +
                                std::string(these) + " EXCEPT SELECT group_id, peer_id FROM " +
                                those + ") x"),
                "0")
          << "in " << these << ", not in " << those;
  }

  sql::test::TestDatabase fixture_{GetParam()};
  Instance instance_{fixture_};
  sql::MigrationReport report_;
};

TEST_P(OldFormsTest, MembersInAColumnOfTheirGroupsAreMembers) {
  put_members_into_groups();
  instance_.sql(
      "INSERT INTO groups (id, account_id, name, issued, peers) SELECT 'odd', id, 'odd', 'api', "
      "'[\"ghost\"' FROM accounts");
  const std::string before = serial();
  prepare();
  expect_members_as_saved();
  EXPECT_TRUE(reported("moved from groups.peers"));
  EXPECT_TRUE(reported("group odd could not be read"));
  EXPECT_NE(serial(), before);
  // A later start of upstream's must not find them again.
  EXPECT_EQ(
      instance_.value(postgres() ? "SELECT COUNT(*) FROM information_schema.columns WHERE "
                                   "table_name = 'groups' AND column_name = 'peers'"
                                 : "SELECT COUNT(*) FROM pragma_table_info('groups') WHERE name = "
                                   "'peers'"),
      "0");
}

TEST_P(OldFormsTest, RoutersAndResourcesFromBeforeTheSwitchAreOn) {
  instance_.sql(
      "UPDATE network_routers SET enabled = NULL;"
      "ALTER TABLE network_resources DROP COLUMN enabled");
  const std::string before = serial();
  prepare();
  for (const std::string table : {"network_routers", "network_resources"}) {
    EXPECT_NE(instance_.value("SELECT COUNT(*) FROM " + table), "0");
    EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM " + table + " WHERE enabled IS NOT TRUE"), "0")
        << table;
  }
  EXPECT_TRUE(reported("network routers without a switch"));
  EXPECT_TRUE(reported("network resources without a switch"));
  EXPECT_NE(serial(), before);
}

TEST_P(OldFormsTest, OnesThatAreOffStayOff) {
  instance_.sql("UPDATE network_routers SET enabled = FALSE");
  const std::string before = serial();
  prepare();
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM network_routers WHERE enabled"), "0");
  EXPECT_EQ(serial(), before);
}

TEST_P(OldFormsTest, SetupKeysInPlainTextOpenUnderTheirHashes) {
  const std::string plain = "E2808C99-E7FA-4841-845E-07CE633E50A1";
  instance_.sql("UPDATE setup_keys SET key = '" + plain +
                "', key_secret = NULL WHERE name = 'never'; UPDATE setup_keys SET key = '" +
                std::string(36, '-') + "' WHERE name = 'revoked'");
  prepare();
  EXPECT_TRUE(reported("plain setup keys replaced by hashes: 1"));
  EXPECT_EQ(instance_.value("SELECT key_secret FROM setup_keys WHERE name = 'never'"), "E2808****");
  EXPECT_EQ(instance_.value("SELECT key FROM setup_keys WHERE name = 'revoked'"),
            std::string(36, '-'));
  SetupKey key;
  key.key = SetupKeyHash(crypto::hash_setup_key("e2808c99-e7fa-4841-845e-07ce633e50a1"));
  const auto joined = get(instance_.store->register_peer(soon(), registration(key)));
  EXPECT_TRUE(joined) << joined.error().text;
}

TEST_P(OldFormsTest, BinaryColumnsAreRefusedBeforeAnythingIsChanged) {
  struct Case {
    const char* column;
    const char* sqlite;
    const char* postgres;
  };
  for (const Case& one :
       {Case{"accounts.network_net", "UPDATE accounts SET network_net = x'28ff81030101054950'",
             "ALTER TABLE accounts ALTER network_net TYPE bytea USING "
             "convert_to(network_net, 'UTF8')"},
        // 49.50.51.52, whose bytes read as a number.
        Case{"peers.location_connection_ip",
             "UPDATE peers SET location_connection_ip = x'31323334'",
             "ALTER TABLE peers ALTER location_connection_ip TYPE bytea USING "
             "convert_to(location_connection_ip, 'UTF8')"},
        Case{"routes.peer_groups", "UPDATE routes SET peer_groups = x'0cff810201'",
             "ALTER TABLE routes ALTER peer_groups TYPE bytea USING "
             "convert_to(peer_groups, 'UTF8')"}}) {
    const sql::test::TestDatabase fixture(GetParam());
    load_example(fixture);
    const Instance instance(fixture);
    instance.sql(postgres() ? one.postgres : one.sqlite);
    const auto refused = instance.prepare();
    ASSERT_FALSE(refused) << one.column;
    EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    EXPECT_NE(refused.error().text.find(one.column), std::string::npos) << refused.error().text;
    EXPECT_NE(refused.error().text.find("start a current official server"), std::string::npos);
    EXPECT_EQ(instance.value(postgres() ? "SELECT COUNT(*) FROM information_schema.tables WHERE "
                                          "table_name LIKE 'nb!_%' ESCAPE '!'"
                                        : "SELECT COUNT(*) FROM sqlite_master WHERE name LIKE "
                                          "'nb!_%' ESCAPE '!'"),
              "0");
  }
}

TEST_P(OldFormsTest, JsonInBlobsIsJson) {
  if (postgres()) GTEST_SKIP() << "has types of columns";
  instance_.sql(
      "UPDATE accounts SET network_net = CAST(network_net AS BLOB); UPDATE peers SET ip = CAST(ip "
      "AS BLOB), location_connection_ip = CAST(location_connection_ip AS BLOB)");
  prepare();
  const auto account = get(instance_.store->first_account(soon()));
  ASSERT_TRUE(account);
  EXPECT_EQ(account->network.net, Prefix::parse("100.72.0.0/16"));
}

TEST_P(OldFormsTest, AreMendedWhileAnotherInstanceServes) {
  ASSERT_TRUE(instance_.prepare());
  ASSERT_TRUE(prepare_agent_tables(instance_.parts, soon()));
  put_members_into_groups();
  instance_.sql(
      "UPDATE network_routers SET enabled = NULL; UPDATE network_resources SET enabled = NULL;"
      "DELETE FROM nb_schema_migrations WHERE component = 'main' AND version > 20");
  SetupKey key;
  key.key = SetupKeyHash(instance_.value("SELECT key FROM setup_keys WHERE name = 'never'"));
  std::atomic<bool> stop{false};
  std::atomic<int> served{0};
  std::atomic<bool> broken{false};
  std::thread serving([&] {
    const std::shared_ptr<void> end(nullptr, [&](void*) { broken = !stop; });
    const auto account = get(instance_.store->first_account(soon()));
    ASSERT_TRUE(account) << account.error().text;
    while (!stop) {
      const auto done = get(instance_.store->register_peer(
          soon(), registration(key, "n" + std::to_string(served.load()))));
      ASSERT_TRUE(done) << done.error().text;
      ASSERT_TRUE(get(instance_.store->snapshot(soon(), account->id)));
      ++served;
    }
  });
  while (served < 3 && !broken) std::this_thread::yield();
  const Instance fresh(fixture_);
  const auto report = fresh.prepare();
  const int during = served;
  while (served < during + 3 && !broken) std::this_thread::yield();
  stop = true;
  serving.join();
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->size(), 3U);
  EXPECT_TRUE(schema_state(*fresh.database, soon())->complete());
  // Who was a member is one, and who joined meanwhile.
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM (SELECT group_id, peer_id FROM saved EXCEPT "
                            "SELECT group_id, peer_id FROM group_peers) x"),
            "0");
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM group_peers m JOIN groups g ON g.id = "
                            "m.group_id WHERE g.name = 'All'"),
            instance_.value("SELECT COUNT(*) FROM peers"));
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM network_routers WHERE enabled IS NOT TRUE"), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, OldFormsTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
