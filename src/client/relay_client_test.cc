// The relay client against a relay in this process; against real ones in tests/integration.
#include "client/relay_client.h"

#include "relay/relay_rig.h"
#include "support/home_loop.h"
#include "support/process.h"

#include <gtest/gtest.h>

namespace nb::client {
namespace {

using namespace std::chrono_literals;
using net::testing::eventually;
using relay::testing::Rig;

struct User {
  explicit User(const Rig& rig, RelayOptions options) {
    options.settle = options.retry.first = 50ms;
    loop.run([&] {
      client = std::make_unique<RelayClient>(loop.executor(), relay::testing::id("user"), options,
                                             Logger());
      client->use({.urls = {"rel://127.0.0.1:" + std::to_string(rig.port)},
                   .token = relay::testing::token()});
      client->on_home([this] { ++changes; });
    });
  }
  ~User() {
    loop.await([this] { return client->stop(); });
    loop.run([this] { client.reset(); });
  }
  nb::test::HomeLoop loop;
  std::atomic<int> changes = 0;  // of the home relay
  std::unique_ptr<RelayClient> client;
};

RelayOptions checking_every(std::chrono::milliseconds time) {
  RelayOptions options;
  options.times.health_check = time;
  return options;
}

TEST(RelayClientHealth, AnswersTheRelaysChecksAndStays) {
  // Long enough that a loaded machine is not taken for a dead peer; watched for longer than that.
  Rig rig({.health_interval = 50ms, .health_check = nb::test::patient(1200ms)});
  User user(rig, checking_every(nb::test::patient(1000ms)));
  ASSERT_TRUE(eventually([&] { return user.changes == 1; }));
  EXPECT_FALSE(nb::test::eventually([&] { return user.changes > 1; }, 2000ms));
  EXPECT_EQ(rig.metrics.ended_dead.value(), 0U);
}

TEST(RelayClientHealth, LeavesARelayThatIsSilent) {
  Rig rig({.health_interval = 1h});
  User user(rig, checking_every(100ms));
  EXPECT_TRUE(eventually([&] { return user.changes >= 3; })) << "there, lost, there again";
}

TEST(RelayClientEarly, APacketThatComesBeforeItsTunnelIsKept) {
  Rig rig;
  User user(rig, {});
  ASSERT_TRUE(eventually([&] { return user.changes == 1; }));
  relay::testing::RawPeer peer(rig, "peer");
  const auto packet = [](std::string_view text) {
    return relay::make_transport(relay::testing::id("user"), text);
  };
  peer.send(packet("older"));
  peer.send(packet("newest"));
  ASSERT_TRUE(eventually([&] { return rig.metrics.sent_messages.value() == 2; }));
  // What the relay says of another peer comes after them.
  relay::testing::RawPeer other(rig, "other");
  ASSERT_TRUE(user.loop.await(
      [&] { return user.client->open(relay::testing::id("other"), std::string(rig.url), ""); }));
  std::vector<std::string> got;
  const auto tunnel = user.loop.await(
      [&] { return user.client->open(relay::testing::id("peer"), std::string(rig.url), ""); });
  ASSERT_TRUE(tunnel) << tunnel.error().text;
  user.loop.run(
      [&] { (*tunnel)->on_packet([&](std::string_view text) { got.emplace_back(text); }); });
  peer.send(packet("after"));
  ASSERT_TRUE(eventually([&] { return user.loop.run([&] { return got.size(); }) == 2; }));
  EXPECT_EQ(got, (std::vector<std::string>{"newest", "after"}));
}

}  // namespace
}  // namespace nb::client
