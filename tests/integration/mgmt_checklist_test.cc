// The active-active checklist of contract/management-grpc.md §11: two netbird-mgmt behind HAProxy,
// both alive, every call on either. Row 1 is in mgmt_rotation_test.cc, row 7 in idp_server_test.cc,
// the exposures of row 8 in proxy_server_test.cc.
#include "integration/mgmt_cluster.h"
#include "integration/mgmt_job_stream.h"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

class MgmtChecklist : public MgmtCluster {
 protected:
  MgmtChecklist()
      : balancer({{.name = "one", .port = one.port(), .check_port = one.metrics_port()},
                  {.name = "two", .port = two.port(), .check_port = two.metrics_port()}}),
        target(balancer.address()) {}

  struct Client {
    std::unique_ptr<Agent> agent;
    std::unique_ptr<SyncStream> stream;
  };
  /// Agents with streams, on both instances.
  std::vector<Client> clients(const std::string& name, int count) {
    std::vector<Client> out;
    for (int i = 0; i < count; ++i) {
      Client client;
      client.agent = std::make_unique<Agent>(name + "-" + std::to_string(i));
      const auto joined = client.agent->login(target, key);
      EXPECT_TRUE(joined.ok()) << joined.status.error_message();
      // Calls take turns: with an odd number of them, so do streams.
      EXPECT_TRUE(client.agent->server_key(target).ok());
      client.stream = std::make_unique<SyncStream>(*client.agent, target);
      EXPECT_TRUE(client.stream->wait_first());
      out.push_back(std::move(client));
    }
    std::set<std::string> instances;
    for (const Client& client : out) instances.insert(instance_of(*client.agent));
    EXPECT_EQ(instances.size(), count > 1 ? 2U : 1U);
    return out;
  }
  [[nodiscard]] std::string instance_of(const Agent& agent) const {
    return postgres.psql(
        "select s.instance_id from nb_peer_sessions s join peers p on p.id = "
        "s.peer_id where p.key='" +
        agent.key() + "'");
  }
  /// As our server ends a stream that it cannot go on with (contract §5.6).
  static void expect_unavailable(const grpc::Status& end) {
    EXPECT_EQ(end.error_code(), StatusCode::UNAVAILABLE) << end.error_message();
  }
  /// As HAProxy ends the stream of a server that died: without trailers, which it cannot make. The
  /// gRPC library calls that UNKNOWN, the agents' INTERNAL, and either comes again (contract §9.1);
  /// only CANCELLED, which agents of April 2026 take for their own shutdown, must never be.
  static void expect_cut(const grpc::Status& end) {
    if (end.error_code() == StatusCode::UNKNOWN)
      EXPECT_EQ(end.error_message(), "Stream removed");
    else
      expect_unavailable(end);
  }
  /// Opens a stream until one stays.
  std::unique_ptr<SyncStream> reconnect(const Agent& agent) {
    std::unique_ptr<SyncStream> out;
    EXPECT_TRUE(eventually(
        [&] {
          out = std::make_unique<SyncStream>(agent, target);
          if (out->wait_first(5s)) return true;
          if (const auto end = out->wait_end(0ms)) expect_unavailable(*end);
          return false;
        },
        30s));
    return out;
  }
  double both(const std::string& name) const { return one.metric(name) + two.metric(name); }

  HaProxy balancer;
  std::string target;
};

TEST_F(MgmtChecklist, Row2StreamsAndCallsOfOneAgentNeedNoCommonInstance) {
  auto all = clients("a", 6);
  std::vector<std::unique_ptr<JobStream>> jobs;
  for (const Client& client : all) {
    jobs.push_back(std::make_unique<JobStream>(*client.agent, target));
    ASSERT_TRUE(jobs.back()->wait_open());
    EXPECT_TRUE(client.agent->login(target).ok());
    auto meta = client.agent->meta();
    meta.set_uiversion("1");
    EXPECT_TRUE(client.agent->sync_meta(target, meta).ok());
  }
  EXPECT_NE(postgres.psql("select count(*) from nb_job_streams j join nb_peer_sessions s on "
                          "s.peer_id = j.peer_id where j.instance_id <> s.instance_id"),
            "0");
  postgres.psql(
      "insert into jobs (id, created_at, triggered_by, peer_id, account_id, status, failed_reason, "
      "workload_workload_type, workload_parameters, workload_result) select 'job-' || id, now(), "
      "'u', id, account_id, 'pending', '', 'bundle', "
      "'{\"bundle_for\":true,\"bundle_for_time\":1}', "
      "'{}' from peers");
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto job = jobs[i]->wait_job(15s);
    ASSERT_TRUE(job) << i;
    EXPECT_EQ(job->id(), "job-" + id(*all[i].agent));
    EXPECT_FALSE(all[i].stream->wait_end(0ms));
  }
}

TEST_F(MgmtChecklist, Row3NothingIsMissedBetweenFirstMapAndSubscriptionAndSerialsOnlyRise) {
  auto watchers = clients("w", 4);
  std::atomic<int> failed{0};
  std::vector<std::unique_ptr<Agent>> joined(24);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < joined.size(); i += 4) {
        joined[i] = std::make_unique<Agent>("j" + std::to_string(i));
        if (!joined[i]->login(target, key).ok()) ++failed;
      }
    });
  // Streams that open in the middle of it.
  auto late = clients("late", 6);
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(failed, 0);
  for (const auto* group : {&watchers, &late})
    for (const Client& client : *group) {
      EXPECT_TRUE(eventually(
          [&] { return client.stream->last()->networkmap().remotepeers_size() == 33; }, 15s))
          << client.stream->last()->networkmap().remotepeers_size();
      expect_rising(*client.stream);
    }
}

/// Changes are let go at once, and nothing but what was announced is looked for.
class MgmtStreamRace : public MgmtCluster {
 protected:
  MgmtStreamRace()
      : MgmtCluster({{"NB_PEER_UPDATE_INTERVAL_MS", "1"},
                     {"NB_PEER_UPDATE_STARTUP_PERIOD_S", "0"},
                     {"NB_MGMT_ANTI_ENTROPY_INTERVAL", "10m"}}) {}
};

// contract/network-map.md §3.5 (a), §7: the race of a stream's registration with an update.
TEST_F(MgmtStreamRace, AChangeBesideTheOpeningOfAStreamIsNeverMissed) {
  const auto watcher = agent("watcher", one);
  const auto changing = agent("changing", two);
  for (int round = 0; round < 200; ++round) {
    const std::string version = "0.70." + std::to_string(round);
    auto meta = changing->meta();
    meta.set_netbirdversion(version);
    std::atomic<bool> go{false};
    std::thread change([&] {
      while (!go) std::this_thread::yield();
      // A little later each time: the stream's own call is one of the key as well.
      for (int i = 0; i < round % 4; ++i) EXPECT_TRUE(changing->server_key(two.target()).ok());
      EXPECT_TRUE(changing->sync_meta(two.target(), meta).ok());
    });
    go = true;
    const SyncStream stream(*watcher, one.target());
    change.join();
    ASSERT_TRUE(stream.wait_for([&](const auto& m) {
      const auto& peers = m.networkmap().remotepeers();
      return !peers.empty() && peers[0].agentversion() == version;
    })) << "round "
        << round;
    expect_rising(stream);
  }
}

TEST_F(MgmtChecklist, Row4OfManyStreamsOfOnePeerTheNewestLives) {
  const auto a = std::make_unique<Agent>("a");
  ASSERT_TRUE(a->login(target, key).ok());
  std::vector<std::unique_ptr<SyncStream>> streams;
  std::set<std::string> instances;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(a->server_key(target).ok());  // an odd number of calls
    streams.push_back(std::make_unique<SyncStream>(*a, target));
    ASSERT_TRUE(streams.back()->wait_first());
    instances.insert(instance_of(*a));
  }
  for (std::size_t i = 0; i + 1 < streams.size(); ++i) {
    const auto end = streams[i]->wait_end(10s);
    ASSERT_TRUE(end) << i;
    EXPECT_TRUE(end->ok()) << end->error_message();
  }
  EXPECT_FALSE(streams.back()->wait_end(500ms));
  EXPECT_EQ(connected(*a), "t");
  const Agent b("b");
  ASSERT_TRUE(b.login(target, key).ok());
  EXPECT_TRUE(streams.back()->wait_for([&](const auto& m) { return shows_peer(m, b.key()); }, 5s));
  streams.pop_back();
  EXPECT_TRUE(eventually([&] { return connected(*a) == "f"; }, 5s));
  // Deleted through whichever: the stream hears it wherever it is.
  SyncStream last(*a, target);
  ASSERT_TRUE(last.wait_first());
  ASSERT_TRUE(a->logout(target).ok());
  ASSERT_TRUE(last.wait_end(5s));
  EXPECT_TRUE(last.last()->remotepeersisempty());
}

TEST_F(MgmtChecklist, Row5ChangesCrossAndWhatNobodyAnnouncedIsFoundByLooking) {
  auto all = clients("a", 4);
  const Agent b("b");
  ASSERT_TRUE(b.login(target, key).ok());
  for (const Client& client : all)
    EXPECT_TRUE(client.stream->wait_for([&](const auto& m) { return shows_peer(m, b.key()); }, 5s));
  // Each instance makes the maps of its own streams only.
  std::size_t received = 0;
  for (const Client& client : all) received += client.stream->received().size();
  EXPECT_EQ(both("netbird_management_maps_sent_total"), static_cast<double>(received));
  const double repairs = both("netbird_management_repairs_total");
  postgres.psql("update peers set dns_label = 'renamed' where key='" + b.key() +
                "'; update accounts set network_serial = network_serial + 1");
  for (const Client& client : all)
    EXPECT_TRUE(client.stream->wait_for(
        [&](const auto& m) {
          return std::ranges::any_of(m.networkmap().remotepeers(), [](const auto& peer) {
            return peer.fqdn().starts_with("renamed.");
          });
        },
        10s));
  EXPECT_GE(both("netbird_management_repairs_total"), repairs + 2);
}

TEST_F(MgmtChecklist, Row6OneChangeIsOneLoadPerInstanceAndOneMapPerStream) {
  auto all = clients("a", 4);
  // Quiet: what the last client caused has arrived.
  for (const Client& client : all)
    ASSERT_TRUE(eventually(
        [&] { return client.stream->last()->networkmap().remotepeers_size() == 3; }, 10s));
  const std::map<const MgmtServer*, double> before = {
      {&one, one.metric("netbird_management_account_loads_total")},
      {&two, two.metric("netbird_management_account_loads_total")}};
  std::vector<std::size_t> maps;
  for (const Client& client : all) maps.push_back(client.stream->received().size());
  const Agent b("b");
  ASSERT_TRUE(b.login(target, key).ok());
  for (const Client& client : all)
    EXPECT_TRUE(client.stream->wait_for([&](const auto& m) { return shows_peer(m, b.key()); }, 5s));
  // Own messages come back to nobody, polls find nothing new.
  EXPECT_FALSE(eventually(
      [&] {
        return std::ranges::any_of(before, [](const auto& entry) {
          return entry.first->metric("netbird_management_account_loads_total") != entry.second + 1;
        });
      },
      5s));
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i].stream->received().size(), maps[i] + 1);
}

TEST_F(MgmtChecklist, Row8WhatTimeDoesIsDoneOnce) {
  auto all = clients("user", 4);
  const std::string owner = "(select created_by from accounts)";
  const auto of = [&](std::size_t i) { return " where key='" + all[i].agent->key() + "'"; };
  postgres.psql(
      "update accounts set settings_peer_login_expiration_enabled = true, "
      "settings_peer_login_expiration = 3600000000000, "
      "settings_peer_inactivity_expiration_enabled = true, "
      "settings_peer_inactivity_expiration = 600000000000; update peers set user_id = " +
      owner +
      ", login_expiration_enabled = true, inactivity_expiration_enabled = true, last_login "
      "= now()");
  all[1].stream.reset();
  ASSERT_TRUE(eventually([&] { return connected(*all[1].agent) == "f"; }, 5s));
  const Agent guest("guest");
  ASSERT_TRUE(guest.login(target, one.setup_key({"--name", "passing", "--ephemeral"})).ok());
  const std::string member = id(guest) + "|" + postgres.psql("select id from accounts");
  ASSERT_TRUE(eventually(
      [&] {
        return !redis.cli({"ZSCORE", "nb:mgmt:ephemeral", member}).empty();
      },
      5s));
  postgres.psql("update peers set last_login = now() - interval '2 hours'" + of(0));
  postgres.psql("update peers set peer_status_last_seen = now() - interval '20 minutes'" + of(1));
  postgres.psql(
      "update peers set peer_status_last_seen = now() - interval '11 minutes' where "
      "key='" +
      guest.key() + "'");
  redis.cli({"ZADD", "nb:mgmt:ephemeral", "1", member});
  const auto end = all[0].stream->wait_end(15s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok());
  EXPECT_TRUE(eventually([&] { return id(guest).empty(); }, 60s));
  EXPECT_TRUE(
      eventually([&] { return both("netbird_management_logins_expired_total") >= 2; }, 40s));
  for (std::size_t i : {0U, 1U}) {
    SyncStream again(*all[i].agent, target);
    const auto refused = again.wait_end(10s);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->error_code(), StatusCode::PERMISSION_DENIED);
  }
  EXPECT_EQ(both("netbird_management_logins_expired_total"), 2);
  EXPECT_EQ(both("management_ephemeral_peers_cleaned_counter_total"), 1);
  EXPECT_FALSE(all[2].stream->wait_end(0ms));
  EXPECT_FALSE(all[3].stream->wait_end(0ms));
}

TEST_F(MgmtChecklist, Row9WithoutRedisEverythingGoesOn) {
  auto all = clients("a", 4);
  redis.kill();
  for (int i = 0; i < 8; ++i) {
    const Agent b("b" + std::to_string(i));
    ASSERT_TRUE(b.login(target, key).ok()) << i;
    EXPECT_TRUE(b.login(target).ok()) << i;
    const auto shows_b = [&](const auto& m) { return shows_peer(m, b.key()); };
    for (const Client& client : all) EXPECT_TRUE(client.stream->wait_for(shows_b, 10s)) << i;
    ASSERT_TRUE(b.logout(target).ok()) << i;
  }
  redis.start();
  const Agent c("c");
  ASSERT_TRUE(c.login(target, key).ok());
  for (const Client& client : all) {
    EXPECT_TRUE(
        client.stream->wait_for([&](const auto& m) { return shows_peer(m, c.key()); }, 10s));
    EXPECT_FALSE(client.stream->wait_end(0ms));
    expect_rising(*client.stream);
  }
}

TEST_F(MgmtChecklist, Row10EveryInstanceKnowsAtOnceWhoIsRegistered) {
  for (int i = 0; i < 40; ++i) {
    const Agent a("a" + std::to_string(i));
    EXPECT_EQ(a.login(target).status.error_code(), StatusCode::PERMISSION_DENIED) << i;
    ASSERT_TRUE(a.login(target, key).ok()) << i;
    for (const std::string& at : {one.target(), two.target(), target})
      EXPECT_TRUE(a.login(at).ok()) << i;
    ASSERT_TRUE(a.logout(target).ok()) << i;
    for (const std::string& at : {one.target(), two.target(), target})
      EXPECT_EQ(a.login(at).status.error_code(), StatusCode::PERMISSION_DENIED) << i;
  }
}

TEST_F(MgmtChecklist, Row11PeersOfAnInstanceThatDiesTurnDisconnectedUnlessTheyCameBack) {
  auto all = clients("a", 6);
  const auto serials = [&](const Client& client) {
    return client.stream->last()->networkmap().serial();
  };
  one.process().kill();
  std::size_t died = 0;
  for (Client& client : all) {
    if (instance_of(*client.agent) != "mgmt-1") continue;
    const auto end = client.stream->wait_end(10s);
    ASSERT_TRUE(end);
    expect_cut(*end);
    if (++died != 1) continue;  // the others stay away
    const auto before = serials(client);
    client.stream = reconnect(*client.agent);
    EXPECT_GE(serials(client), before);
  }
  ASSERT_GE(died, 2U);
  const auto count = [&] {
    return postgres.psql("select count(*) from peers where peer_status_connected");
  };
  EXPECT_TRUE(eventually([&] { return count() == std::to_string(all.size() - died + 1); }, 15s))
      << count();
  one.start();
  for (Client& client : all)
    if (client.stream->wait_end(0ms)) client.stream = reconnect(*client.agent);
  EXPECT_EQ(count(), std::to_string(all.size()));
}

TEST_F(MgmtChecklist, Row12ADrainNeverCancelsAndAgentsComeBackElsewhere) {
  auto all = clients("a", 8);
  one.process().signal(SIGTERM);
  for (Client& client : all) {
    if (instance_of(*client.agent) == "mgmt-1") {
      const auto end = client.stream->wait_end(15s);
      ASSERT_TRUE(end);
      expect_unavailable(*end);
      client.stream = reconnect(*client.agent);
    }
    EXPECT_EQ(instance_of(*client.agent), "mgmt-2");
  }
  EXPECT_TRUE(eventually([&] { return !one.process().running(); }, 15s));
  const Agent b("b");
  ASSERT_TRUE(eventually([&] { return b.login(target, key).ok(); }, 10s));
  for (const Client& client : all) {
    EXPECT_TRUE(
        client.stream->wait_for([&](const auto& m) { return shows_peer(m, b.key()); }, 10s));
    EXPECT_FALSE(client.stream->wait_end(0ms));
  }
  EXPECT_EQ(postgres.psql("select count(*) from peers where peer_status_connected"),
            std::to_string(all.size()));
}

}  // namespace
}  // namespace nb::test
