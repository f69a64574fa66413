// Two netbird-mgmt with everything broken that can break between them: after each fault no update
// is lost, no serial falls, nobody is wrongly marked and nothing is registered twice.
#include "integration/mgmt_cluster.h"
#include "integration/mgmt_job_stream.h"
#include "support/commit_proxy.h"
#include "support/paths.h"

#include <gmock/gmock.h>

#include <atomic>
#include <set>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

class MgmtFaults : public MgmtCluster {
 protected:
  [[nodiscard]] std::string query(const std::string& sql) const { return postgres.psql(sql); }
  /// Logs in until the server takes it; only UNAVAILABLE may come before.
  void login_until_taken(const Agent& peer, const std::string& target) const {
    const bool joined = eventually(
        [&] {
          const auto answer = peer.login(target, key);
          EXPECT_TRUE(answer.ok() || answer.status.error_code() == StatusCode::UNAVAILABLE ||
                      answer.status.error_code() == StatusCode::DEADLINE_EXCEEDED)
              << answer.status.error_code() << ": " << answer.status.error_message();
          return answer.ok();
        },
        30s);
    EXPECT_TRUE(joined);
  }
};

TEST_F(MgmtFaults, ConnectionsCutInMidTransactionLoseAndDoubleNothing) {
  const auto watcher = agent("watcher", one);
  SyncStream stream(*watcher, one.target());
  ASSERT_TRUE(stream.wait_first());
  std::atomic<bool> done{false};
  std::thread breaker([&] {
    while (!done) {
      postgres.break_connections();
      std::this_thread::yield();
    }
  });
  std::vector<std::unique_ptr<Agent>> agents;
  for (int i = 0; i < 24; ++i)
    agents.push_back(std::make_unique<Agent>("cut-" + std::to_string(i)));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = static_cast<std::size_t>(t); i < agents.size(); i += 4)
        login_until_taken(*agents[i], (i % 2 == 0 ? one : two).target());
    });
  for (auto& thread : threads) thread.join();
  done = true;
  breaker.join();
  EXPECT_EQ(query("select count(*), count(distinct key), count(distinct ip) from peers"),
            "25|25|25");
  EXPECT_EQ(query("select count(*) from (select group_id, peer_id from group_peers group by 1, 2 "
                  "having count(*) > 1) doubled"),
            "0");
  EXPECT_TRUE(eventually([&] { return stream.last()->networkmap().remotepeers_size() == 24; }, 20s))
      << stream.last()->networkmap().remotepeers_size();
  expect_rising(stream);
}

TEST_F(MgmtFaults, RedisThatAnswersNobodyDelaysUpdatesOnlyALittle) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  redis.cli({"CLIENT", "PAUSE", "600000", "ALL"});  // longer than this test
  const auto b = agent("b", two);
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 7s));
  EXPECT_TRUE(a->login(two.target()).ok());
  EXPECT_TRUE(one.ready() && two.ready());
  expect_rising(stream);
}

TEST_F(MgmtFaults, RepeatedAndReorderedMessagesChangeNothing) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  const std::string account = query("select id from accounts");
  const auto b = agent("b", two);
  ASSERT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 5s));
  const auto before = stream.received().size();
  const int serial = std::stoi(query("select network_serial from accounts"));
  for (int i = serial + 3; i >= 0; --i)  // some from the future, and everything that was, backwards
    redis.cli({"PUBLISH", "nb:mgmt:account:" + account,
               "nbmgmt1\nchanged\n" + account + "\nmgmt-2/1\n" + std::to_string(i)});
  redis.cli({"PUBLISH", "nb:mgmt:account:" + account,
             "nbmgmt1\nsuperseded\n" + account + "\nmgmt-2/1\n" + id(*a) + "\n1"});
  const auto c = agent("c", two);
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, c->key()); }, 5s));
  EXPECT_EQ(stream.received().size(), before + 1);  // what changes nothing sends nothing
  EXPECT_FALSE(stream.wait_end(0ms));
  expect_rising(stream);
}

TEST_F(MgmtFaults, ExpiredLoginEndsTheStreamEverywhereAndOnce) {
  const auto watcher = agent("watcher", one);
  const auto user = agent("user", two);
  postgres.psql(
      "update peers set user_id = (select created_by from accounts), "
      "login_expiration_enabled = true, last_login = now() where key='" +
      user->key() + "'");
  postgres.psql(
      "update accounts set settings_peer_login_expiration_enabled = true, "
      "settings_peer_login_expiration = 3600000000000");
  SyncStream seen(*watcher, one.target());
  SyncStream stream(*user, two.target());
  ASSERT_TRUE(seen.wait_for([&](const auto& m) { return shows_peer(m, user->key()); }));
  ASSERT_TRUE(stream.wait_first());
  postgres.psql("update peers set last_login = now() - interval '2 hours' where key='" +
                user->key() + "'");
  const auto end = stream.wait_end(15s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok()) << end->error_message();
  EXPECT_TRUE(seen.wait_for(
      [&](const auto& m) {
        const auto& offline = m.networkmap().offlinepeers();
        return std::ranges::any_of(offline,
                                   [&](const auto& p) { return p.wgpubkey() == user->key(); });
      },
      10s));
  EXPECT_EQ(connected(*user), "f");
  SyncStream again(*user, one.target());
  const auto refused = again.wait_end(10s);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(refused->error_message(), "peer login has expired, please log in once more");
  EXPECT_EQ(user->login(two.target()).status.error_message(),
            "peer login has expired, please log in once more");
  const double expired = one.metric("netbird_management_logins_expired_total") +
                         two.metric("netbird_management_logins_expired_total");
  EXPECT_EQ(expired, 1);
}

TEST_F(MgmtFaults, EphemeralPeerLeavesOnce) {
  const std::string passing = one.setup_key({"--name", "passing", "--ephemeral"});
  const auto watcher = agent("watcher", one);
  SyncStream stream(*watcher, one.target());
  const Agent guest("guest");
  ASSERT_TRUE(guest.login(two.target(), passing).ok());
  ASSERT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, guest.key()); }));
  const std::string member = id(guest) + "|" + query("select id from accounts");
  EXPECT_TRUE(eventually(
      [&] {
        return !redis.cli({"ZSCORE", "nb:mgmt:ephemeral", member}).empty();
      },
      5s));
  postgres.psql(
      "update peers set peer_status_last_seen = now() - interval '11 minutes' where key='" +
      guest.key() + "'");
  redis.cli({"ZADD", "nb:mgmt:ephemeral", "1", member});
  EXPECT_TRUE(eventually([&] { return id(guest).empty(); }, 60s));
  EXPECT_TRUE(eventually([&] { return !shows_peer(*stream.last(), guest.key()); }, 5s));
  EXPECT_EQ(one.metric("management_ephemeral_peers_cleaned_counter_total") +
                two.metric("management_ephemeral_peers_cleaned_counter_total"),
            1);
  EXPECT_EQ(connected(*watcher), "t");
}

TEST_F(MgmtFaults, EphemeralPeerOfAKilledInstanceLeavesOnce) {  // network-map.md scenario 72
  const std::string passing = one.setup_key({"--name", "passing", "--ephemeral"});
  const auto watcher = agent("watcher", one);
  SyncStream stream(*watcher, one.target());
  const Agent guest("guest");
  ASSERT_TRUE(guest.login(two.target(), passing).ok());
  SyncStream guests(guest, two.target());
  ASSERT_TRUE(guests.wait_first());
  ASSERT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, guest.key()); }));
  const std::string member = id(guest) + "|" + query("select id from accounts");
  const auto waits = [&] { return !redis.cli({"ZSCORE", "nb:mgmt:ephemeral", member}).empty(); };
  EXPECT_TRUE(eventually([&] { return !waits(); }, 5s));  // while it is connected
  two.process().kill();
  EXPECT_TRUE(eventually([&] { return connected(guest) == "f"; }, 20s));
  EXPECT_TRUE(eventually(waits, 10s));  // scheduled by who found the other one dead
  postgres.psql(
      "update peers set peer_status_last_seen = now() - interval '11 minutes' where key='" +
      guest.key() + "'");
  redis.cli({"ZADD", "nb:mgmt:ephemeral", "1", member});
  EXPECT_TRUE(eventually([&] { return id(guest).empty(); }, 60s));
  EXPECT_TRUE(eventually([&] { return !shows_peer(*stream.last(), guest.key()); }, 5s));
  EXPECT_EQ(one.metric("management_ephemeral_peers_cleaned_counter_total"), 1);
}

TEST_F(MgmtFaults, DrainSpreadsStreamsAndNeverCancels) {
  HaProxy balancer({{.name = "one", .port = one.port(), .check_port = one.metrics_port()},
                    {.name = "two", .port = two.port(), .check_port = two.metrics_port()}});
  std::vector<std::unique_ptr<Agent>> agents;
  std::vector<std::unique_ptr<SyncStream>> streams;
  std::vector<std::unique_ptr<JobStream>> jobs;
  for (int i = 0; i < 16; ++i) {
    agents.push_back(agent("drained-" + std::to_string(i), one));
    streams.push_back(std::make_unique<SyncStream>(*agents.back(), one.target()));
    jobs.push_back(std::make_unique<JobStream>(*agents.back(), one.target()));
    ASSERT_TRUE(streams.back()->wait_first());
    ASSERT_TRUE(jobs.back()->wait_open());
  }
  one.process().signal(SIGTERM);
  const auto began = std::chrono::steady_clock::now();
  /// When they ended, in tenths of a second.
  const auto moments_of = [&](auto& ending) {
    std::set<std::int64_t> moments;
    std::size_t ended = 0;
    std::vector<bool> counted(ending.size());
    EXPECT_TRUE(eventually(
        [&] {
          for (std::size_t i = 0; i < ending.size(); ++i) {
            if (counted[i] || !ending[i]->wait_end(0ms)) continue;
            counted[i] = true;
            ++ended;
            moments.insert((std::chrono::steady_clock::now() - began) / 100ms);
          }
          return ended == ending.size();
        },
        10s));
    for (const auto& stream : ending)
      EXPECT_EQ(stream->wait_end(0ms)->error_code(), StatusCode::UNAVAILABLE);
    return moments.size();
  };
  std::size_t of_jobs = 0;
  std::thread watching([&] { of_jobs = moments_of(jobs); });
  EXPECT_GT(moments_of(streams), 3U);
  watching.join();
  EXPECT_GT(of_jobs, 3U);
  for (std::size_t i = 0; i < agents.size(); ++i) {
    SyncStream again(*agents[i], balancer.address());
    ASSERT_TRUE(again.wait_first()) << i;
    EXPECT_EQ(connected(*agents[i]), "t");
  }
}

/// The second instance lives half a minute in the future.
class MgmtClocks : public MgmtFaults {
 protected:
  static constexpr const char* kLibrary = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
  void SetUp() override {
    if (::access(kLibrary, R_OK) != 0) GTEST_SKIP() << "libfaketime is not installed";
    // A preloaded library comes before the sanitizer's, which refuses to start then.
    const Finished libraries = run({.argv = {"ldd", program_dir() + "/netbird-mgmt"}});
    for (const char* name : {"libasan", "libtsan"})
      if (libraries.output.find(name) != std::string::npos)
        GTEST_SKIP() << "libfaketime does not go with " << name;
  }
  void ahead(const std::string& offset) {
    two.process().kill();
    auto late = options("mgmt-2");
    late.env["LD_PRELOAD"] = kLibrary;
    late.env["FAKETIME"] = offset;
    late.env["FAKETIME_DONT_FAKE_MONOTONIC"] = "1";
    skewed = std::make_unique<MgmtServer>(late);
    skewed->start();
  }
  std::unique_ptr<MgmtServer> skewed;
};

TEST_F(MgmtClocks, InstancesHalfAMinuteApartAgreeOnEverything) {
  for (const char* offset : {"+30s", "-30s"}) {
    ahead(offset);
    const auto a = agent(std::string("a") + offset, one);
    SyncStream first(*a, one.target());
    ASSERT_TRUE(first.wait_first());
    SyncStream second(*a, skewed->target());
    ASSERT_TRUE(second.wait_first());
    ASSERT_TRUE(first.wait_end(5s));  // superseded, whichever clock is ahead
    SyncStream third(*a, one.target());
    ASSERT_TRUE(third.wait_first());
    ASSERT_TRUE(second.wait_end(5s));
    EXPECT_FALSE(third.wait_end(0ms));
    EXPECT_EQ(connected(*a), "t");
    const auto b = agent(std::string("b") + offset, *skewed);
    EXPECT_TRUE(third.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 5s));
    expect_rising(third);
    // Longer than a lease: nobody takes the other for dead.
    const auto until = std::chrono::steady_clock::now() + 5s;
    bool lost = false;
    ASSERT_TRUE(eventually(
        [&] {
          lost = connected(*a) != "t";
          return lost || std::chrono::steady_clock::now() > until;
        },
        20s));
    EXPECT_FALSE(lost);
    skewed.reset();
  }
}

/// Each instance speaks on channels of its own: every message is lost.
class MgmtDeaf : public MgmtFaults {
 protected:
  void SetUp() override {
    two.process().kill();
    auto alone = options("mgmt-2");
    alone.env["NB_MGMT_ACCOUNT_CHANNEL_PREFIX"] = "elsewhere:";
    deaf = std::make_unique<MgmtServer>(alone);
    deaf->start();
  }
  std::unique_ptr<MgmtServer> deaf;
};

TEST_F(MgmtDeaf, LostMessagesAreADelayAndNoLoss) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  // With a stream of its own the other instance knows that Redis carries messages, and does not
  // tell through the database.
  const auto other = agent("other", *deaf);
  SyncStream warm(*other, deaf->target());
  ASSERT_TRUE(warm.wait_first());
  ASSERT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, other->key()); }, 10s));
  const auto b = agent("b", *deaf);
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 10s));
  EXPECT_GT(one.metric("netbird_management_repairs_total"), 0);
  // The newer stream elsewhere is not announced either: the database's epoch still fences.
  SyncStream fresh(*a, deaf->target());
  ASSERT_TRUE(fresh.wait_first());
  stream.cancel();
  ASSERT_TRUE(stream.wait_end(5s));
  EXPECT_FALSE(eventually([&] { return connected(*a) != "t"; }, 2s));
}

TEST_F(MgmtDeaf, StreamsOfPeersThatMayHaveNoneEndWithoutTheirMessages) {  // contract §5.6
  const auto deleted = agent("deleted", one);
  const auto stays = agent("stays", one);
  SyncStream of_deleted(*deleted, one.target());
  SyncStream of_other(*stays, one.target());
  ASSERT_TRUE(of_deleted.wait_first() && of_other.wait_first());
  const auto elsewhere = agent("elsewhere", *deaf);
  SyncStream warm(*elsewhere, deaf->target());
  ASSERT_TRUE(warm.wait_first());
  ASSERT_TRUE(deleted->logout(deaf->target()).ok());
  const auto end = of_deleted.wait_end(10s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok()) << end->error_message();
  // As an instance does whose login sweep nobody hears.
  postgres.psql("update peers set user_id = 'u', peer_status_login_expired = true where key='" +
                stays->key() + "'; update accounts set network_serial = network_serial + 1");
  EXPECT_TRUE(of_other.wait_end(10s));
}

TEST(MgmtLostAnswer, LeavesNoPeerConnectedWhoseAgentNeverComesBack) {
  const PostgresServer postgres;
  CommitProxy proxy(postgres.port());
  std::string dsn = postgres.dsn();
  const std::string port = ":" + std::to_string(postgres.port());
  dsn.replace(dsn.find(port), port.size(), ":" + std::to_string(proxy.port()));
  MgmtServer server({.postgres_dsn = dsn});
  server.start();
  const Agent peer("peer");
  ASSERT_TRUE(peer.login(server.target(), server.setup_key()).ok());
  proxy.lose_answer("INSERT INTO nb_peer_sessions");
  {
    const SyncStream stream(peer, server.target());
    const auto end = stream.wait_end(10s);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error_code(), StatusCode::UNAVAILABLE) << end->error_message();
  }
  ASSERT_TRUE(proxy.struck());
  ASSERT_EQ(postgres.psql("select count(*) from nb_peer_sessions where call_no > 0"), "1");
  EXPECT_TRUE(eventually(
      [&] { return postgres.psql("select peer_status_connected from peers") == "f"; }, 10s));
}

}  // namespace
}  // namespace nb::test
