// Agents that can meet through relays only: management, signal and relays as real processes, the
// agents' half from src/client. Scenarios of contract/signal-relay-ops.md §7.4 with relays.
#include "headless_peer.h"
#include "integration/mgmt_harness.h"
#include "signal_server.h"
#include "support/paths.h"
#include "support/servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iterator>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

std::string relay_json(const std::vector<std::string>& urls, const std::string& ttl = "12h") {
  std::string list;
  for (const std::string& url : urls) list += (list.empty() ? "\"" : ", \"") + url + "\"";
  return R"("Relay": {"Addresses": [)" + list + R"(], "CredentialsTTL": ")" + ttl +
         R"(", "Secret": "relay-secret"},)";
}

/// Numbered packets both ways, each exactly once and in order.
void expect_delivery(HeadlessPeer& a, HeadlessPeer& b, int count = 200) {
  ASSERT_TRUE(a.hears(b) && b.hears(a));
  const auto exchange = [&](HeadlessPeer& from, HeadlessPeer& to) {
    const std::string mark = "run " + std::to_string(to.inbox().count()) + " packet ";
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(from.send(to, mark + std::to_string(i))) << i;
      if (i % 50 == 49) std::this_thread::yield();
    }
    const auto of_run = [&] {
      std::vector<std::string> got;
      for (const std::string& each : to.inbox().all())
        if (each.starts_with(from.key() + " " + mark)) got.push_back(each);
      return got;
    };
    ASSERT_TRUE(eventually([&] { return of_run().size() >= static_cast<std::size_t>(count); }));
    const auto got = of_run();
    ASSERT_EQ(got.size(), static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
      EXPECT_TRUE(got[static_cast<std::size_t>(i)].ends_with(" packet " + std::to_string(i)));
  };
  exchange(a, b);
  exchange(b, a);
}

/// One of each, two relays.
struct Network {
  explicit Network(const std::string& ttl = "12h")
      : management(
            {.json = relay_json({one->url(), two->url()}, ttl), .signal = signal.address()}) {
    management.start();
    setup_key = management.setup_key({"--type", "reusable"});
  }
  std::unique_ptr<HeadlessPeer> join(const std::string& name) {
    auto peer = std::make_unique<HeadlessPeer>(HeadlessPeer::quick(management.target(), name));
    const auto joined = peer->join(setup_key);
    EXPECT_TRUE(joined) << joined.error().text;
    return peer;
  }
  RelayServer& at(const std::string& url) { return one && one->url() == url ? *one : *two; }

  std::unique_ptr<RelayServer> one = std::make_unique<RelayServer>();
  std::unique_ptr<RelayServer> two = std::make_unique<RelayServer>();
  SignalServer signal;
  MgmtServer management;
  std::string setup_key;
};

TEST(RelayAgents, JoinAndExchangePacketsThroughARelay) {
  Network network;
  const auto a = network.join("a");
  const auto b = network.join("b");
  const auto c = network.join("c");
  EXPECT_TRUE(eventually([&] { return a->peers() == 2 && b->peers() == 2 && c->peers() == 2; }));
  EXPECT_NE(a->address(), b->address());
  expect_delivery(*a, *b);
  expect_delivery(*a, *c);
  expect_delivery(*b, *c);
  EXPECT_EQ(a->relay_of(*b), b->relay_of(*a)) << "both on the controlling peer's relay";
}

TEST(RelayAgents, MoveWhenTheirRelayIsKilled) {
  Network network;
  const auto a = network.join("a");
  const auto b = network.join("b");
  expect_delivery(*a, *b);
  RelayServer& used = network.at(a->relay_of(*b));
  const std::string left = &used == network.one.get() ? network.two->url() : network.one->url();
  used.process().kill();
  ASSERT_TRUE(eventually([&] { return a->relay_of(*b) == left && b->relay_of(*a) == left; }, 30s));
  expect_delivery(*a, *b);
  EXPECT_EQ(network.at(left).metric("nb_instance_peers"), 2);
  used.process().start();
  ASSERT_TRUE(used.ready_within(15s));
  const auto late = network.join("late");  // a relay that is back is used again
  expect_delivery(*a, *late);
}

TEST(RelayAgents, MoveWhenTheirRelayDrains) {
  Network network;
  const auto a = network.join("a");
  const auto b = network.join("b");
  expect_delivery(*a, *b);
  RelayServer& used = network.at(a->relay_of(*b));
  used.process().signal(SIGTERM);
  EXPECT_THAT(used.process().wait(30s), testing::Optional(testing::Eq(0)));
  ASSERT_TRUE(
      eventually([&] { return !a->relay_of(*b).empty() && a->relay_of(*b) != used.url(); }, 30s));
  expect_delivery(*a, *b);
}

TEST(RelayAgents, KeepTheirTunnelsWhileSignalAndManagementAreAway) {
  Network network;
  const auto a = network.join("a");
  const auto b = network.join("b");
  expect_delivery(*a, *b);
  network.signal.kill();
  network.management.process().kill();
  expect_delivery(*a, *b);
  network.signal.restart();
  network.management.start();
  const auto c = network.join("c");
  expect_delivery(*a, *c);
  expect_delivery(*a, *b);
}

TEST(RelayAgents, GetNewRelayTokensBeforeTheOldOnesExpire) {
  Network network("4s");
  const auto a = network.join("a");
  const auto b = network.join("b");
  expect_delivery(*a, *b);
  // Past the first token's end, so that every move below is made with a later one.
  const auto until = std::chrono::steady_clock::now() + 5s;
  while (std::chrono::steady_clock::now() < until) ASSERT_TRUE(a->hears(*b));
  RelayServer& used = network.at(a->relay_of(*b));
  used.process().kill();
  ASSERT_TRUE(
      eventually([&] { return !a->relay_of(*b).empty() && a->relay_of(*b) != used.url(); }, 30s));
  expect_delivery(*a, *b);
  EXPECT_EQ(network.at(a->relay_of(*b)).metric(R"(nb_relay_refused_total{reason="token"})"), 0);
}

}  // namespace
}  // namespace nb::test
