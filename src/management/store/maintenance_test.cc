// Migrations beside a serving instance, repairs, the doctor, and what an operator does by hand.
#include "management/store/maintenance.h"

#include "base/log_sinks.h"
#include "management/store/agent_store.h"
#include "management/store/doctor.h"
#include "management/store/event_log.h"
#include "management/store/migrations.h"
#include "management/store/test_example.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

namespace nb::management {
namespace {

using namespace test;

class MaintenanceTest : public testing::TestWithParam<sql::Engine> {
 protected:
  void start() {
    const auto report = instance_.prepare();
    ASSERT_TRUE(report) << report.error().text;
    ASSERT_TRUE(prepare_agent_tables(instance_.parts, soon()));
    const auto made = get(instance_.store->ensure_account(soon(), fresh_account()));
    ASSERT_TRUE(made) << made.error().text;
    account_ = made->first;
  }
  Diagnosis examined(std::size_t limit = 1'000) {
    auto diagnosis =
        examine(*instance_.database, &example_cipher(), random_source(), limit, soon());
    EXPECT_TRUE(diagnosis) << diagnosis.error().text;
    return diagnosis ? *std::move(diagnosis) : Diagnosis{};
  }
  SetupKey make_key() {
    return *get(instance_.store->create_setup_key(soon(), fresh_setup_key(account_.id),
                                                  account_.created_by));
  }

  sql::test::TestDatabase fixture_{GetParam()};
  Instance instance_{fixture_};
  Account account_;
};

bool says(const Diagnosis& diagnosis, const std::string& table, const std::string& id,
          const std::string& what) {
  return std::any_of(diagnosis.findings.begin(), diagnosis.findings.end(), [&](const Finding& f) {
    return f.table == table && f.id == id && f.what.find(what) != std::string::npos &&
           !f.meaning.empty();
  });
}

TEST_P(MaintenanceTest, AHealthyDatabaseHasNoFindings) {
  start();
  ASSERT_TRUE(get(instance_.store->register_peer(soon(), registration(make_key()))));
  const Diagnosis diagnosis = examined();
  for (const Finding& f : diagnosis.findings)
    ADD_FAILURE() << f.table << " " << f.id << ": " << f.what;
}

TEST_P(MaintenanceTest, TheDatabaseOfUpstreamHasNoDamage) {
  load_example(fixture_);
  ASSERT_TRUE(instance_.prepare());
  for (const Finding& f : examined().findings) {
    EXPECT_EQ(f.what.find("damaged"), std::string::npos)
        << f.table << " " << f.id << ": " << f.what;
    EXPECT_EQ(f.what.find("makes no sense"), std::string::npos)
        << f.table << " " << f.id << ": " << f.what;
    EXPECT_EQ(f.what.find("NULL"), std::string::npos) << f.table << " " << f.id << ": " << f.what;
    EXPECT_EQ(f.what.find("unique"), std::string::npos) << f.table << " " << f.id << ": " << f.what;
  }
}

TEST_P(MaintenanceTest, TheDoctorFindsWhatIsDamaged) {
  start();
  const auto peer = get(instance_.store->register_peer(soon(), registration(make_key())));
  ASSERT_TRUE(peer);
  const std::string id = peer->peer.id.value();
  const std::string account = "'" + account_.id.value() + "'";
  instance_.sql("UPDATE peers SET meta_flags = '[', name = NULL");
  instance_.sql(
      "INSERT INTO policy_rules (id, policy_id, name) SELECT 'r1', id, 'x' FROM policies");
  instance_.sql(
      "UPDATE policy_rules SET sources = '[\"ghost\"]', ports = 'no json' WHERE id = 'r1'");
  instance_.sql("INSERT INTO routes (id, account_id, peer, network) VALUES ('t1', " + account +
                ", 'ghost', '\"1.2.3.4/99\"')");
  instance_.sql("INSERT INTO network_routers (id, network_id, account_id) VALUES ('w1', 'ghost', " +
                account + ")");
  instance_.sql(
      "INSERT INTO zones (id, account_id, distribution_groups) VALUES ('z1', 'ghost', '[]')");
  instance_.sql(
      R"(UPDATE policy_rules SET source_resource = '{"ID":"ghost","Type":"peer"}' WHERE id = 'r1')");
  instance_.sql("INSERT INTO groups (id, account_id, name, resources) VALUES ('g1', " + account +
                R"(, 'g1', '[{"ID":"ghost","Type":"host"},{"ID":")" + id +
                R"(","Type":"peer"}]'))");
  instance_.sql("INSERT INTO services (id, account_id, domain, auth, restrictions) VALUES ('v1', " +
                account + R"(, 'v.example', '{"pin_auth":7}', '['))");
  instance_.sql(
      "INSERT INTO targets (account_id, service_id, host, target_id, target_type, custom_headers) "
      "VALUES (" +
      account + ", 'v1', 'h', 'ghost', 'peer', '['), (" + account +
      ", 'v1', 'h', 'ghost', 'domain', '{}'), (" + account + ", 'v1', 'h', '" + id +
      "', 'peer', '{}')");
  instance_.sql(
      "INSERT INTO policy_rules (id, policy_id, name, action, protocol, ports, port_ranges, "
      "authorized_groups, authorized_user) SELECT 'r2', id, 'x', 'reject', 'sctp', "
      R"('["22","http","70000"]', '[{"Start":9,"End":5}]', '{"ghosts":["root"]}', 'nobody' FROM )"
      "policies");
  instance_.sql("INSERT INTO zones (id, account_id) VALUES ('z2', " + account +
                "); INSERT INTO records (id, account_id, zone_id, type) VALUES ('d1', " + account +
                ", 'z2', 'MX')");
  instance_.sql("INSERT INTO routes (id, account_id, network_type) VALUES ('t2', " + account +
                ", 7)");
  instance_.sql(
      "INSERT INTO network_resources (id, network_id, account_id, type) VALUES ('e1', "
      "'ghost', " +
      account + ", 'planet')");
  instance_.sql("INSERT INTO setup_keys (id, account_id, key) VALUES ('k1', " + account +
                ", 'plain text')");
  instance_.sql(
      "INSERT INTO user_invites (id, account_id, email, name, role, hashed_token, "
      "expires_at, created_at, created_by, auto_groups) VALUES ('i1', " +
      account +
      ", 'e', 'n', 'user', 'h', '2026-01-01 00:00:00', '2026-01-01 00:00:00', 'u', "
      "'[\"ghost\"]')");
  if (GetParam() == sql::Engine::kSqlite)  // the other has a type for it
    instance_.sql("INSERT INTO jobs (id, account_id, workload_parameters) VALUES ('j1', " +
                  account + ", '{')");
  instance_.sql("UPDATE users SET email = 'plain@example.org'");
  instance_.sql("DELETE FROM group_peers");
  const Diagnosis found = examined();
  EXPECT_TRUE(says(found, "peers", id, "meta_flags is damaged"));
  EXPECT_TRUE(says(found, "peers", id, "name is NULL"));
  EXPECT_TRUE(says(found, "peers", id, "not in the group All"));
  EXPECT_TRUE(says(found, "policy_rules", "r1", "sources names 'ghost'"));
  EXPECT_TRUE(says(found, "policy_rules", "r1", "ports is damaged"));
  EXPECT_TRUE(says(found, "policy_rules", "r1", "source_resource names 'ghost'"));
  EXPECT_TRUE(says(found, "groups", "g1", "resources names 'ghost'"));
  EXPECT_FALSE(says(found, "groups", "g1", "names '" + id));
  EXPECT_TRUE(says(found, "services", "v1", "auth is damaged"));
  EXPECT_TRUE(says(found, "services", "v1", "restrictions is damaged"));
  const std::string first = instance_.value("SELECT MIN(id) FROM targets");
  EXPECT_TRUE(says(found, "targets", first, "peer is not there: ghost"));
  EXPECT_TRUE(says(found, "targets", first, "custom_headers is damaged"));
  EXPECT_TRUE(
      says(found, "targets", std::to_string(std::stoi(first) + 1), "resource is not there: ghost"));
  EXPECT_FALSE(says(found, "targets", std::to_string(std::stoi(first) + 2), ""));
  EXPECT_TRUE(says(found, "routes", "t1", "peer is not there"));
  EXPECT_TRUE(says(found, "routes", "t1", "network is damaged"));
  EXPECT_TRUE(says(found, "network_routers", "w1", "network is not there"));
  EXPECT_TRUE(says(found, "zones", "z1", "unknown account 'ghost'"));
  EXPECT_TRUE(says(found, "users", account_.created_by.value(), "email is not encrypted"));
  EXPECT_TRUE(says(found, "policy_rules", "r2", "action makes no sense: reject"));
  EXPECT_TRUE(says(found, "policy_rules", "r2", "protocol makes no sense: sctp"));
  EXPECT_TRUE(says(found, "policy_rules", "r2", "ports makes no sense"));
  EXPECT_TRUE(says(found, "policy_rules", "r2", "port_ranges makes no sense"));
  EXPECT_TRUE(says(found, "policy_rules", "r2", "authorized_groups names 'ghosts'"));
  EXPECT_TRUE(says(found, "policy_rules", "r2", "authorized_user names 'nobody'"));
  EXPECT_TRUE(says(found, "records", "d1", "type makes no sense: MX"));
  EXPECT_TRUE(says(found, "routes", "t2", "network_type makes no sense: 7"));
  EXPECT_TRUE(says(found, "network_resources", "e1", "type makes no sense: planet"));
  EXPECT_TRUE(says(found, "setup_keys", "k1", "key makes no sense"));
  EXPECT_TRUE(says(found, "user_invites", "i1", "auto_groups names 'ghost'"));
  if (GetParam() == sql::Engine::kSqlite) {
    EXPECT_TRUE(says(found, "jobs", "j1", "workload_parameters makes no sense"));
  }
  EXPECT_FALSE(found.cut);
  const Diagnosis few = examined(2);
  EXPECT_EQ(few.findings.size(), 2U);
  EXPECT_TRUE(few.cut);
  // And the account works on.
  EXPECT_TRUE(get(instance_.store->snapshot(soon(), account_.id)));
  EXPECT_TRUE(get(instance_.store->register_peer(soon(), registration(make_key(), "next"))));
}

TEST_P(MaintenanceTest, TheDoctorNamesTextsThatAreNoUtf8) {
  if (GetParam() == sql::Engine::kPostgres) GTEST_SKIP() << "it stores none";
  start();
  const auto peer = get(instance_.store->register_peer(soon(), registration(make_key())));
  ASSERT_TRUE(peer);
  instance_.sql("UPDATE peers SET name = CAST(X'41FF42' AS TEXT), meta_wt_version = 'v\xC3\xBC'");
  instance_.sql(
      "INSERT INTO group_peers (account_id, group_id, peer_id) SELECT account_id, id, CAST(X'80' "
      "AS TEXT) FROM groups");
  const std::string group = instance_.value("SELECT id FROM groups");
  const Diagnosis found = examined();
  EXPECT_TRUE(says(found, "peers", peer->peer.id.value(), "name is not UTF-8"));
  EXPECT_TRUE(says(found, "group_peers", group + " \xEF\xBF\xBD", "peer_id is not UTF-8"));
  const auto is_of_text = [](const Finding& f) {
    return f.what.find("UTF-8") != std::string::npos;
  };
  EXPECT_EQ(std::ranges::count_if(found.findings, is_of_text), 2) << "that of the version is fine";
}

TEST_P(MaintenanceTest, WhatIsLeftOutIsLoggedOnceAndCounted) {
  start();
  const SetupKey key = make_key();
  for (const char* name : {"one", "two"})
    ASSERT_TRUE(get(instance_.store->register_peer(soon(), registration(key, name))));
  instance_.sql(
      "UPDATE peers SET key = '' WHERE dns_label = 'one'; UPDATE policy_rules SET sources = "
      "'[\"ghost\", \"phantom\"]', authorized_user = 'nobody', destination_resource = "
      R"('{"ID":"spectre","Type":"host"}')");
  const auto sink = std::make_shared<MemoryLogSink>();
  prometheus::Registry registry;
  SqlStoreParts parts = instance_.parts;
  parts.log = Logger(sink);
  parts.registry = &registry;
  const auto store = make_sql_store(parts);
  const auto counted = [&](const std::string& name) {
    for (const auto& family : registry.Collect())
      if (family.name == name) return family.metric.at(0).counter.value;
    return -1.0;
  };
  for (int read = 1; read <= 2; ++read) {
    const auto snapshot = get(store->snapshot(soon(), account_.id));
    ASSERT_TRUE(snapshot) << snapshot.error().text;
    EXPECT_EQ((*snapshot)->peers.size(), 1U);
    EXPECT_EQ(counted("netbird_store_skipped_rows_total"), read);
    EXPECT_EQ(counted("netbird_store_dangling_ids_total"), read * 4);
    EXPECT_EQ(sink->count("left out of their account"), 1U);
    EXPECT_EQ(sink->count("ids of what is not there"), 1U);
  }
  for (const auto& line : sink->lines()) EXPECT_EQ(line.field("id"), account_.id.value());
}

TEST_P(MaintenanceTest, AMissingUniqueIndexIsFoundWithItsRowsAndMadeWhenTheyAreRepaired) {
  start();
  instance_.sql("DROP INDEX nb_accounts_primary");
  const std::string account =
      "INSERT INTO accounts (id, created_by, domain, domain_category, is_domain_primary_account) "
      "VALUES ('$', 'u', 'Twin.example', 'private', TRUE)";
  for (const char* id : {"a1", "a2"}) {
    std::string statement = account;
    statement.replace(statement.find('$'), 1, id);
    instance_.sql(statement);
  }
  const auto state = schema_state(*instance_.database, soon());
  ASSERT_TRUE(state) << state.error().text;
  EXPECT_TRUE(state->pending().empty());
  EXPECT_EQ(state->missing_indexes, std::vector<std::string>{"nb_accounts_primary"});
  EXPECT_TRUE(says(examined(), "accounts", "a2", "more than once"));
  const auto report = instance_.prepare();
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->size(), 1U);
  EXPECT_TRUE(schema_state(*instance_.database, soon())->complete());
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM accounts WHERE is_domain_primary_account AND "
                            "domain = 'Twin.example'"),
            "1");
}

TEST_P(MaintenanceTest, PeersThatShareAKeyAddressOrNameArePutRight) {
  start();
  const SetupKey key = make_key();
  std::vector<Peer> peers;
  for (const char* name : {"one", "two", "three"}) {
    const auto done = get(instance_.store->register_peer(soon(), registration(key, name)));
    ASSERT_TRUE(done);
    peers.push_back(done->peer);
  }
  instance_.sql(
      "DROP INDEX idx_peers_key_unique; DROP INDEX idx_account_ip; DROP INDEX "
      "idx_account_dnslabel");
  instance_.sql("UPDATE peers SET ip = '\"" + peers[0].ip.to_string() + "\"', dns_label = 'one'");
  instance_.sql("UPDATE peers SET key = '" + peers[0].key.value() +
                "', peer_status_last_seen = "
                "'2020-01-01 00:00:00' WHERE id = '" +
                peers[2].id.value() + "'");
  const auto report = instance_.prepare();
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->size(), 3U);
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM peers"), "2");
  EXPECT_EQ(instance_.value("SELECT COUNT(DISTINCT ip) FROM peers"), "2");
  EXPECT_EQ(instance_.value("SELECT COUNT(DISTINCT dns_label) FROM peers"), "2");
  EXPECT_TRUE(schema_state(*instance_.database, soon())->complete());
  EXPECT_EQ(get(instance_.store->snapshot(soon(), account_.id))->get()->peers.size(), 2U);
}

TEST_P(MaintenanceTest, ADatabaseThatWasNeverMigratedLacksEverything) {
  const auto state = schema_state(*instance_.database, soon());
  ASSERT_TRUE(state) << state.error().text;
  for (const ComponentState& one : state->components) EXPECT_EQ(one.migrations.applied, 0);
  EXPECT_EQ(state->pending().size(),
            main_migrations().migrations.size() + agent_migrations().migrations.size());
  EXPECT_FALSE(state->complete());
}

TEST_P(MaintenanceTest, ADatabaseWithoutTheTablesForAgentsIsNotComplete) {
  ASSERT_TRUE(prepare_main_database(instance_.parts, soon()));
  const auto before = schema_state(*instance_.database, soon());
  ASSERT_TRUE(before) << before.error().text;
  EXPECT_FALSE(before->complete());
  EXPECT_EQ(before->pending().size(), agent_migrations().migrations.size());
  ASSERT_TRUE(prepare_agent_tables(instance_.parts, soon()));
  EXPECT_TRUE(schema_state(*instance_.database, soon())->complete());
}

TEST_P(MaintenanceTest, RaisedSerialsSendEverybodyToAWholeSnapshot) {
  start();
  const auto before = get(instance_.store->account(soon(), account_.id))->serial;
  const auto raised = raise_serials(*instance_.database, 1'000'000, soon());
  ASSERT_TRUE(raised) << raised.error().text;
  ASSERT_EQ(raised->size(), 1U);
  EXPECT_EQ(raised->front().serial, before + 1'000'000);
  const auto delta = get(instance_.store->changes(soon(), account_.id, before));
  ASSERT_TRUE(delta);
  EXPECT_FALSE(*delta);
}

TEST_P(MaintenanceTest, MigrationsRunWhileAnotherInstanceServes) {
  // What the first version with this store's statements knew, and the columns that it has learnt to
  // ask for since.
  constexpr std::size_t kServing = 10;
  constexpr std::size_t kSince = 18;
  sql::MigrationSet old = main_migrations();
  old.migrations.resize(kServing);
  ASSERT_TRUE(sql::migrate(*instance_.database, old, soon(), {}));
  instance_.sql("ALTER TABLE nb_instances ADD COLUMN held_since bigint NOT NULL DEFAULT 0");
  instance_.sql("ALTER TABLE nb_peer_sessions ADD COLUMN reaped_epoch bigint NOT NULL DEFAULT 0");
  instance_.sql("ALTER TABLE nb_peer_sessions ADD COLUMN call_no bigint NOT NULL DEFAULT 0");
  const auto made = get(instance_.store->ensure_account(soon(), fresh_account()));
  ASSERT_TRUE(made) << made.error().text;
  account_ = made->first;
  const SetupKey key = make_key();
  std::atomic<bool> stop{false};
  std::atomic<int> served{0};
  std::atomic<bool> broken{false};
  std::thread serving([&] {
    const std::shared_ptr<void> end(nullptr, [&](void*) { broken = !stop; });
    while (!stop) {
      const auto done = get(instance_.store->register_peer(
          soon(), registration(key, "n" + std::to_string(served.load()))));
      ASSERT_TRUE(done) << done.error().text;
      ASSERT_TRUE(get(instance_.store->connect(soon(), {done->peer.id, InstanceId("i"), 1})));
      ++served;
    }
  });
  while (served < 3 && !broken) std::this_thread::yield();
  const Instance fresh(fixture_);
  sql::MigrationSet until = main_migrations();
  until.migrations.resize(kSince - 1);
  const auto report = sql::migrate(*fresh.database, until, soon(), {});
  const int during = served;
  while (served < during + 3 && !broken) std::this_thread::yield();
  stop = true;
  serving.join();
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_TRUE(report->empty());
  instance_.sql("ALTER TABLE nb_instances DROP COLUMN held_since");
  instance_.sql("ALTER TABLE nb_peer_sessions DROP COLUMN reaped_epoch");
  instance_.sql("ALTER TABLE nb_peer_sessions DROP COLUMN call_no");
  ASSERT_TRUE(fresh.prepare());
  ASSERT_TRUE(prepare_agent_tables(fresh.parts, soon()));
  EXPECT_TRUE(schema_state(*fresh.database, soon())->complete());
  EXPECT_EQ(get(fresh.store->account(soon(), account_.id))->serial,
            static_cast<std::uint64_t>(served));
}

TEST_P(MaintenanceTest, InstancesThatMoveEventsAtOnceStoreEachOnce) {
  start();
  constexpr int kEvents = 150;
  for (int i = 0; i < kEvents; ++i) {
    Event event;
    event.account_id = account_.id;
    event.target_id = std::to_string(i);
    ASSERT_TRUE(get(instance_.store->add_event(soon(), event)));
  }
  const sql::test::TestDatabase events_fixture(GetParam());
  std::atomic<int> failures{0};
  std::vector<std::thread> movers;
  for (int i = 0; i < 2; ++i)
    movers.emplace_back([&, i] {
      const Instance mine(fixture_);
      const auto events = events_fixture.open();
      EventLog log(*mine.database, *events, {});
      if (!log.prepare(soon())) ++failures;
      // Windows of different sizes overlap in every way.
      for (std::size_t moved = 1; moved > 0;) {
        const auto done = get(log.move(soon(), i == 0 ? 7 : 11));
        if (!done) ++failures;
        moved = done ? *done : 0;
      }
    });
  for (std::thread& mover : movers) mover.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM nb_event_outbox"), "0");
  const Instance reader(events_fixture);
  EXPECT_EQ(reader.value("SELECT COUNT(*) FROM events WHERE target_id <> '' AND activity = 0 AND "
                         "initiator_id = ''"),
            std::to_string(kEvents));
}

INSTANTIATE_TEST_SUITE_P(Engines, MaintenanceTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
