// Two netbird-server on one PostgreSQL and one Redis: whichever answers, it is one network.
#include "integration/combined_server.h"
#include "integration/headless_peer.h"
#include "integration/mgmt_harness.h"
#include "integration/signal_peer.h"
#include "support/golden.h"
#include "support/metric_families.h"
#include "support/netbird.h"
#include "support/servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kDrainDelay = 4s;

class CombinedPair : public testing::Test {
 protected:
  CombinedPair() {
    postgres.create_database("netbird_auth");
    one.configure(yaml("server-1", one));
    two.configure(yaml("server-2", two));
    one.start();
    two.start();
  }
  static CombinedOptions options() {
    return {.env = {{"NB_DRAIN_DELAY", std::to_string(kDrainDelay.count()) + "s"}}};
  }
  static std::string relay_url(const CombinedServer& server) { return "rel://" + server.target(); }
  [[nodiscard]] std::string yaml(const std::string& id, const CombinedServer& server) const {
    return "  relayExposedAddress: \"" + relay_url(server) +
           "\"\n"
           "  store:\n"
           "    engine: postgres\n"
           "    dsn: \"" +
           postgres.dsn() + "\"\n    encryptionKey: \"" + kDataKey +
           "\"\n"
           "  authStore:\n"
           "    engine: postgres\n"
           "    dsn: \"" +
           postgres.dsn("netbird_auth") +
           "\"\n"
           "  ha:\n"
           "    enabled: true\n"
           "    redisAddress: \"" +
           redis.address() + "\"\n    instanceId: " + id + "\n";
  }
  [[nodiscard]] std::string owner(const std::string& peer) const {
    return redis.cli({"HGET", "nb:signal:registry", peer});
  }
  static crypto::RelayToken relay_token() {
    return relay::testing::token(std::chrono::hours(1), "combined-secret");
  }

  RedisServer redis;
  PostgresServer postgres;
  CombinedServer one{options()};
  CombinedServer two{options()};
};

TEST_F(CombinedPair, IsOneServer) {
  EXPECT_EQ(http_get(one.port(), "/oauth2/keys").body, http_get(two.port(), "/oauth2/keys").body);
  const std::string key = one.setup_key();
  const Agent a("one");
  const Agent b("two");
  ASSERT_TRUE(a.login(one.target(), key).ok());
  SyncStream stream(a, one.target());
  ASSERT_TRUE(stream.wait_first());
  ASSERT_TRUE(b.login(two.target(), key).ok());
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b.key()); }));
  SignalPeer peer_a(one.target(), "peer-a");
  SignalPeer peer_b(two.target(), "peer-b");
  ASSERT_TRUE(peer_a.registered());
  ASSERT_TRUE(peer_b.registered());
  ASSERT_TRUE(eventually([&] { return owner("peer-b") == "server-2"; }));
  ASSERT_TRUE(send(peer_a.channel(), message("peer-a", "peer-b", "across")).ok());
  EXPECT_TRUE(peer_b.got("across"));
  EXPECT_THAT(http_get(one.metrics_port(), "/readyz").body, HasSubstr("\"signal_redis\""));
  one.process().kill();
  EXPECT_TRUE(b.login(two.target()).ok());
}

TEST_F(CombinedPair, DrainSendsEveryoneOfEveryPartElsewhereBeforeTheProcessEnds) {
  const Agent agent("one");
  ASSERT_TRUE(agent.login(one.target(), one.setup_key()).ok());
  SyncStream stream(agent, one.target());
  ASSERT_TRUE(stream.wait_first());
  SignalPeer on_signal(one.target(), "peer-a");
  ASSERT_TRUE(on_signal.registered());
  ASSERT_TRUE(eventually([&] { return owner("peer-a") == "server-1"; }));
  RelayUser on_relay("peer-a", {});
  on_relay.use({relay_url(one)}, relay_token());
  ASSERT_TRUE(on_relay.gets_home(relay_url(one)));
  on_relay.use({relay_url(one), relay_url(two)}, relay_token());

  one.process().signal(SIGTERM);
  // Balancers see it first; nobody is sent away yet.
  ASSERT_TRUE(eventually([&] { return !one.ready(); }, 2s));
  EXPECT_EQ(http_get(one.health_port(), "/readyz").status, 503);
  EXPECT_EQ(http_get(one.metrics_port(), "/healthz").status, 200);
  EXPECT_TRUE(Agent("late").server_key(one.target()).ok());
  EXPECT_FALSE(stream.wait_end(0ms));
  EXPECT_EQ(on_relay.home(), relay_url(one));

  const auto sync_end = stream.wait_end(20s);
  ASSERT_TRUE(sync_end);
  // CANCELLED would keep agents from coming again at once (contract/client-agent.md §1).
  EXPECT_EQ(sync_end->error_code(), grpc::StatusCode::UNAVAILABLE) << sync_end->error_message();
  const auto signal_end = on_signal.ended(20s);
  ASSERT_TRUE(signal_end);
  EXPECT_EQ(signal_end->error_code(), grpc::StatusCode::UNAVAILABLE) << signal_end->error_message();
  EXPECT_TRUE(on_relay.gets_home(relay_url(two)));
  EXPECT_EQ(one.process().wait(30s), 0) << one.process().output();

  // It took its leave of every register.
  EXPECT_EQ(owner("peer-a"), "");
  for (const char* const service : {"signal", "relay"})
    EXPECT_EQ(redis.cli({"EXISTS", std::string("nb:") + service + ":alive:server-1"}), "0");
  EXPECT_EQ(postgres.psql("select lease_until from nb_instances where id='server-1'"), "0");

  SyncStream after(agent, two.target());
  EXPECT_TRUE(after.wait_first());
  SignalPeer again(two.target(), "peer-a");
  EXPECT_TRUE(again.registered());
}

TEST_F(CombinedPair, AnOrderToDrainIsUnderstoodRightAfterTheStart) {
  one.process().kill();
  one.start();
  // As its row is in the first two seconds, when it has not said yet that it is one process with
  // the signal server of that name.
  postgres.psql("update nb_instances set facts = null where id = 'server-1'");
  const Finished done = two.verb({"ha", "drain", "server-1", "--wait"});
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_EQ(done.output,
            "management server-1: told to drain\nrelay server-1: told to drain\n"
            "signal server-1: told to drain\ndrained\n");
  EXPECT_FALSE(one.ready());
  EXPECT_TRUE(two.ready());
}

TEST_F(CombinedPair, MetricsOfAllPartsAreThereUnderTheirNames) {
  const Agent agent("one");
  ASSERT_TRUE(agent.login(one.target(), one.setup_key()).ok());
  SyncStream stream(agent, one.target());
  ASSERT_TRUE(stream.wait_first());
  SignalPeer peer(one.target(), "peer-a");
  ASSERT_TRUE(peer.registered());
  RelayUser user("peer-a", {});
  user.use({relay_url(one)}, relay_token());
  ASSERT_TRUE(user.gets_home(relay_url(one)));
  EXPECT_EQ(http_get(one.port(), "/api/groups").status, 401);
  // In place of the parts' own servers: signal's with its prefix, the others' as they are.
  for (const char* const line : {"signal_active_peers", R"(relay_peers{transport="ws"})",
                                 "management_grpc_connected_streams", "nb_redis_up"})
    EXPECT_TRUE(eventually([&] { return metric_line(one.metrics_port(), line) == 1; })) << line;
  const std::string page = http_get(one.metrics_port(), "/metrics").body;
  EXPECT_THAT(page, Not(HasSubstr("\nactive_peers ")));
  expect_golden("tests/data/metrics-server-running.txt", metric_families(page));
}

}  // namespace
}  // namespace nb::test
