// What the database itself forbids, on both engines: rows of contract/network-map.md §7 that hold
// whoever writes. Races between instances: race_test.cc, invariants_race_test.cc.
#include "management/store/test_account.h"

#include <fmt/format.h>

namespace nb::management {
namespace {

using namespace test;

class InvariantsTest : public FreshAccountTest {
 protected:
  /// By hand, past everything that our statements look at first.
  Code by_hand(const std::string& statement) {
    const auto done = instance_.database->run_blocking<void>(
        soon(), {}, [&](sql::Session& session) { return session.script(statement); });
    return done ? Code::kOk : done.error().code;
  }
  std::string count(const std::string& from) {
    return instance_.value("SELECT COUNT(*) FROM " + from);
  }
};

TEST_P(InvariantsTest, NoTwoPeersShareAKeyAnAddressOrAName) {
  const SetupKey key = make_key();
  const PeerId one = add_peer(key, "one").peer.id;
  const PeerId two = add_peer(key, "two").peer.id;
  for (const char* column : {"key", "ip", "ipv6", "dns_label"}) {
    const std::string before =
        instance_.value(fmt::format("SELECT {} FROM peers WHERE id = '{}'", column, two.value()));
    EXPECT_EQ(by_hand(fmt::format("UPDATE peers SET {0} = (SELECT other.{0} FROM peers other WHERE "
                                  "other.id = '{1}') WHERE id = '{2}'",
                                  column, one.value(), two.value())),
              Code::kAlreadyExists)
        << column;
    EXPECT_EQ(
        instance_.value(fmt::format("SELECT {} FROM peers WHERE id = '{}'", column, two.value())),
        before);
  }
  // Peers without an IPv6 address share none.
  EXPECT_EQ(by_hand("UPDATE peers SET ipv6 = '\"\"'"), Code::kOk);
  EXPECT_EQ(by_hand("UPDATE peers SET ipv6 = NULL"), Code::kOk);
}

TEST_P(InvariantsTest, WhatThereMayBeOneOfIsThereOnce) {
  struct Case {
    std::string table;
    std::string columns;
    std::string values;
    std::string of;  // rows that may be one
  };
  const std::string account = "'" + account_.id.value() + "'";
  const Case cases[] = {
      {"groups", "account_id, name, issued", account + ", 'All', 'api'", "name = 'All'"},
      {"groups", "account_id, name, issued", account + ", 'Dev', 'jwt'", "issued = 'jwt'"},
      {"policies", "account_id, name, nb_is_default", account + ", 'Default', TRUE",
       "nb_is_default"},
      {"accounts", "domain, domain_category, is_domain_primary_account",
       "'Corp.example', 'private', TRUE", "lower(domain) = 'corp.example'"},
      {"personal_access_tokens", "user_id, hashed_token",
       "'" + account_.created_by.value() + "', 'hash'", "hashed_token = 'hash'"},
  };
  for (const Case& item : cases) {
    for (const char* id : {"first", "second"}) {
      const bool taken = count(item.table + " WHERE " + item.of) == "1";
      EXPECT_EQ(by_hand(fmt::format("INSERT INTO {} (id, {}) VALUES ('{}', {})", item.table,
                                    item.columns, id, item.values)),
                taken ? Code::kAlreadyExists : Code::kOk)
          << item.table << ", " << item.of;
    }
    EXPECT_EQ(count(item.table + " WHERE " + item.of), "1") << item.of;
  }
}

TEST_P(InvariantsTest, SerialsNeverFall) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(get(store().bump_serial(soon(), account_.id)));
  EXPECT_EQ(by_hand("UPDATE accounts SET network_serial = 1"), Code::kOk);  // of an old copy
  EXPECT_EQ(serial(), 3U);
  EXPECT_EQ(by_hand("UPDATE accounts SET network_serial = NULL"), Code::kOk);
  EXPECT_EQ(serial(), 3U);
  EXPECT_EQ(by_hand("UPDATE accounts SET network_serial = 7"), Code::kOk);
  EXPECT_EQ(serial(), 7U);
}

TEST_P(InvariantsTest, MembershipsGoWithTheirPeerAndWithTheirGroup) {
  instance_.sql("INSERT INTO groups (id, account_id, public_id, name, issued) VALUES ('g', '" +
                account_.id.value() + "', '', 'g', 'api')");
  const SetupKey key = make_key({.auto_groups = {GroupId("g")}});
  const Peer stays = add_peer(key, "stays").peer;
  const Peer goes = add_peer(key, "goes").peer;
  ASSERT_TRUE(get(store().connect(soon(), {goes.id, InstanceId("a"), 1})));
  ASSERT_EQ(count("group_peers"), "4");
  EXPECT_EQ(by_hand("DELETE FROM peers WHERE id = '" + goes.id.value() + "'"), Code::kOk);
  EXPECT_EQ(count("group_peers"), "2");
  EXPECT_EQ(count("nb_peer_sessions"), "0");
  EXPECT_EQ(by_hand("DELETE FROM groups WHERE id = 'g'"), Code::kOk);
  EXPECT_EQ(count("group_peers WHERE peer_id = '" + stays.id.value() + "'"), "1");
}

INSTANTIATE_TEST_SUITE_P(Engines, InvariantsTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
