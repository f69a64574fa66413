// Scheduled jobs: who is due, once, and what is written about it.
#include "management/store/test_account.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class SweepsTest : public FreshAccountTest {
 protected:
  void SetUp() override {
    FreshAccountTest::SetUp();
    if (!HasFatalFailure()) key_ = make_key({.ephemeral = true});
  }
  [[nodiscard]] bool postgres() const { return GetParam() == sql::Engine::kPostgres; }
  [[nodiscard]] std::string past(const std::string& interval) const {
    return postgres() ? "now() - interval '" + interval + "'"
                      : "datetime('now', '-" + interval + "')";
  }
  Peer sso_peer(const std::string& name) {
    Registration request = registration(key_, name);
    request.user = account_.created_by;
    request.setup_key.reset();
    const auto done = get(store().register_peer(soon(), request));
    EXPECT_TRUE(done) << done.error().text;
    return done->peer;
  }
  Peer ephemeral_peer(const std::string& name) {
    const auto done = get(store().register_peer(soon(), registration(key_, name)));
    EXPECT_TRUE(done) << done.error().text;
    return done->peer;
  }
  void set(const Peer& peer, const std::string& assignments) {
    instance_.sql("UPDATE peers SET " + assignments + " WHERE id = '" + peer.id.value() + "'");
  }
  Peer stored(const Peer& peer) { return get(store().peer_by_key(soon(), peer.key))->peer; }
  [[nodiscard]] std::string events(int activity) const {
    return instance_.value("SELECT COUNT(*) FROM nb_event_outbox WHERE event LIKE '%\"activity\":" +
                           std::to_string(activity) + ",%'");
  }

  SetupKey key_;
};

TEST_P(SweepsTest, AConnectedPeerWhoseLoginIsTooOldExpires) {
  const Peer old_login = sso_peer("old");
  const Peer fresh = sso_peer("fresh");
  const Peer by_key = ephemeral_peer("key");
  const Peer away = sso_peer("away");
  const Peer exempt = sso_peer("exempt");
  for (const Peer* peer : {&old_login, &fresh, &by_key, &exempt})
    ASSERT_TRUE(get(store().connect(soon(), {peer->id, InstanceId("i"), 1})));
  for (const Peer* peer : {&old_login, &by_key, &away, &exempt})
    set(*peer, "last_login = " + past("25 hours"));
  set(fresh, "last_login = " + past("23 hours"));
  set(exempt, "login_expiration_enabled = FALSE");
  const std::uint64_t before = serial();

  const auto swept = get(store().expire_logins(soon(), 100));
  ASSERT_TRUE(swept) << swept.error().text;
  ASSERT_EQ(swept->peers.size(), 1U);
  EXPECT_EQ(swept->peers.front().key, old_login.key);
  ASSERT_EQ(swept->accounts.size(), 1U);
  EXPECT_EQ(swept->accounts.front().serial, before + 1);
  EXPECT_EQ(serial(), before + 1);
  EXPECT_TRUE(stored(old_login).status.login_expired);
  EXPECT_FALSE(stored(old_login).status.connected);
  EXPECT_FALSE(stored(fresh).status.login_expired);
  EXPECT_EQ(events(50), "1");
  EXPECT_TRUE(get(store().expire_logins(soon(), 100))->peers.empty());
  EXPECT_EQ(serial(), before + 1);
}

TEST_P(SweepsTest, NothingExpiresWhileTheSettingIsOff) {
  const Peer peer = sso_peer("old");
  ASSERT_TRUE(get(store().connect(soon(), {peer.id, InstanceId("i"), 1})));
  set(peer, "last_login = " + past("25 hours"));
  instance_.sql("UPDATE accounts SET settings_peer_login_expiration_enabled = FALSE");
  EXPECT_TRUE(get(store().expire_logins(soon(), 100))->peers.empty());
}

TEST_P(SweepsTest, TheStreamOfAnExpiredPeerStillEndsItsOwnSession) {
  const Peer peer = sso_peer("old");
  const auto session = get(store().connect(soon(), {peer.id, InstanceId("i"), 1}));
  ASSERT_TRUE(session);
  set(peer, "last_login = " + past("25 hours"));
  ASSERT_EQ(get(store().expire_logins(soon(), 100))->peers.size(), 1U);
  EXPECT_TRUE(*get(store().disconnect(soon(), peer.id, session->epoch)));
  EXPECT_TRUE(stored(peer).status.login_expired);
}

TEST_P(SweepsTest, APeerThatWasAwayTooLongHasToLogInAgain) {
  const Peer idle = sso_peer("idle");
  const Peer busy = sso_peer("busy");
  ASSERT_TRUE(get(store().connect(soon(), {busy.id, InstanceId("i"), 1})));
  for (const Peer* peer : {&idle, &busy})
    set(*peer, "peer_status_last_seen = " + past("11 minutes"));
  EXPECT_TRUE(get(store().expire_inactive(soon(), 100))->peers.empty());  // off by default
  instance_.sql("UPDATE accounts SET settings_peer_inactivity_expiration_enabled = TRUE");
  const auto swept = get(store().expire_inactive(soon(), 100));
  ASSERT_TRUE(swept) << swept.error().text;
  ASSERT_EQ(swept->peers.size(), 1U);
  EXPECT_EQ(swept->peers.front().key, idle.key);
  EXPECT_TRUE(stored(idle).status.login_expired);
  EXPECT_TRUE(get(store().expire_inactive(soon(), 100))->peers.empty());
}

TEST_P(SweepsTest, AnEphemeralPeerGoesWhenItsTimeIsUp) {
  const Peer gone = ephemeral_peer("gone");
  const Peer here = ephemeral_peer("here");
  const Peer recent = ephemeral_peer("recent");
  const Peer routing = ephemeral_peer("routing");
  const Peer kept = sso_peer("kept");
  ASSERT_TRUE(get(store().connect(soon(), {here.id, InstanceId("i"), 1})));
  for (const Peer* peer : {&gone, &here, &routing, &kept})
    set(*peer, "peer_status_last_seen = " + past("11 minutes"));
  set(recent, "peer_status_last_seen = " + past("9 minutes"));
  instance_.sql(
      "INSERT INTO network_routers (id, network_id, account_id, public_id, peer, enabled) VALUES "
      "('r', 'n', '" +
      account_.id.value() + "', '', '" + routing.id.value() + "', TRUE)");
  const std::uint64_t before = serial();
  const auto swept = get(store().delete_ephemeral(soon(), 10min, 100));
  ASSERT_TRUE(swept) << swept.error().text;
  ASSERT_EQ(swept->peers.size(), 1U);
  EXPECT_EQ(swept->peers.front().key, gone.key);
  EXPECT_EQ(serial(), before + 1);
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM peers"), "4");
  EXPECT_EQ(events(5), "1");
  EXPECT_TRUE(get(store().delete_ephemeral(soon(), 10min, 100))->peers.empty());
}

TEST_P(SweepsTest, AnyNumberOfSweepersTakesEachPeerOnce) {
  constexpr int kPeers = 40;
  for (int i = 0; i < kPeers; ++i) {
    const Peer peer = sso_peer("p" + std::to_string(i));
    ASSERT_TRUE(get(store().connect(soon(), {peer.id, InstanceId("i"), 1})));
  }
  instance_.sql("UPDATE peers SET last_login = " + past("25 hours"));
  const Instance other(fixture_);
  std::atomic<std::size_t> taken{0};
  std::vector<std::thread> sweepers;
  for (int i = 0; i < 4; ++i)
    sweepers.emplace_back([&, i] {
      Store& mine = i % 2 == 0 ? *instance_.store : *other.store;
      for (std::size_t round = 1; round != 0;) {
        const auto swept = get(mine.expire_logins(soon(), 3));
        ASSERT_TRUE(swept) << swept.error().text;
        round = swept->peers.size();
        taken += round;
      }
    });
  for (std::thread& sweeper : sweepers) sweeper.join();
  // A sweeper may end while another still holds the last rows.
  taken += get(store().expire_logins(soon(), 100))->peers.size();
  EXPECT_EQ(taken, static_cast<std::size_t>(kPeers));
  EXPECT_EQ(events(50), std::to_string(kPeers));
}

INSTANTIATE_TEST_SUITE_P(Engines, SweepsTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
