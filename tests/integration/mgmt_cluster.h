// Two netbird-mgmt over one PostgreSQL and one Redis, both alive.
#pragma once

#include "integration/mgmt_harness.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace nb::test {

class MgmtCluster : public testing::Test {
 protected:
  using Environment = std::map<std::string, std::string>;
  /// Tests of leases wait for them; other programs have thirty and ten seconds.
  static Environment short_leases() {
    return {{"NB_MGMT_PEER_TTL", "3s"}, {"NB_MGMT_HEARTBEAT_INTERVAL", "1s"}};
  }
  explicit MgmtCluster(Environment given = short_leases())
      : environment(std::move(given)), one(options("mgmt-1")), two(options("mgmt-2")) {
    one.start();
    two.start();
    key = one.setup_key();
  }
  MgmtOptions options(const std::string& instance) const {
    return {.instance = instance,
            .postgres_dsn = postgres.dsn(),
            .redis = redis.address(),
            .env = environment};
  }
  /// A registered agent.
  std::unique_ptr<Agent> agent(const std::string& name, MgmtServer& at) {
    auto out = std::make_unique<Agent>(name);
    const auto joined = out->login(at.target(), key);
    EXPECT_TRUE(joined.ok()) << joined.status.error_message();
    return out;
  }
  [[nodiscard]] std::string connected(const Agent& peer) const {
    return postgres.psql("select peer_status_connected from peers where key='" + peer.key() + "'");
  }
  [[nodiscard]] std::string id(const Agent& peer) const {
    return postgres.psql("select id from peers where key='" + peer.key() + "'");
  }
  static void expect_rising(const SyncStream& stream) {
    std::uint64_t last = 0;
    for (const auto& message : stream.received()) {
      if (!message.has_networkmap()) continue;
      EXPECT_GE(message.networkmap().serial(), last);
      last = message.networkmap().serial();
    }
  }

  const Environment environment;
  PostgresServer postgres;
  RedisServer redis;
  MgmtServer one;
  MgmtServer two;
  std::string key;
};

}  // namespace nb::test
