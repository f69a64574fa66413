// What operators see of servers of all kinds, and orders to them: ha status and ha drain.
#include "integration/mgmt_cluster.h"
#include "integration/relay_server.h"
#include "integration/signal_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

const std::map<std::string, std::string> kNoDelay = {{"NB_DRAIN_DELAY", "0s"}};

class HaOperator : public MgmtCluster {
 protected:
  /// The object of one instance in `ha status --json`; empty: it is not listed.
  std::string told(const std::string& service, const std::string& id) {
    const Finished done = two.verb({"ha", "status", "--json"});
    EXPECT_EQ(done.status, 0) << done.output;
    const auto begin = done.output.find(R"({"service":")" + service + R"(","id":")" + id + "\"");
    if (begin == std::string::npos) return {};
    return done.output.substr(begin, done.output.find('}', begin) - begin);
  }
  bool tells(const std::string& service, const std::string& id, const std::string& text,
             std::chrono::milliseconds limit = 15s) {
    const bool seen =
        eventually([&] { return told(service, id).find(text) != std::string::npos; }, limit);
    if (!seen) ADD_FAILURE() << service << " " << id << ": " << told(service, id);
    return seen;
  }
  SignalServerOptions signal(const std::string& id) const {
    SignalServerOptions out;
    out.instance = id;
    out.redis = redis.address();
    out.env = kNoDelay;
    return out;
  }
  RelayServerOptions relay(const std::string& id) const {
    RelayServerOptions out;
    out.instance = id;
    out.redis = redis.address();
    out.env = kNoDelay;
    return out;
  }
};

TEST_F(HaOperator, ServersOfAllKindsTellHowTheyAre) {
  SignalServer signal_1(signal("signal-1"));
  RelayServer relay_1(relay("relay-1"));
  SignalPeer on_signal(signal_1.address(), "peer-a");
  ASSERT_TRUE(on_signal.registered());
  RelayUser on_relay("peer-a", {relay_1.url()});
  ASSERT_TRUE(on_relay.gets_home(relay_1.url()));
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());

  EXPECT_TRUE(tells("management", "mgmt-1", R"("peers":1,"program":"netbird-mgmt","version":")"));
  EXPECT_TRUE(tells("management", "mgmt-1", R"("state":"serving","ready":true)"));
  EXPECT_TRUE(tells("management", "mgmt-1", R"("bus_lag_us":)"));
  EXPECT_TRUE(tells("management", "mgmt-1", R"("leases":["instance")"));
  EXPECT_TRUE(tells("signal", "signal-1", R"("peers":1,"program":"netbird-signal","version":")"));
  EXPECT_TRUE(tells("signal", "signal-1", R"("state":"serving","ready":true)"));
  EXPECT_TRUE(tells("signal", "signal-1", R"("bus_lag_us":)"));
  EXPECT_TRUE(tells("relay", "relay-1", R"("peers":1,"program":"netbird-relay","version":")"));
  EXPECT_TRUE(tells("relay", "relay-1", R"("address":")" + relay_1.url() + "\""));
  for (const auto& [service, id] :
       {std::pair{"management", "mgmt-2"}, {"signal", "signal-1"}, {"relay", "relay-1"}}) {
    EXPECT_THAT(told(service, id),
                AllOf(HasSubstr(R"("alive":true)"), HasSubstr("uptime_s"), HasSubstr("started_at"),
                      HasSubstr(R"("redis":"up")"), HasSubstr(R"("repairs":)")));
  }
  const Finished text = two.verb({"ha", "status"});
  EXPECT_THAT(text.output, HasSubstr("signal\tsignal-1\tserving\t1\t"));
}

/// Two servers whose locks have a name and a time of their own.
TEST(HaLocks, OneTidiesUpForAllUnderALockOfTheConfiguredNameAndTime) {
  PostgresServer postgres;
  RedisServer redis;
  const auto server = [&](const std::string& id) {
    return std::make_unique<MgmtServer>(
        MgmtOptions{.instance = id,
                    .postgres_dsn = postgres.dsn(),
                    .redis = redis.address(),
                    .flags = {"--mgmt-lock-prefix", "acme:lock:", "--mgmt-lock-ttl", "2s"}});
  };
  auto one = server("mgmt-1");
  one->start();
  const auto holders_of_janitor = [&] {
    const Finished done = one->verb({"ha", "status", "--json"});
    std::size_t count = 0;
    for (auto at = done.output.find(R"(["instance","janitor"])"); at != std::string::npos;
         at = done.output.find(R"(["instance","janitor"])", at + 1))
      ++count;
    return count;
  };
  ASSERT_TRUE(eventually([&] { return holders_of_janitor() == 1; }, 20s));
  const std::string first = redis.cli({"GET", "acme:lock:janitor"});
  EXPECT_FALSE(first.empty());
  const int left_ms = std::stoi(redis.cli({"PTTL", "acme:lock:janitor"}));
  EXPECT_GT(left_ms, 0);
  EXPECT_LE(left_ms, 2'000);
  auto two = server("mgmt-2");
  two->start();
  EXPECT_EQ(redis.cli({"GET", "acme:lock:janitor"}), first);
  one->process().kill();
  // Its lock is nobody's for as long as it said, and then the other's.
  EXPECT_TRUE(eventually(
      [&] {
        const std::string now = redis.cli({"GET", "acme:lock:janitor"});
        return !now.empty() && now != first;
      },
      10s));
  EXPECT_TRUE(redis.cli({"KEYS", "nb:mgmt:lock:*"}).empty());
}

TEST_F(HaOperator, RepairsAndReclaimedPeersAreTold) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  one.process().kill();
  EXPECT_TRUE(tells("management", "mgmt-2", R"("reclaimed":1,"last_repair_at":")", 30s));
  EXPECT_TRUE(tells("management", "mgmt-1", R"("alive":false,"alive_ms":0,"state":"gone")"));
}

TEST_F(HaOperator, ASignalServerDrainsAndStaysDrained) {
  SignalServer first(signal("signal-1"));
  SignalServer second(signal("signal-2"));
  SignalPeer peer(first.address(), "peer-a");
  ASSERT_TRUE(peer.registered());
  const Finished done = one.verb({"ha", "drain", "signal-1", "--wait"});
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(done.output, "signal signal-1: told to drain\ndrained\n");
  const auto end = peer.ended(5s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(accepts(first.port()));
  EXPECT_EQ(http_get(first.metrics_port(), "/readyz").status, 503);
  EXPECT_EQ(http_get(first.metrics_port(), "/healthz").status, 200);
  EXPECT_TRUE(first.process().running());
  EXPECT_TRUE(
      tells("signal", "signal-1", R"("state":"drained","ready":false,"drain_ordered":true)"));
  EXPECT_TRUE(second.ready());
  first.process().signal(SIGTERM);
  EXPECT_EQ(first.process().wait(10s), 0);
  first.start();  // the order ended with the process
  EXPECT_TRUE(
      tells("signal", "signal-1", R"("state":"serving","ready":true,"drain_ordered":false)"));
}

TEST_F(HaOperator, AManagementServerDrainsAndItsAgentsGoOnElsewhere) {
  const auto a = agent("a", one);
  SyncStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_first());
  const Finished done = two.verb({"ha", "drain", "mgmt-1", "--wait"});
  EXPECT_EQ(done.status, 0) << done.output;
  const auto end = stream.wait_end(5s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
  SyncStream after(*a, two.target());
  ASSERT_TRUE(after.wait_first());
  EXPECT_FALSE(one.ready());
  EXPECT_TRUE(one.process().running());
  EXPECT_TRUE(two.ready());
  // All of its streams were closed at once, and it still tells.
  EXPECT_EQ(one.metric("management_updatechannel_close_multiple_channels_sum"), 1);
  EXPECT_EQ(one.metric("management_updatechannel_close_multiple_channels_count"), 1);
  EXPECT_EQ(one.metric("management_updatechannel_close_multiple_duration_micro_microseconds_count"),
            1);
  EXPECT_TRUE(tells("management", "mgmt-1", R"("state":"drained")"));
  one.process().signal(SIGTERM);
  EXPECT_EQ(one.process().wait(15s), 0);
}

TEST_F(HaOperator, ARelayDrains) {
  RelayServer first(relay("relay-1"));
  RelayServer second(relay("relay-2"));
  RelayUser user("peer-a", {first.url()});
  ASSERT_TRUE(user.gets_home(first.url()));
  user.use({first.url(), second.url()});
  const Finished done = one.verb({"ha", "drain", "relay-1", "--wait"});
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_TRUE(user.gets_home(second.url()));
  EXPECT_TRUE(first.process().running());
  EXPECT_FALSE(first.ready());
}

TEST_F(HaOperator, AnOrderIsSeenWhenItsInstanceComesBackToItself) {
  SignalServer first(signal("signal-1"));
  ASSERT_TRUE(tells("signal", "signal-1", R"("state":"serving")"));
  first.process().pause();  // hears nothing, and what the bus carried is gone
  const Finished ordered = one.verb({"ha", "drain", "signal-1"});
  EXPECT_EQ(ordered.status, 0) << ordered.output;
  EXPECT_THAT(told("signal", "signal-1"), HasSubstr(R"("drain_ordered":true)"));
  const Finished late = one.verb({"ha", "drain", "signal-1", "--wait", "--timeout", "1s"});
  EXPECT_EQ(late.status, 4) << late.output;
  EXPECT_THAT(late.output, HasSubstr("has not drained within 1 s; the order stands"));
  first.process().resume();
  EXPECT_TRUE(tells("signal", "signal-1", R"("state":"drained")"));
}

TEST_F(HaOperator, WhatCannotDrainIsSaid) {
  Finished done = one.verb({"ha", "drain", "nobody"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.output, HasSubstr("no live instance is called 'nobody'; see ha status"));
  done = one.verb({"ha", "drain"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.output, HasSubstr("which instance?"));
  done = one.verb({"ha", "drain", "mgmt-1", "--service", "signal"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.output, HasSubstr("of the service signal is called 'mgmt-1'"));
  done = one.verb({"ha", "drain", "mgmt-1", "--service", "coffee"});
  EXPECT_NE(done.status, 0);
  SignalServer same(signal("mgmt-1"));
  ASSERT_TRUE(tells("signal", "mgmt-1", R"("state":"serving")"));
  done = one.verb({"ha", "drain", "mgmt-1"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.output, HasSubstr("say of which service"));
  redis.kill();
  done = one.verb({"ha", "drain", "signal-1"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.output, HasSubstr("Redis is down"));
  EXPECT_TRUE(one.ready());
  EXPECT_TRUE(two.ready());
}

TEST_F(HaOperator, ALookNeedsNoSecretsOfPartsThatItDoesNotOpen) {
  // management.json of the servers on an operator's machine, without the variables of theirs.
  const std::string json =
      R"("EmbeddedIdP":{"Enabled":true,"Issuer":"http://127.0.0.1:9/oauth2","Storage":{"Type":"postgres"}},
         "Relay":{"Addresses":["rel://127.0.0.1:1"]},
         "TURNConfig":{"TimeBasedCredentials":true},)";
  MgmtOptions elsewhere = options("nobody");
  elsewhere.json = json;
  elsewhere.env["NB_DATASTORE_ENCRYPTION_KEY"] = "";
  const Finished seen = MgmtServer(elsewhere).verb({"ha", "status"});
  EXPECT_EQ(seen.status, 0) << seen.output;
  EXPECT_THAT(seen.output, AllOf(HasSubstr("Database: PostgreSQL, ok\nRedis: ok\n"),
                                 HasSubstr("management\tmgmt-1\t")));
  SignalServer signal_1(signal("signal-1"));
  ASSERT_TRUE(tells("signal", "signal-1", R"("state":"serving")"));
  elsewhere.env["NB_STORE_ENGINE_POSTGRES_DSN"] = "";
  const Finished half = MgmtServer(elsewhere).verb({"ha", "status"});
  EXPECT_EQ(half.status, 0) << half.output;
  EXPECT_THAT(
      half.output,
      AllOf(HasSubstr("Database: PostgreSQL, down: NB_STORE_ENGINE_POSTGRES_DSN is not set"),
            HasSubstr("signal\tsignal-1\tserving\t")));
  // A server with the same file does not start.
  elsewhere.env.erase("NB_STORE_ENGINE_POSTGRES_DSN");
  const Finished server = MgmtServer(elsewhere).verb({"management", "--check-config"});
  EXPECT_EQ(server.status, 1);
  EXPECT_THAT(server.output, HasSubstr("NB_AUTH_STORE_DSN"));
}

TEST(HaOperatorSingle, OneServerOnSqliteReportsItselfAndDrains) {
  MgmtServer server({.env = {{"NB_DRAIN_DELAY", "0s"}, {"NB_HA_INSTANCE_ID", "mgmt-1"}}});
  server.start();
  EXPECT_TRUE(eventually([&] {
    return server.verb({"ha", "status", "--json"}).output.find(R"("alive":true)") !=
               std::string::npos &&
           server.verb({"ha", "status", "--json"}).output.find(R"("state":"serving")") !=
               std::string::npos;
  }));
  const Finished status = server.verb({"ha", "status", "--json"});
  EXPECT_THAT(status.output,
              AllOf(HasSubstr(R"({"ha":false,"database":{"engine":"sqlite","status":"ok"})"),
                    HasSubstr(R"("redis":{"status":"off"})"), HasSubstr(R"("id":"mgmt-1")")));
  const Finished done = server.verb({"ha", "drain", "mgmt-1", "--wait"});
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_FALSE(server.ready());
  server.process().signal(SIGTERM);
  EXPECT_EQ(server.process().wait(15s), 0);
}

}  // namespace
}  // namespace nb::test
