// What a login reads of posture checks, and nobody else, on both engines.
#include "management/store/test_account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::management {
namespace {

using namespace test;

class PostureTest : public FreshAccountTest {
 protected:
  void SetUp() override {
    FreshAccountTest::SetUp();
    key_ = make_key();
    request_ = registration(key_, "known");
    ASSERT_TRUE(get(store().register_peer(soon(), request_)));
  }
  void add_check(const std::string& id, const std::string& checks) {
    instance_.sql(
        "INSERT INTO posture_checks (id, name, description, account_id, public_id, checks) VALUES "
        "('" +
        id + "', '" + id + "', '', '" + account_.id.value() + "', 'p-" + id + "', '" + checks +
        "')");
  }
  void add_process_check(const std::string& id) {
    add_check(id, R"({"ProcessCheck":{"Processes":[{"LinuxPath":"/usr/bin/agent"}]}})");
  }
  Result<ReloggedIn> login(const std::string& ssh_key) {
    return get(store().relogin(soon(), {.key = request_.key, .user = {}, .ssh_key = ssh_key}));
  }
  SetupKey key_;
  Registration request_;
};

TEST_P(PostureTest, LoginsSayWhetherAnyCheckLooksForFiles) {
  add_check("version", R"({"NBVersionCheck":{"MinVersion":"0.1.0"}})");
  EXPECT_FALSE(login(request_.ssh_key)->posture_checks);
  EXPECT_FALSE(login("ssh-ed25519 BBBB")->posture_checks);
  EXPECT_FALSE(add_peer(key_, "early").posture_checks);
  add_process_check("agent");
  const auto unchanged = login("ssh-ed25519 BBBB");
  ASSERT_TRUE(unchanged) << unchanged.error().text;
  EXPECT_FALSE(unchanged->was_changed);
  EXPECT_TRUE(unchanged->posture_checks);
  EXPECT_EQ(unchanged->view.peer.key, request_.key);
  EXPECT_EQ(unchanged->view.settings.dns_domain, account_.settings.dns_domain);
  const auto written = login("ssh-ed25519 CCCC");
  ASSERT_TRUE(written) << written.error().text;
  EXPECT_TRUE(written->was_changed);
  EXPECT_TRUE(written->posture_checks);
  EXPECT_TRUE(add_peer(key_, "late").posture_checks);
}

TEST_P(PostureTest, SnapshotHoldsWhatTheChecksAskOfOnePeer) {
  static_cast<void>(add_peer(key_, "other"));
  add_process_check("agent");
  add_process_check("of-no-policy");
  const auto ask = [&] {
    const PeerId id = get(store().peer_by_key(soon(), request_.key))->peer.id;
    return get(store().posture_snapshot(soon(), account_.id, id));
  };
  const auto before = ask();
  ASSERT_TRUE(before) << before.error().text;
  EXPECT_EQ((*before)->policies.size(), 0U) << "none has checks";
  instance_.sql(R"(UPDATE policies SET source_posture_checks = '["agent"]')");
  const auto snapshot = ask();
  ASSERT_TRUE(snapshot) << snapshot.error().text;
  const AccountSnapshot& s = **snapshot;
  ASSERT_EQ(s.peers.size(), 1U);
  EXPECT_EQ(s.peers[0].key, request_.key);
  ASSERT_EQ(s.groups.size(), 1U);
  EXPECT_THAT(s.groups[0].peers, testing::ElementsAre(s.peers[0].id));
  ASSERT_EQ(s.policies.size(), 1U);
  EXPECT_THAT(s.policies[0].source_posture_checks, testing::ElementsAre(PostureCheckId("agent")));
  EXPECT_EQ(s.posture_checks.size(), 2U);
}

TEST_P(PostureTest, OnlyLoginsAskForIt) {
  instance_.sql("ALTER TABLE posture_checks RENAME TO away");
  EXPECT_FALSE(login(request_.ssh_key));
  const auto view = get(store().peer_by_key(soon(), request_.key));
  ASSERT_TRUE(view) << view.error().text;
  EXPECT_TRUE(get(store().peer_by_id(soon(), account_.id, view->peer.id)));
  MetaUpdate update{.key = request_.key, .meta = request_.meta, .location = {}};
  EXPECT_TRUE(get(store().update_meta(soon(), update)));
  update.meta->os_version = "13";
  const auto begun = get(store().begin_sync(
      soon(), update, {.peer = {}, .instance = InstanceId("one"), .incarnation = 1, .number = 1}));
  ASSERT_TRUE(begun) << begun.error().text;
  EXPECT_TRUE(begun->session);
  instance_.sql("ALTER TABLE away RENAME TO posture_checks");
  EXPECT_TRUE(login(request_.ssh_key));
}

INSTANTIATE_TEST_SUITE_P(Engines, PostureTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
