// Maps in the component form, by agents that offer it and the operator's leave
// (contract/management-grpc.md §3.8, §7).
#include "client/component_map.h"
#include "crypto/encoding.h"
#include "integration/mgmt_cluster.h"

namespace nb::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kComponents = R"("HighestSupportedSyncMessageVersion": 1,)";

bool in_components(const pb::SyncResponse& message) {
  return message.version() == 1 && message.has_networkmapenvelope() && !message.has_networkmap();
}

bool is_legacy(const pb::SyncResponse& message) {
  return message.version() == 0 && message.has_networkmap() && !message.has_networkmapenvelope();
}

/// The map that `agent` makes of the message.
std::optional<pb::NetworkMap> calculated(const Agent& agent, const pb::SyncResponse& message) {
  if (!in_components(message)) return std::nullopt;
  const auto now = std::chrono::system_clock::now();
  auto map = client::expand_components(message.networkmapenvelope(),
                                       *crypto::from_base64(agent.key()), now);
  EXPECT_TRUE(map.has_value()) << map.error().text;
  if (!map) return std::nullopt;
  return *std::move(map);
}

bool shows(const Agent& agent, const pb::SyncResponse& message, const Agent& other) {
  const auto map = calculated(agent, message);
  return map && std::ranges::any_of(map->remotepeers(), [&](const auto& peer) {
           return peer.wgpubkey() == other.key();
         });
}

class MgmtComponents : public testing::Test {
 protected:
  MgmtComponents() {
    for (MgmtServer* const server : {&one, &two}) server->start();
    key = one.setup_key();
  }
  [[nodiscard]] MgmtOptions options(const std::string& instance) const {
    return {.instance = instance,
            .postgres_dsn = postgres.dsn(),
            .redis = redis.address(),
            .env = {{"NB_MGMT_PEER_TTL", "3s"}, {"NB_MGMT_HEARTBEAT_INTERVAL", "1s"}},
            .json = kComponents};
  }
  std::unique_ptr<Agent> agent(const std::string& name, std::int32_t version, MgmtServer& at) {
    auto out = std::make_unique<Agent>(name);
    out->offer_maps(version);
    const auto joined = out->login(at.target(), key);
    EXPECT_TRUE(joined.ok()) << joined.status.error_message();
    return out;
  }

  PostgresServer postgres;
  RedisServer redis;
  MgmtServer one{options("mgmt-1")};
  MgmtServer two{options("mgmt-2")};
  std::string key;
};

TEST_F(MgmtComponents, ReachAgentsThatOfferThemAndChangesCrossInstances) {
  const auto fresh = agent("fresh", 1, one);
  const auto old = agent("old", 0, one);
  const auto future = agent("future", 2, two);
  SyncStream of_fresh(*fresh, one.target());
  SyncStream of_old(*old, one.target());
  SyncStream of_future(*future, two.target());
  for (const SyncStream* const stream : {&of_fresh, &of_old, &of_future})
    ASSERT_TRUE(stream->wait_first());
  EXPECT_TRUE(in_components(of_fresh.received().front()));
  EXPECT_TRUE(of_fresh.received().front().has_netbirdconfig());
  EXPECT_TRUE(is_legacy(of_old.received().front()));
  EXPECT_TRUE(is_legacy(of_future.received().front()));

  const auto late = agent("late", 1, two);
  ASSERT_TRUE(of_fresh.wait_for([&](const auto& m) { return shows(*fresh, m, *late); }));
  ASSERT_TRUE(of_old.wait_for([&](const auto& m) { return shows_peer(m, late->key()); }));
  std::uint64_t last = 0;
  for (const auto& message : of_fresh.received()) {
    const auto& full = message.networkmapenvelope().full();
    EXPECT_GE(full.serial(), last);
    EXPECT_EQ(full.network().serial(), full.serial());
    last = full.serial();
  }
  // Both forms say the same of the same network: all rules of `fresh` by the default policy.
  const auto map = calculated(*fresh, *of_fresh.last());
  ASSERT_TRUE(map);
  EXPECT_EQ(map->remotepeers_size(), 3);
  EXPECT_EQ(map->firewallrules_size(), of_old.last()->networkmap().firewallrules_size());
  EXPECT_GT(one.metric("netbird_management_maps_in_components_total"), 0);
  EXPECT_GT(
      one.metric(
          "management_updatechannel_tocomponentsyncresponse_duration_micro_microseconds_count"),
      0);
}

TEST_F(MgmtComponents, GoOnAtTheOtherInstanceWhenOneDies) {
  const auto fresh = agent("fresh", 1, one);
  {
    SyncStream stream(*fresh, one.target());
    ASSERT_TRUE(stream.wait_for(in_components));
    one.process().kill();
    ASSERT_TRUE(stream.wait_end(5s));
  }
  const auto late = agent("late", 0, two);
  SyncStream stream(*fresh, two.target());
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows(*fresh, m, *late); }));
}

TEST_F(MgmtComponents, StopWhereTheAccountMayNotHaveThem) {
  const auto fresh = agent("fresh", 1, one);
  const std::string account =
      postgres.psql("select account_id from peers where key='" + fresh->key() + "'");
  MgmtOptions strict = options("mgmt-3");
  strict.json += "\"PerAccountHighestSupportedSyncMessageVersion\": {\"" + account + "\": 0},";
  MgmtServer three(strict);
  three.start();
  SyncStream stream(*fresh, three.target());
  ASSERT_TRUE(stream.wait_first());
  EXPECT_TRUE(is_legacy(stream.received().front()));
}

TEST(MgmtMaps, AreLegacyOnesByDefault) {
  MgmtServer server({});
  server.start();
  Agent fresh("fresh");
  fresh.offer_maps(1);
  ASSERT_TRUE(fresh.login(server.target(), server.setup_key()).ok());
  SyncStream stream(fresh, server.target());
  ASSERT_TRUE(stream.wait_first());
  EXPECT_TRUE(is_legacy(stream.received().front()));
}

}  // namespace
}  // namespace nb::test
