// Two netbird-mgmt over one PostgreSQL, one Redis and HAProxy: scenarios 8 to 14 of
// contract/signal-relay-ops.md §7.4 in their stronger form, and the faults of §7.6.
#include "integration/mgmt_cluster.h"

#include "support/golden.h"
#include "support/metric_families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

TEST_F(MgmtCluster, ChangeThroughOneInstanceReachesTheOtherWithinTwoSeconds) {  // 8
  const auto a = agent("a", one);
  SyncStream on_one(*a, one.target());
  ASSERT_TRUE(on_one.wait_first());
  const auto b = agent("b", two);  // joins through the other instance
  SyncStream on_two(*b, two.target());
  EXPECT_TRUE(on_one.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 2s));
  EXPECT_TRUE(on_two.wait_for([&](const auto& m) { return shows_peer(m, a->key()); }, 2s));
  const auto c = agent("c", one);
  EXPECT_TRUE(on_two.wait_for([&](const auto& m) { return shows_peer(m, c->key()); }, 2s));
  EXPECT_TRUE(on_one.wait_for([&](const auto& m) { return shows_peer(m, c->key()); }, 2s));
  ASSERT_TRUE(c->logout(two.target()).ok());
  EXPECT_TRUE(eventually([&] { return !shows_peer(*on_one.last(), c->key()); }, 2s));
  expect_rising(on_one);
  expect_rising(on_two);
  EXPECT_GT(two.metric("netbird_management_bus_received_total"), 0);
}

TEST_F(MgmtCluster, RegistryNamesTheInstanceOfEachConnectedPeer) {  // 9
  const auto a = agent("a", one);
  const auto entry = [&] { return redis.cli({"HGET", "nb:mgmt:peers", a->key()}); };
  {
    SyncStream first(*a, one.target());
    ASSERT_TRUE(first.wait_first());
    EXPECT_TRUE(eventually([&] { return entry() == "mgmt-1"; }, 2s)) << entry();
    EXPECT_GT(std::stoi(redis.cli({"TTL", "nb:mgmt:peers"})), 0);
    SyncStream second(*a, two.target());
    ASSERT_TRUE(second.wait_first());
    EXPECT_TRUE(eventually([&] { return entry() == "mgmt-2"; }, 2s)) << entry();
    redis.cli({"DEL", "nb:mgmt:peers"});
    EXPECT_TRUE(eventually([&] { return entry() == "mgmt-2"; }, 5s)) << entry();
  }
  EXPECT_TRUE(eventually([&] { return entry().empty(); }, 5s)) << entry();
}

TEST_F(MgmtCluster, RegistryForgetsPeersOfAKilledInstance) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  const auto entry = [&] { return redis.cli({"HGET", "nb:mgmt:peers", a->key()}); };
  ASSERT_TRUE(eventually([&] { return entry() == "mgmt-1"; }, 2s));
  one.process().kill();
  EXPECT_TRUE(eventually([&] { return entry().empty(); }, 15s)) << entry();
}

TEST_F(MgmtCluster, HaStatusTellsWhoIsAliveAndWhoServesWhom) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  const auto told = [&](const std::string& text, std::vector<std::string> words = {}) {
    words.insert(words.begin(), {"ha", "status"});
    const Finished done = two.verb(words);
    return done.status == 0 && done.output.find(text) != std::string::npos;
  };
  EXPECT_TRUE(eventually([&] { return told("management\tmgmt-1\tserving\t1\t"); }, 10s));
  EXPECT_TRUE(eventually([&] { return told("management\tmgmt-2\tserving\t0\t"); }, 10s));
  EXPECT_TRUE(told("Mode: active-active\nDatabase: PostgreSQL, ok\nRedis: ok\n"));
  EXPECT_TRUE(told(R"({"service":"management","id":"mgmt-1","alive":true)", {"--json"}));
  one.process().kill();
  EXPECT_TRUE(eventually([&] { return told("management\tmgmt-1\tgone\t"); }, 15s));
  redis.kill();
  EXPECT_TRUE(told("Redis: down: "));
  EXPECT_TRUE(told("management\tmgmt-2\tserving\t"));
}

TEST_F(MgmtCluster, HaStatusCountsSignalPeersUnderTheKeyOfTheSignalServers) {
  redis.cli({"SET", "nb:signal:alive:signal-1", "1-1", "PX", "600000"});
  redis.cli({"ZADD", "nb:signal:instances", "9999999999999", "signal-1"});
  redis.cli({"HSET", "mine:registry", "peer-a", "signal-1", "peer-b", "signal-1"});
  const Finished done = two.verb({"ha", "status", "--signal-registry-key", "mine:registry"});
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, testing::HasSubstr("signal\tsignal-1\talive\t2\t"));
}

TEST_F(MgmtCluster, HaStatusShowsTheRestWhileTheDatabaseIsAway) {
  redis.cli({"SET", "nb:signal:alive:signal-1", "1-1", "PX", "600000"});
  redis.cli({"ZADD", "nb:signal:instances", "9999999999999", "signal-1"});
  postgres.stop();
  const Finished done = two.verb({"ha", "status"});
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, testing::HasSubstr("Database: PostgreSQL, down: "));
  EXPECT_THAT(done.output, testing::HasSubstr("signal\tsignal-1\talive\t0\t"));
  const Finished json = two.verb({"ha", "status", "--json"});
  EXPECT_THAT(json.output,
              testing::HasSubstr(R"("database":{"engine":"postgres","status":"down",)"));
}

TEST_F(MgmtCluster, HaStatusWritesNothing) {
  // Keys that an outsider made something else of; the servers repair them, a look does not.
  const std::vector<std::string> mine = {"nb:signal:instances", "nb:signal:instances:info",
                                         "nb:relay:alive:nb-ha-status", "nb:signal:registry"};
  for (const std::string& name : mine) redis.cli({"RPUSH", name, "x"});
  const Finished done = two.verb({"ha", "status"});
  EXPECT_EQ(done.status, 0) << done.output;
  for (const std::string& name : mine) EXPECT_EQ(redis.cli({"TYPE", name}), "list") << name;
  EXPECT_THAT(done.output, testing::HasSubstr("management\tmgmt-1\t"));
}

TEST_F(MgmtCluster, MetricsOfTheContractAreFed) {  // contract/signal-relay-ops.md §8.2
  const auto a = agent("a", one);
  {
    SyncStream stream(*a, one.target());
    ASSERT_TRUE(stream.wait_first());
    const auto b = agent("b", one);
    EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 5s));
  }
  EXPECT_EQ(http_get(one.port(), "/api/groups").status, 401);
  for (const char* const name :
       {"management_account_get_peer_network_map_duration_ms_milliseconds_count",
        "management_account_network_map_object_count_objects_count",
        "management_account_peer_status_update_counter_total",
        "management_account_peer_status_update_duration_ms_milliseconds_count",
        "management_account_update_account_peers_counter_total",
        "management_account_update_account_peers_duration_ms_milliseconds_count",
        "management_grpc_key_request_counter_total",
        "management_grpc_login_request_counter_total",
        "management_grpc_login_request_duration_ms_milliseconds_count",
        "management_grpc_sync_request_counter_total",
        "management_grpc_sync_request_duration_ms_milliseconds_count",
        "management_grpc_updatechannel_queue_length_count",
        "management_http_request_counter_total",
        "management_http_request_duration_ms_milliseconds_count",
        "management_http_request_duration_ms_total_milliseconds_count",
        "management_http_response_counter_code_total",
        "management_http_response_counter_total",
        "management_network_map_counter_total",
        "management_store_global_lock_acquisition_duration_micro_microseconds_count",
        "management_store_global_lock_acquisition_duration_ms_milliseconds_count",
        "management_store_persistence_duration_micro_microseconds_count",
        "management_store_persistence_duration_ms_milliseconds_count",
        "management_store_transaction_duration_ms_milliseconds_count",
        "management_updatechannel_calc_networkmap_duration_ms_milliseconds_count",
        "management_updatechannel_calc_posturechecks_duration_micro_microseconds_count",
        "management_updatechannel_close_one_duration_micro_microseconds_count",
        "management_updatechannel_create_duration_micro_microseconds_count",
        "management_updatechannel_send_duration_micro_microseconds_count",
        "management_updatechannel_tosyncresponse_duration_micro_microseconds_count"})
    EXPECT_TRUE(eventually([&] { return one.metric(name) > 0; }))
        << name << " " << one.metric(name);
  const std::string page = http_get(one.metrics_port(), "/metrics").body;
  EXPECT_GT(one.metric("management_network_map_counter_total"), 0);
  EXPECT_THAT(
      page.substr(page.find(R"(_network_map_counter_total{resource="peer",operation="create"})")),
      testing::ContainsRegex("^[^ ]+ [1-9]"));
  expect_golden("tests/data/metrics-management-running.txt", metric_families(page));
}

TEST_F(MgmtCluster, FiftyFirstLoginsWithAOneOffKeyGiveOnePeer) {  // 10
  const std::string once = one.setup_key({"--type", "one-off"});
  std::atomic<int> joined{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i)
    threads.emplace_back([&, i] {
      const Agent peer("once-" + std::to_string(i));
      const auto answer = peer.login(i % 2 == 0 ? one.target() : two.target(), once);
      if (answer.ok()) ++joined;
      if (answer.status.error_code() == StatusCode::NOT_FOUND ||
          answer.status.error_code() == StatusCode::FAILED_PRECONDITION)
        ++refused;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(joined, 1);
  EXPECT_EQ(refused, 49);
  EXPECT_EQ(postgres.psql("select count(*) from peers"), "1");
}

TEST_F(MgmtCluster, StreamOfAKilledInstanceResumesElsewhere) {  // 11
  const auto a = agent("a", one);
  const auto b = agent("b", two);
  SyncStream before(*a, one.target());
  ASSERT_TRUE(before.wait_first());
  const auto first = *before.last();
  const auto key_of_one = a->server_key(one.target());
  one.process().kill();
  const auto end = before.wait_end(5s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(a->server_key(two.target()).value, key_of_one.value);
  const auto login = a->login(two.target());
  ASSERT_TRUE(login.ok()) << login.status.error_message();
  SyncStream after(*a, two.target());
  ASSERT_TRUE(after.wait_first(5s));
  EXPECT_EQ(after.last()->peerconfig().address(), first.peerconfig().address());
  EXPECT_GE(after.last()->networkmap().serial(), first.networkmap().serial());
  EXPECT_TRUE(after.last()->has_netbirdconfig());
  const auto c = agent("c", two);
  EXPECT_TRUE(after.wait_for([&](const auto& m) { return shows_peer(m, c->key()); }, 2s));
  EXPECT_EQ(connected(*a), "t");
}

TEST_F(MgmtCluster, APeerThatIsBackAtOnceIsNeverShownAsGone) {
  const auto a = agent("a", one);
  auto stream = std::make_unique<SyncStream>(*a, one.target());
  ASSERT_TRUE(stream->wait_first(5s));
  postgres.psql(
      "create table gone (id text); create function note() returns trigger language plpgsql as $$ "
      "begin insert into gone values (old.id); return new; end $$; create trigger note before "
      "update on peers for each row when (old.peer_status_connected and not "
      "new.peer_status_connected) execute function note()");
  const auto succeeded = [&] {
    return one.metric(
        R"(management_account_peer_status_update_counter_total{operation="disconnect",outcome="stale"})");
  };
  const double before = succeeded();
  for (int i = 0; i < 3; ++i) {
    stream.reset();
    stream = std::make_unique<SyncStream>(*a, one.target());
    ASSERT_TRUE(stream->wait_first(5s));
  }
  EXPECT_TRUE(eventually([&] { return succeeded() == before + 3; }, 10s));
  EXPECT_EQ(postgres.psql("select count(*) from gone"), "0");
  EXPECT_EQ(connected(*a), "t");
  stream.reset();
  EXPECT_TRUE(eventually([&] { return connected(*a) == "f"; }, 10s));
  EXPECT_EQ(postgres.psql("select count(*) from gone"), "1");
}

TEST_F(MgmtCluster, PeersOfAKilledInstanceTurnDisconnectedAndOthersDoNot) {
  const auto a = agent("a", one);
  const auto b = agent("b", two);
  SyncStream on_one(*a, one.target());
  SyncStream on_two(*b, two.target());
  ASSERT_TRUE(on_one.wait_first() && on_two.wait_first());
  ASSERT_EQ(connected(*a), "t");
  one.process().kill();
  EXPECT_TRUE(eventually([&] { return connected(*a) == "f"; }, 15s));
  EXPECT_EQ(connected(*b), "t");
  one.start();
  SyncStream again(*a, one.target());
  ASSERT_TRUE(again.wait_first());
  EXPECT_TRUE(eventually([&] { return connected(*a) == "t"; }, 5s));
}

TEST_F(MgmtCluster, EveryCallMayLandOnAnyInstance) {  // 14
  HaProxy balancer({{.name = "one", .port = one.port(), .check_port = one.metrics_port()},
                    {.name = "two", .port = two.port(), .check_port = two.metrics_port()}});
  const std::string target = balancer.address();
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    const Agent peer("lb-" + std::to_string(i));
    const auto server = peer.server_key(target);
    ASSERT_TRUE(server.ok()) << server.status.error_message();
    keys.insert(server.value);
    const auto joined = peer.login(target, key);
    if (!joined.ok()) static_cast<void>(balancer.process().wait_for_output("/Login", 3s));
    ASSERT_TRUE(joined.ok()) << i << ": " << joined.status.error_message() << '\n'
                             << balancer.process().output();
    SyncStream stream(peer, target);
    ASSERT_TRUE(stream.wait_first()) << i;
    EXPECT_TRUE(stream.last()->has_netbirdconfig());
    EXPECT_EQ(stream.last()->peerconfig().address(), joined.value.peerconfig().address());
  }
  EXPECT_EQ(keys.size(), 1U);
  EXPECT_GT(one.metric("management_grpc_login_request_counter_total"), 0);
  EXPECT_GT(two.metric("management_grpc_login_request_counter_total"), 0);
}

TEST_F(MgmtCluster, LoginSaysWhatPostureLooksForWhereverItLands) {  // contract §5.2
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());  // all streams of the account are at one instance
  ASSERT_TRUE(stream.wait_first());
  postgres.psql(
      R"(insert into posture_checks (id, name, account_id, public_id, checks) select 'pc', 'agent',)"
      R"( id, 'pub', '{"ProcessCheck":{"Processes":[{"LinuxPath":"/usr/bin/agent"}]}}' from accounts;)"
      R"(update policies set source_posture_checks = '["pc"]')");
  const auto files = [](const auto& answer) {
    return answer.value.checks_size() == 1 ? answer.value.checks(0).files(0) : std::string();
  };
  for (const MgmtServer* const at : {&one, &two}) {
    EXPECT_EQ(files(a->login(at->target())), "/usr/bin/agent");
    EXPECT_EQ(files(Agent("fresh").login(at->target(), key)), "/usr/bin/agent");
  }
  postgres.psql("update policy_rules set sources = '[]'");
  EXPECT_EQ(a->login(two.target()).value.checks_size(), 0) << "no policy asks it of this peer";
}

TEST_F(MgmtCluster, NewerStreamElsewhereEndsTheOldOneAndThePeerStaysConnected) {
  const auto a = agent("a", one);
  SyncStream old(*a, one.target());
  ASSERT_TRUE(old.wait_first());
  SyncStream fresh(*a, two.target());
  ASSERT_TRUE(fresh.wait_first());
  const auto end = old.wait_end(5s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok()) << end->error_message();
  EXPECT_FALSE(fresh.wait_end(500ms));
  EXPECT_EQ(connected(*a), "t");
}

TEST_F(MgmtCluster, PeerDeletedThroughOneInstanceEndsItsStreamOnTheOther) {
  const auto a = agent("a", one);
  SyncStream stream(*a, two.target());
  ASSERT_TRUE(stream.wait_first());
  ASSERT_TRUE(a->logout(one.target()).ok());
  const auto end = stream.wait_end(5s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok());
  EXPECT_FALSE(stream.last()->has_peerconfig());
  EXPECT_TRUE(stream.last()->remotepeersisempty());
}

TEST_F(MgmtCluster, ReadinessFollowsTheDatabaseAndOnlyUnavailableIsAnswered) {  // 12
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  EXPECT_EQ(http_get(one.metrics_port(), "/metrics").status, 200);
  postgres.stop();
  EXPECT_TRUE(eventually([&] { return !one.ready() && !two.ready(); }, 10s));
  EXPECT_EQ(http_get(one.metrics_port(), "/healthz").status, 200);
  for (int i = 0; i < 5; ++i) {
    const auto answer = a->login(two.target());
    EXPECT_EQ(answer.status.error_code(), StatusCode::UNAVAILABLE) << answer.status.error_message();
  }
  SyncStream refused(*a, two.target());
  const auto end = refused.wait_end(15s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), StatusCode::UNAVAILABLE) << end->error_message();
  EXPECT_TRUE(a->server_key(two.target()).ok());  // memory only
  EXPECT_FALSE(stream.wait_end(0ms));             // what runs goes on
  postgres.start();
  EXPECT_TRUE(eventually([&] { return one.ready() && two.ready(); }, 20s));
  const auto b = agent("b", two);
  const auto shows_b = [&](const auto& m) { return shows_peer(m, b->key()); };
  // Also after an outage that was longer than the lease (3 s here).
  EXPECT_TRUE(stream.wait_for(shows_b, 10s));
  EXPECT_FALSE(stream.wait_end(0ms));
  expect_rising(stream);
}

TEST_F(MgmtCluster, UpdatesCrossWhileRedisIsDownAndAfterItIsBack) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  redis.kill();
  const auto b = agent("b", two);
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 5s));
  EXPECT_TRUE(one.ready());  // degraded, but in service
  redis.start();
  const auto c = agent("c", two);
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, c->key()); }, 5s));
  redis.cli({"FLUSHALL"});
  const auto d = agent("d", two);
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, d->key()); }, 5s));
  expect_rising(stream);
}

TEST_F(MgmtCluster, StartsWhileRedisIsDown) {
  redis.kill();
  two.process().kill();
  two.start();
  const auto a = agent("a", two);
  SyncStream stream(*a, two.target());
  EXPECT_TRUE(stream.wait_first());
}

TEST_F(MgmtCluster, ForeignMessagesOnTheChannelDoNoHarm) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  const std::string account = postgres.psql("select id from accounts");
  for (const char* payload : {"ping", "", "nbmgmt1\nchanged\nx\ny\n99999999\n*", "\x01\x02\x03"})
    redis.cli({"PUBLISH", "nb:mgmt:account:" + account, payload});
  const auto b = agent("b", two);
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b->key()); }, 5s));
}

TEST_F(MgmtCluster, PausedInstanceTakesBackTheSessionsThatNobodyElseHas) {
  std::vector<std::unique_ptr<Agent>> agents;
  std::vector<std::unique_ptr<SyncStream>> streams;
  for (int i = 0; i < 20; ++i) {
    agents.push_back(agent("stays-" + std::to_string(i), one));
    streams.push_back(std::make_unique<SyncStream>(*agents.back(), one.target()));
    ASSERT_TRUE(streams.back()->wait_first());
  }
  const auto moving = agent("moves", one);
  SyncStream old(*moving, one.target());
  const auto leaving = agent("leaves", one);
  auto left = std::make_unique<SyncStream>(*leaving, one.target());
  const auto blocked = agent("blocked", one);
  SyncStream refused(*blocked, one.target());
  ASSERT_TRUE(old.wait_first() && left->wait_first() && refused.wait_first());
  const auto count = [&](const std::string& state) {
    return postgres.psql("select count(*) from peers where peer_status_connected = " + state);
  };
  ASSERT_EQ(count("true"), "23");
  one.process().pause();
  // Longer than the lease: others take its peers for gone.
  EXPECT_TRUE(eventually([&] { return count("true") == "0"; }, 15s));
  SyncStream fresh(*moving, two.target());
  ASSERT_TRUE(fresh.wait_first());
  left.reset();
  postgres.psql(
      "update users set blocked = true; update peers set user_id = (select created_by "
      "from accounts) where key='" +
      blocked->key() + "'");
  const auto late = agent("late", two);
  one.process().resume();
  EXPECT_TRUE(eventually([&] { return count("true") == "21"; }, 15s)) << count("true");
  ASSERT_TRUE(old.wait_end(10s));  // superseded
  EXPECT_TRUE(old.wait_end(0ms)->ok());
  ASSERT_TRUE(refused.wait_end(10s));
  EXPECT_TRUE(eventually([&] { return connected(*leaving) == "f"; }, 5s));
  EXPECT_EQ(connected(*moving), "t");
  for (const auto& stream : streams) {
    EXPECT_TRUE(stream->wait_for([&](const auto& m) { return shows_peer(m, late->key()); }, 10s));
    EXPECT_FALSE(stream->wait_end(0ms));
    expect_rising(*stream);
  }
  EXPECT_FALSE(fresh.wait_end(0ms));
  EXPECT_EQ(one.metric("netbird_management_sessions_reasserted_total") > 0, true);
  // And stays so over several leases: nobody takes them for dead again.
  EXPECT_FALSE(eventually([&] { return count("true") != "21"; }, 7s)) << count("true");
  streams.clear();
  EXPECT_TRUE(eventually([&] { return count("true") == "1"; }, 10s)) << count("true");
}

}  // namespace
}  // namespace nb::test
