// Which instance serves which peer: sessions, leases, and what becomes of both without an answer.
#include "management/store/test_account.h"
#include "support/commit_proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class SessionsTest : public FreshAccountTest {
 protected:
  PeerStatus status(const Registered& peer) {
    return get(store().peer_by_key(soon(), peer.peer.key))->peer.status;
  }
};

TEST_P(SessionsTest, OnlyTheNewestSessionCanEndIt) {
  const Registered peer = add_peer(make_key());
  const auto first = get(store().connect(soon(), {peer.peer.id, InstanceId("a"), 1}));
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ(first->previous_epoch, 0);
  const auto second = get(store().connect(soon(), {peer.peer.id, InstanceId("b"), 1}));
  ASSERT_TRUE(second);
  EXPECT_GT(second->epoch, first->epoch);
  EXPECT_EQ(second->previous_epoch, first->epoch);
  EXPECT_EQ(second->previous_instance, InstanceId("a"));
  EXPECT_FALSE(*get(store().disconnect(soon(), peer.peer.id, first->epoch)));
  EXPECT_TRUE(get(store().peer_by_key(soon(), peer.peer.key))->peer.status.connected);
  EXPECT_TRUE(*get(store().disconnect(soon(), peer.peer.id, second->epoch)));
  EXPECT_FALSE(*get(store().disconnect(soon(), peer.peer.id, second->epoch)));
  const auto gone = get(store().peer_by_key(soon(), peer.peer.key));
  EXPECT_FALSE(gone->peer.status.connected);
  EXPECT_EQ(gone->peer.status.session_started_at, 0);
  const auto third = get(store().connect(soon(), {peer.peer.id, InstanceId("a"), 1}));
  EXPECT_GT(third->epoch, second->epoch);
  EXPECT_EQ(get(store().connect(soon(), {PeerId("nobody"), InstanceId("a"), 1})).error().code,
            Code::kNotFound);
  EXPECT_EQ(serial(), 1U);  // no map depends on it
}

TEST_P(SessionsTest, BeginSyncIsBothStepsInOne) {
  const Registered peer = add_peer(make_key());
  const SessionCall call{{}, InstanceId("a"), 5, 1};
  MetaUpdate update{.key = peer.peer.key, .meta = peer.peer.meta, .location = {}};
  const auto first = get(store().begin_sync(soon(), update, call));
  ASSERT_TRUE(first) << first.error().text;
  ASSERT_TRUE(first->session) << first->session.error().text;
  EXPECT_FALSE(first->meta.change.any);
  EXPECT_EQ(first->meta.view.peer.id, peer.peer.id);
  EXPECT_EQ(status(peer).session_started_at, first->session->epoch);
  EXPECT_EQ(serial(), 1U);

  update.meta->wt_version = "9.9.9";
  const auto second = get(store().begin_sync(soon(), update, {{}, InstanceId("b"), 7, 1}));
  ASSERT_TRUE(second) << second.error().text;
  ASSERT_TRUE(second->session) << second->session.error().text;
  EXPECT_TRUE(second->meta.change.any);
  EXPECT_EQ(get(store().peer_by_key(soon(), peer.peer.key))->peer.meta.wt_version, "9.9.9");
  EXPECT_EQ(second->session->previous_epoch, first->session->epoch);
  EXPECT_EQ(second->session->previous_instance, InstanceId("a"));
  EXPECT_FALSE(*get(store().disconnect(soon(), peer.peer.id, first->session->epoch)));
  EXPECT_TRUE(*get(store().abandon(soon(), {peer.peer.id, InstanceId("b"), 7, 1})));
}

TEST_P(SessionsTest, BeginSyncLetsNobodyInWhoIsNotWelcome) {
  const Registered peer = add_peer(make_key());
  MetaUpdate update{.key = PeerKey("nobody"), .meta = {}, .location = {}};
  const SessionCall call{{}, InstanceId("a"), 5, 1};
  EXPECT_EQ(get(store().begin_sync(soon(), update, call)).error().code, Code::kNotFound);
  instance_.sql(
      "UPDATE users SET blocked = TRUE; UPDATE peers SET user_id = (SELECT MIN(id) FROM users)");
  update = {.key = peer.peer.key, .meta = peer.peer.meta, .location = {}};
  update.meta->wt_version = "9.9.9";
  const auto refused = get(store().begin_sync(soon(), update, call));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (Error{Code::kPermissionDenied, "user is blocked"}));
  EXPECT_FALSE(status(peer).connected);
  EXPECT_NE(get(store().peer_by_key(soon(), peer.peer.key))->peer.meta.wt_version, "9.9.9");
}

TEST_P(SessionsTest, ComingAndGoingRenewsNoLogin) {  // contract/management-grpc.md §5.5
  const Registered peer = add_peer(make_key());
  // Expired after the stream was let in and before it is marked.
  instance_.sql("UPDATE peers SET peer_status_login_expired = TRUE");
  const auto session = get(store().connect(soon(), {peer.peer.id, InstanceId("a"), 1}));
  ASSERT_TRUE(session) << session.error().text;
  EXPECT_TRUE(session->login_expired);
  EXPECT_TRUE(status(peer).connected);
  EXPECT_TRUE(status(peer).login_expired);
  EXPECT_TRUE(*get(store().disconnect(soon(), peer.peer.id, session->epoch)));
  EXPECT_TRUE(status(peer).login_expired);
}

TEST_P(SessionsTest, EpochsGrowEvenIfTheStoredOneIsFromTheFuture) {
  const Registered peer = add_peer(make_key());
  const std::int64_t future = 4'000'000'000'000'000'000;
  instance_.sql("UPDATE peers SET peer_status_session_started_at = " + std::to_string(future));
  const auto session = get(store().connect(soon(), {peer.peer.id, InstanceId("a"), 1}));
  ASSERT_TRUE(session);
  EXPECT_EQ(session->epoch, future + 1);
  ASSERT_TRUE(*get(store().disconnect(soon(), peer.peer.id, session->epoch)));
  EXPECT_EQ(get(store().connect(soon(), {peer.peer.id, InstanceId("a"), 1}))->epoch, future + 2);
}

TEST_P(SessionsTest, PeersOfDeadInstancesAreDisconnectedAndNoOthers) {
  const SetupKey key = make_key();
  const Registered on_dead = add_peer(key, "dead");
  const Registered on_alive = add_peer(key, "alive");
  const Registered on_restarted = add_peer(key, "restarted");
  const InstanceId dead("dead");
  const InstanceId alive("alive");
  ASSERT_TRUE(get(store().heartbeat(soon(), dead, 1, 1h)));
  ASSERT_TRUE(get(store().heartbeat(soon(), alive, 1, 1h)));
  ASSERT_TRUE(get(store().connect(soon(), {on_dead.peer.id, dead, 1})));
  ASSERT_TRUE(get(store().connect(soon(), {on_alive.peer.id, alive, 1})));
  ASSERT_TRUE(get(store().connect(soon(), {on_restarted.peer.id, InstanceId("restarted"), 1})));
  ASSERT_TRUE(get(store().heartbeat(soon(), InstanceId("restarted"), 2, 1h)));
  auto reaped = get(store().disconnect_dead(soon(), 100));
  ASSERT_TRUE(reaped) << reaped.error().text;
  ASSERT_EQ(reaped->size(), 1U);
  EXPECT_EQ(reaped->front().peer, on_restarted.peer.id);
  ASSERT_TRUE(get(store().retire(soon(), dead, 1)));
  reaped = get(store().disconnect_dead(soon(), 100));
  ASSERT_EQ(reaped->size(), 1U);
  EXPECT_EQ(reaped->front().peer, on_dead.peer.id);
  EXPECT_EQ(reaped->front().account, account_.id);
  EXPECT_TRUE(get(store().peer_by_key(soon(), on_alive.peer.key))->peer.status.connected);
  EXPECT_EQ(get(store().disconnect_dead(soon(), 100))->size(), 0U);
}

TEST_P(SessionsTest, ALeaseSaysSinceWhenItIsHeldWithoutAGap) {
  const InstanceId id("mgmt-1");
  const auto first = get(store().heartbeat(soon(), id, 1, 1h));
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ(*get(store().heartbeat(soon(), id, 1, 1h)), *first);
  instance_.sql("UPDATE nb_instances SET lease_until = 0, held_since = 5");
  const auto again = get(store().heartbeat(soon(), id, 1, 1h));
  EXPECT_GE(*again, *first);
  EXPECT_EQ(*get(store().heartbeat(soon(), id, 1, 1h)), *again);
  instance_.sql("UPDATE nb_instances SET held_since = 5");
  EXPECT_GE(*get(store().heartbeat(soon(), id, 2, 1h)), *first);  // a new process
}

TEST_P(SessionsTest, SessionsOfALapsedLeaseAreTakenBackWhereNobodyElseHasThePeer) {
  const SetupKey key = make_key();
  const InstanceId ours("ours");
  const InstanceId other("other");
  ASSERT_TRUE(get(store().heartbeat(soon(), ours, 1, 1h)));
  ASSERT_TRUE(get(store().heartbeat(soon(), other, 1, 1h)));
  std::map<std::string, Registered> peers;
  std::map<std::string, std::int64_t> epochs;
  for (const char* name : {"reaped", "moved", "moved-and-left", "left", "expired", "deleted"}) {
    peers.emplace(name, add_peer(key, name));
    epochs[name] = get(store().connect(soon(), {peers.at(name).peer.id, ours, 1}))->epoch;
  }
  instance_.sql("UPDATE nb_instances SET lease_until = 0 WHERE id = 'ours'");
  ASSERT_EQ(get(store().disconnect_dead(soon(), 100))->size(), 6U);
  const auto id = [&](const char* name) { return peers.at(name).peer.id; };
  const auto moved = get(store().connect(soon(), {id("moved"), other, 1}));
  EXPECT_EQ(moved->previous_epoch, epochs["moved"]);  // its old stream may still be there
  EXPECT_EQ(moved->previous_instance, ours);
  const auto left = get(store().connect(soon(), {id("moved-and-left"), other, 1}));
  ASSERT_TRUE(*get(store().disconnect(soon(), id("moved-and-left"), left->epoch)));
  EXPECT_FALSE(*get(store().disconnect(soon(), id("left"), epochs["left"])));  // reaped already
  instance_.sql("UPDATE peers SET user_id = 'u', peer_status_login_expired = TRUE WHERE id = '" +
                id("expired").value() + "'");
  ASSERT_TRUE(get(store().delete_peer(soon(), peers.at("deleted").peer.key, "")));
  ASSERT_TRUE(get(store().heartbeat(soon(), ours, 1, 1h)));
  std::vector<OpenSession> open;
  for (const char* name : {"reaped", "moved", "moved-and-left", "left", "expired", "deleted"})
    open.push_back({id(name), epochs[name]});
  const auto fates = get(store().reassert(soon(), open));
  ASSERT_TRUE(fates) << fates.error().text;
  EXPECT_THAT(*fates, testing::ElementsAre(SessionFate::kRestored, SessionFate::kSuperseded,
                                           SessionFate::kSuperseded, SessionFate::kEnded,
                                           SessionFate::kRefused, SessionFate::kDeleted));
  const auto seen = [&](const char* name) {
    return get(store().peer_by_key(soon(), peers.at(name).peer.key))->peer.status;
  };
  EXPECT_TRUE(seen("reaped").connected);
  EXPECT_EQ(seen("reaped").session_started_at, epochs["reaped"]);
  EXPECT_EQ(seen("moved").session_started_at, moved->epoch);
  for (const char* name : {"moved-and-left", "left", "expired"})
    EXPECT_FALSE(seen(name).connected) << name;
  EXPECT_EQ(get(store().disconnect_dead(soon(), 100))->size(), 0U);
  EXPECT_THAT(*get(store().reassert(soon(), {open[0]})), testing::ElementsAre(SessionFate::kHeld));
  EXPECT_TRUE(*get(store().disconnect(soon(), id("reaped"), epochs["reaped"])));
  EXPECT_FALSE(seen("reaped").connected);
  EXPECT_THAT(*get(store().reassert(soon(), {open[0]})), testing::ElementsAre(SessionFate::kEnded));
}

TEST_P(SessionsTest, AnOldProcessCannotRenewTheLeaseOfItsSuccessor) {
  const InstanceId id("mgmt-1");
  ASSERT_TRUE(get(store().heartbeat(soon(), id, 7, 1h)));
  EXPECT_EQ(get(store().heartbeat(soon(), id, 6, 1h)).error().code, Code::kAborted);
  EXPECT_TRUE(get(store().heartbeat(soon(), id, 7, 1h)));
}

TEST_P(SessionsTest, AbandonEndsTheSessionOfExactlyThatCall) {
  const Registered peer = add_peer(make_key());
  const SessionCall first{peer.peer.id, InstanceId("a"), 5, 1};
  EXPECT_FALSE(*get(store().abandon(soon(), first))) << "it never began";
  ASSERT_TRUE(get(store().connect(soon(), first)));
  for (const SessionCall& other : {SessionCall{first.peer, InstanceId("b"), 5, 1},
                                   SessionCall{first.peer, InstanceId("a"), 6, 1},
                                   SessionCall{first.peer, InstanceId("a"), 5, 2}}) {
    EXPECT_FALSE(*get(store().abandon(soon(), other)));
    EXPECT_TRUE(status(peer).connected);
  }
  EXPECT_TRUE(*get(store().abandon(soon(), first)));
  EXPECT_FALSE(status(peer).connected);
  EXPECT_EQ(status(peer).session_started_at, 0);
  EXPECT_FALSE(*get(store().abandon(soon(), first)));

  // The same agent was faster: its new session stays.
  SessionCall second = first;
  second.number = 2;
  ASSERT_TRUE(get(store().connect(soon(), first)));
  const auto now = get(store().connect(soon(), second));
  EXPECT_FALSE(*get(store().abandon(soon(), first)));
  EXPECT_TRUE(status(peer).connected);
  EXPECT_EQ(status(peer).session_started_at, now->epoch);
  EXPECT_FALSE(*get(store().abandon(soon(), {PeerId("nobody"), InstanceId("a"), 5, 1})));
  EXPECT_EQ(serial(), 1U);
}

TEST_P(SessionsTest, AbandonedEmbeddedProxyLeavesTheMaps) {
  const Registered peer = add_peer(make_key());
  instance_.sql("UPDATE peers SET proxy_meta_embedded = TRUE");
  const SessionCall call{peer.peer.id, InstanceId("a"), 1, 1};
  ASSERT_TRUE(get(store().connect(soon(), call)));
  const std::uint64_t before = serial();
  ASSERT_TRUE(*get(store().abandon(soon(), call)));
  EXPECT_EQ(serial(), before + 1);
}

TEST_P(SessionsTest, AbandonedSessionIsNotGivenBackAfterALapse) {
  const Registered peer = add_peer(make_key());
  const SessionCall call{peer.peer.id, InstanceId("a"), 1, 1};
  ASSERT_TRUE(get(store().heartbeat(soon(), call.instance, 1, 1h)));
  const auto session = get(store().connect(soon(), call));
  instance_.sql("UPDATE nb_instances SET lease_until = 0");
  ASSERT_EQ(get(store().disconnect_dead(soon(), 10))->size(), 1U);
  EXPECT_FALSE(*get(store().abandon(soon(), call))) << "it has ended already";
  ASSERT_TRUE(get(store().heartbeat(soon(), call.instance, 1, 1h)));
  EXPECT_THAT(*get(store().reassert(soon(), {{peer.peer.id, session->epoch}})),
              testing::ElementsAre(SessionFate::kEnded));
  EXPECT_FALSE(status(peer).connected);
}

INSTANTIATE_TEST_SUITE_P(Engines, SessionsTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& engine) {
                           return engine.param == sql::Engine::kSqlite ? "sqlite" : "postgres";
                         });

/// An instance whose way to PostgreSQL loses what decides a transaction.
class LostAnswerTest : public SessionsTest {
 protected:
  void SetUp() override {
    SessionsTest::SetUp();
    std::string text = sql::test::postgres().dsn(fixture_.name());
    const std::string port = ":" + std::to_string(sql::test::postgres().port());
    text.replace(text.find(port), port.size(), ":" + std::to_string(proxy_.port()));
    auto dsn = sql::Dsn::postgres(text);
    ASSERT_TRUE(dsn);
    auto opened = sql::Database::open(*std::move(dsn), {}, Logger());
    ASSERT_TRUE(opened);
    database_ = *std::move(opened);
    far_ = make_sql_store(
        {*database_, &example_cipher(), random_source(), system_clock(), {}, nullptr});
    call_ = {add_peer(make_key()).peer.id, InstanceId("a"), 1, 1};
  }
  [[nodiscard]] std::string connected() const {
    return instance_.value("SELECT peer_status_connected FROM peers");
  }

  nb::test::CommitProxy proxy_{sql::test::postgres().port()};
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<Store> far_;
  SessionCall call_;
};

TEST_P(LostAnswerTest, SessionThatBeganWithoutAnAnswerIsEnded) {
  proxy_.lose_answer();
  const auto lost = get(far_->connect(soon(), call_));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kUnavailable) << lost.error().text;
  ASSERT_TRUE(proxy_.struck());
  EXPECT_EQ(connected(), "t");
  const auto ended = get(far_->abandon(soon(), call_));
  ASSERT_TRUE(ended) << ended.error().text;
  EXPECT_TRUE(*ended);
  EXPECT_EQ(connected(), "f");
}

TEST_P(LostAnswerTest, SyncThatBeganWithoutAnAnswerNamesItsPeer) {
  const PeerKey key(instance_.value("SELECT key FROM peers"));
  proxy_.lose_answer();
  const auto begun = get(far_->begin_sync(soon(), {.key = key, .meta = {}, .location = {}},
                                          {{}, call_.instance, 1, 1}));
  ASSERT_TRUE(begun) << begun.error().text;
  ASSERT_FALSE(begun->session);
  EXPECT_EQ(begun->session.error().code, Code::kUnavailable) << begun->session.error().text;
  EXPECT_EQ(begun->meta.view.peer.id, call_.peer);
  ASSERT_TRUE(proxy_.struck());
  EXPECT_EQ(connected(), "t");
  EXPECT_TRUE(*get(far_->abandon(soon(), call_)));
  EXPECT_EQ(connected(), "f");
}

TEST_P(LostAnswerTest, CommitThatIsStillUnderWayIsWaitedFor) {
  // The connection is open and its statements are prepared: what is left is done in time.
  ASSERT_TRUE(get(far_->connect(soon(), {call_.peer, InstanceId("a"), 1, 2})));
  EXPECT_TRUE(*get(far_->abandon(soon(), {call_.peer, InstanceId("a"), 1, 2})));
  proxy_.hold_commit();
  const auto lost = get(far_->connect(soon(nb::test::patient(2s)), call_));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kDeadlineExceeded) << lost.error().text;
  ASSERT_TRUE(proxy_.struck());
  ASSERT_EQ(connected(), "f") << "nothing is committed yet";
  Result<bool> ended;
  std::thread abandoning([&] { ended = get(far_->abandon(soon(), call_)); });
  EXPECT_TRUE(nb::test::eventually([&] {
    return instance_.value(
               "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = "
               "current_database() AND wait_event_type = 'Lock'") == "1";
  }));
  proxy_.release();
  abandoning.join();
  ASSERT_TRUE(ended) << ended.error().text;
  EXPECT_TRUE(*ended);
  EXPECT_EQ(connected(), "f");
}

INSTANTIATE_TEST_SUITE_P(Engines, LostAnswerTest, testing::Values(sql::Engine::kPostgres),
                         [](const auto&) { return "postgres"; });

}  // namespace
}  // namespace nb::management
