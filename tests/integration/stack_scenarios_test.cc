// The fourteen scenarios of contract/signal-relay-ops.md §7.4 over the whole stack: through the
// balancer, with relays and coturn. Each repeats what the original test looks at, letter for letter
// (keys, values, tables, ports, answers), then asks more, and all the while two agents that can
// meet through relays only exchange packets.
#include "crypto/relay_token.h"
#include "integration/stack.h"
#include "support/ws_bridge.h"
#include "turn_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;

class StackScenario : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = std::make_unique<Stack>();
    a_ = stack_->join("a");
    b_ = stack_->join("b");
  }
  static void TearDownTestSuite() {
    a_.reset();
    b_.reset();
    stack_.reset();
  }
  void SetUp() override { ASSERT_TRUE(talk()) << "before the test"; }
  void TearDown() override {
    stack_->heal();
    EXPECT_TRUE(talk()) << "after the test";
  }
  /// Packets go through a relay in both directions.
  static bool talk(std::chrono::milliseconds limit = 30s) {
    return a_->hears(*b_, limit) && b_->hears(*a_, limit);
  }
  [[nodiscard]] static Stack& stack() { return *stack_; }

  /// A stream through the balancer, on a connection of its own, at that instance.
  static std::unique_ptr<SignalPeer> signal_peer(const std::string& id,
                                                 const std::string& instance) {
    std::vector<std::unique_ptr<SignalPeer>> elsewhere;
    for (int attempt = 0; attempt < 10; ++attempt) {
      auto peer = std::make_unique<SignalPeer>(stack().web(), id);
      EXPECT_TRUE(peer->registered());
      EXPECT_TRUE(eventually([&] { return !stack().on_signal(id).empty(); }));
      const std::string home = stack().on_signal(id);
      EXPECT_THAT(home, AnyOf("signal-1", "signal-2")) << "the value is the bare instance id";
      if (home == instance) return peer;
      elsewhere.push_back(std::move(peer));  // it must not be rotated away
    }
    ADD_FAILURE() << id << " never came to " << instance;
    return {};
  }
  [[nodiscard]] static std::string other(const std::string& instance) {
    return instance.substr(0, instance.size() - 1) + (instance.ends_with('1') ? "2" : "1");
  }

  static std::unique_ptr<Stack> stack_;
  static std::unique_ptr<HeadlessPeer> a_;
  static std::unique_ptr<HeadlessPeer> b_;
};
std::unique_ptr<Stack> StackScenario::stack_;
std::unique_ptr<HeadlessPeer> StackScenario::a_;
std::unique_ptr<HeadlessPeer> StackScenario::b_;

TEST_F(StackScenario, S01_SignalCrossInstanceMessaging) {
  stack().redis.cli({"DEL", "nb:signal:registry"});
  const auto a = signal_peer("peer-a-signal-test", "signal-1");
  const auto b = signal_peer("peer-b-signal-test", "signal-2");
  ASSERT_TRUE(a && b);
  const auto exchange = [](SignalPeer& from, SignalPeer& to, const std::string& body) {
    ASSERT_TRUE(send(from.channel(), message(from.id(), to.id(), body), 5s).ok());
    ASSERT_TRUE(to.got(body, 15s));
    const auto last = to.messages().back();
    EXPECT_EQ(last.key(), from.id());
    EXPECT_EQ(last.remotekey(), to.id());
  };
  exchange(*a, *b, "there");
  exchange(*b, *a, "and back");
  EXPECT_EQ(a->count(), 1U);
  EXPECT_EQ(b->count(), 1U);
}

TEST_F(StackScenario, S02_SignalRegistryPopulation) {
  auto peer = signal_peer("peer-registry-test", "signal-1");
  ASSERT_TRUE(peer);
  EXPECT_EQ(stack().redis.cli({"HGET", "nb:signal:registry", "peer-registry-test"}), "signal-1");
  EXPECT_GT(std::stol(stack().redis.cli({"TTL", "nb:signal:registry"})), 0);
  // The test before deleted the hash; agents of running streams are back within 2 s.
  for (const HeadlessPeer* const agent : {a_.get(), b_.get()}) {
    EXPECT_TRUE(eventually([&] { return !stack().on_signal(agent->key()).empty(); }, 5s));
    EXPECT_THAT(stack().on_signal(agent->key()), AnyOf("signal-1", "signal-2"));
  }
  // The tests of the fork set and remove fields under running servers.
  stack().redis.cli({"HDEL", "nb:signal:registry", a_->key()});
  EXPECT_TRUE(eventually([&] { return !stack().on_signal(a_->key()).empty(); }, 5s));
  peer.reset();
  EXPECT_TRUE(eventually([&] { return stack().on_signal("peer-registry-test").empty(); }, 5s));
}

TEST_F(StackScenario, S03_SignalInstanceFailover) {
  std::string home;
  ASSERT_TRUE(eventually([&] { return !(home = stack().on_signal(a_->key())).empty(); }, 5s));
  stack().signal(home).kill();
  ASSERT_TRUE(talk()) << "tunnels do not need the signal server";
  EXPECT_TRUE(eventually([&] { return stack().on_signal(a_->key()) == other(home); }, 15s));
  const auto late = stack().join("late-3");
  EXPECT_TRUE(late->hears(*a_) && a_->hears(*late)) << "with one signal server left";
  // Nothing of the dead instance is left.
  EXPECT_TRUE(eventually(
      [&] {
        return stack().redis.cli({"HVALS", "nb:signal:registry"}).find(home) == std::string::npos;
      },
      15s));
}

TEST_F(StackScenario, S04_SignalGracefulDegradation) {
  const auto cross_a = signal_peer("peer-a-degrade", "signal-1");
  const auto cross_b = signal_peer("peer-b-degrade", "signal-2");
  ASSERT_TRUE(cross_a && cross_b);
  stack().redis.kill();
  ASSERT_TRUE(talk());
  // Streams and Sends of one instance, as the original has them.
  SignalPeer local_a(stack().signal_1->address(), "local-a");
  SignalPeer local_b(stack().signal_1->address(), "local-b");
  ASSERT_TRUE(local_a.registered(5s) && local_b.registered(5s));
  ASSERT_TRUE(send(local_a.channel(), message("local-a", "local-b", "local"), 5s).ok());
  EXPECT_TRUE(local_b.got("local", 10s));
  const auto late = stack().join("late-4");
  EXPECT_TRUE(late->hears(*a_, 60s)) << "an agent that comes meanwhile gets through";
  stack().redis.start();
  EXPECT_TRUE(eventually(
      [&] {
        return send(cross_a->channel(), message("peer-a-degrade", "peer-b-degrade", "after"), 5s)
                   .ok() &&
               cross_b->got("after", 200ms);
      },
      5s))
      << "across, on the streams of before";
  EXPECT_FALSE(cross_a->ended(0ms) || cross_b->ended(0ms));
}

TEST_F(StackScenario, S05_SignalRedisChannelIsolation) {
  const auto a = signal_peer("peer-a-isolated", "signal-1");
  const auto b = signal_peer("peer-b-isolated", "signal-2");
  ASSERT_TRUE(a && b);
  // Exactly the one that it is for; the test before took Redis away, and subscriptions are back
  // within 3 s (contract §7.5).
  for (const char* const instance : {"signal-1", "signal-2"})
    EXPECT_TRUE(eventually(
        [&] {
          return stack().redis.cli(
                     {"PUBLISH", std::string("nb:signal:instance:") + instance, "ping"}) == "1";
        },
        3s));
  ASSERT_TRUE(send(a->channel(), message(a->id(), b->id(), "alive")).ok());
  EXPECT_TRUE(b->got("alive"));
  EXPECT_EQ(b->count(), 1U);
  EXPECT_EQ(a->count(), 0U);
}

TEST_F(StackScenario, S06_SignalLoadBalancing) {
  std::vector<std::unique_ptr<SignalPeer>> peers;
  std::map<std::string, int> load;
  for (int i = 0; i < 40; ++i)
    peers.push_back(std::make_unique<SignalPeer>(stack().web(), "peer-lb-" + std::to_string(i)));
  for (const auto& peer : peers) {
    ASSERT_TRUE(peer->registered());
    ASSERT_TRUE(eventually([&] { return !stack().on_signal(peer->id()).empty(); }, 10s));
    ++load[stack().on_signal(peer->id())];
  }
  EXPECT_GE(load["signal-1"], 16);
  EXPECT_GE(load["signal-2"], 16);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    SignalPeer& from = *peers[i];
    SignalPeer& to = *peers[(i * 7 + 3) % peers.size()];
    const std::string body = "pair " + std::to_string(i);
    ASSERT_TRUE(send(from.channel(), message(from.id(), to.id(), body)).ok());
    EXPECT_TRUE(to.got(body));
  }
}

TEST_F(StackScenario, S07_SignalFailoverThroughTheBalancer) {
  const auto a = signal_peer("peer-a-failover", "signal-1");
  const auto b = signal_peer("peer-b-failover", "signal-2");
  ASSERT_TRUE(a && b);
  stack().signal_1->kill();
  ASSERT_TRUE(a->ended(15s));
  std::unique_ptr<SignalPeer> again;
  ASSERT_TRUE(eventually(
      [&] {
        again = std::make_unique<SignalPeer>(a->channel(), "peer-a-failover");
        return again->registered(2s);
      },
      15s));
  ASSERT_TRUE(eventually([&] { return stack().on_signal("peer-a-failover") == "signal-2"; }, 15s));
  ASSERT_TRUE(eventually(
      [&] {
        return send(b->channel(), message(b->id(), "peer-a-failover", "moved"), 5s).ok() &&
               again->got("moved", 1s);
      },
      15s));
  ASSERT_TRUE(talk());
  EXPECT_EQ(stack().on_signal("peer-b-failover"), "signal-2") << "the third one is left alone";
}

TEST_F(StackScenario, S08_ManagementUpdatePropagation) {
  // In place of `netbird status` and ping: an address of the network, and packets both ways.
  for (HeadlessPeer* const agent : {a_.get(), b_.get()})
    EXPECT_THAT(agent->address(), testing::StartsWith("100."));
  // The policy that every account begins with.
  const std::string path =
      "/api/policies/" + stack().postgres.psql("select id from policies where name='Default'");
  const std::string all =
      "[\"" + stack().postgres.psql("select id from groups where name='All'") + "\"]";
  const auto set = [&](const MgmtServer& through, const std::string& enabled) {
    return stack().rest(
        through.target(), "PUT", path,
        R"({"name":"Default","enabled":)" + enabled +
            R"(,"rules":[{"name":"Default","enabled":true,"action":"accept","bidirectional":true,)"
            R"("protocol":"all","sources":)" +
            all + R"(,"destinations":)" + all + "}]}");
  };
  // Through each instance in turn: wherever an agent's stream is, its map changes.
  for (const MgmtServer* const through : {stack().mgmt_1.get(), stack().mgmt_2.get()}) {
    const auto closed = set(*through, "false");
    ASSERT_EQ(closed.status, 200) << closed.body;
    EXPECT_TRUE(eventually([&] { return a_->peers() == 0 && b_->peers() == 0; }, 2s));
    EXPECT_FALSE(a_->send(*b_, "no way")) << "the tunnel is gone with the permission";
    const auto opened = set(*through, "true");
    ASSERT_EQ(opened.status, 200) << opened.body;
    ASSERT_TRUE(talk());
  }
}

TEST_F(StackScenario, S09_ManagementPeerRegistry) {
  // What the original does to the hash itself, with the servers beside it.
  auto& redis = stack().redis;
  EXPECT_EQ(redis.cli({"HSET", "nb:mgmt:peers", "test-peer", "mgmt-1"}), "1");
  EXPECT_EQ(redis.cli({"EXPIRE", "nb:mgmt:peers", "30"}), "1");
  EXPECT_EQ(redis.cli({"HGET", "nb:mgmt:peers", "test-peer"}), "mgmt-1");
  EXPECT_GT(std::stol(redis.cli({"TTL", "nb:mgmt:peers"})), 0);
  EXPECT_EQ(redis.cli({"HDEL", "nb:mgmt:peers", "test-peer"}), "1");
  // And what the servers do.
  for (const HeadlessPeer* const agent : {a_.get(), b_.get()})
    EXPECT_TRUE(eventually(
        [&] {
          const std::string home = stack().on_management(agent->key());
          return home == "mgmt-1" || home == "mgmt-2";
        },
        5s));
  const Agent agent("registry");
  ASSERT_TRUE(agent.login(stack().web(), stack().setup_key).ok());
  {
    SyncStream stream(agent, stack().mgmt_1->target());
    ASSERT_TRUE(stream.wait_first());
    EXPECT_TRUE(eventually([&] { return stack().on_management(agent.key()) == "mgmt-1"; }, 5s));
  }
  EXPECT_TRUE(eventually([&] { return stack().on_management(agent.key()).empty(); }, 5s));
}

TEST_F(StackScenario, S10_ManagementDistributedLocks) {
  auto& redis = stack().redis;
  EXPECT_EQ(redis.cli({"SETNX", "nb:mgmt:lock:test-lock", "outsider"}), "1");
  EXPECT_EQ(redis.cli({"SETNX", "nb:mgmt:lock:test-lock", "another"}), "0");
  const std::string once = stack().mgmt_1->setup_key({"--type", "one-off"});
  std::atomic<int> joined{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i)
    threads.emplace_back([&, i] {
      const Agent peer("once-" + std::to_string(i));
      if (peer.login(stack().web(), once).ok()) ++joined;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(joined, 1);
  EXPECT_EQ(redis.cli({"GET", "nb:mgmt:lock:test-lock"}), "outsider") << "a foreign lock";
  EXPECT_EQ(redis.cli({"DEL", "nb:mgmt:lock:test-lock"}), "1");
}

TEST_F(StackScenario, S11_ManagementInstanceFailover) {
  const Agent probe("probe");
  const auto key_1 = probe.server_key(stack().mgmt_1->target());
  const auto key_2 = probe.server_key(stack().mgmt_2->target());
  ASSERT_TRUE(key_1.ok() && key_2.ok());
  EXPECT_EQ(key_1.value, key_2.value);
  const std::string address = a_->address();
  std::string home;
  ASSERT_TRUE(eventually([&] { return !(home = stack().on_management(a_->key())).empty(); }, 5s));
  stack().management(home).process().kill();
  ASSERT_TRUE(talk());
  EXPECT_TRUE(eventually([&] { return stack().on_management(a_->key()) == other(home); }, 15s));
  EXPECT_EQ(a_->address(), address);
  const auto late = stack().join("late-11");
  EXPECT_TRUE(late->hears(*a_) && a_->hears(*late)) << "with one management server left";
}

TEST_F(StackScenario, S12_ManagementHealthConsistency) {
  for (const auto& server : {stack().mgmt_1.get(), stack().mgmt_2.get()})
    EXPECT_EQ(http_get(server->metrics_port(), "/metrics").status, 200);
  for (const auto& server : {stack().signal_1.get(), stack().signal_2.get()})
    EXPECT_EQ(http_get(server->metrics_port(), "/metrics").status, 200);
  for (const auto& relay : {stack().relay_1.get(), stack().relay_2.get()}) {
    EXPECT_EQ(http_get(relay->metrics_port(), "/metrics").status, 200);
    const auto health = http_get(relay->health_port(), "/health");
    EXPECT_EQ(health.status, 200);
    EXPECT_THAT(health.body, HasSubstr(R"("status":"healthy")"));
  }
  stack().postgres.stop();
  EXPECT_TRUE(eventually([] { return !stack().mgmt_1->ready() && !stack().mgmt_2->ready(); }));
  EXPECT_TRUE(eventually(
      [] { return stack().rest(stack().web(), "GET", "/api/groups").status == 503; }, 15s))
      << "the balancer has nobody left";
  EXPECT_TRUE(stack().signal_1->ready() && stack().relay_1->ready());
  ASSERT_TRUE(talk()) << "packets need no database";
  stack().postgres.start();
  EXPECT_TRUE(eventually(
      [] { return stack().rest(stack().web(), "GET", "/api/groups").status == 200; }, 30s));
}

TEST_F(StackScenario, S13_ManagementPolicyPropagation) {
  const auto id_of = [](const std::string& body) {
    const auto at = body.find(R"("id":")");
    return at == std::string::npos ? "" : body.substr(at + 6, body.find('"', at + 6) - at - 6);
  };
  const auto group = stack().rest(stack().mgmt_1->target(), "POST", "/api/groups",
                                  R"({"name":"ha-test-group","peers":[]})");
  ASSERT_EQ(group.status, 200) << group.body;
  const std::string id = id_of(group.body);
  ASSERT_FALSE(id.empty());
  const auto listed = stack().rest(stack().mgmt_2->target(), "GET", "/api/groups");
  ASSERT_EQ(listed.status, 200);
  EXPECT_THAT(listed.body, HasSubstr(id));
  const auto policy =
      stack().rest(stack().mgmt_1->target(), "POST", "/api/policies",
                   R"({"name":"ha-test-policy","enabled":true,"rules":[{"name":"r","enabled":true,)"
                   R"("action":"accept","bidirectional":true,"protocol":"all","sources":[")" +
                       id + R"("],"destinations":[")" + id + R"("]}]})");
  ASSERT_EQ(policy.status, 200) << policy.body;
  const std::string policy_id = id_of(policy.body);
  EXPECT_THAT(stack().rest(stack().mgmt_2->target(), "GET", "/api/policies").body,
              HasSubstr(policy_id));
  // Through the balancer, and what happened is known on both.
  EXPECT_EQ(stack().rest(stack().web(), "GET", "/api/policies/" + policy_id).status, 200);
  for (const MgmtServer* const server : {stack().mgmt_1.get(), stack().mgmt_2.get()})
    EXPECT_TRUE(eventually([&] {
      return stack()
                 .rest(server->target(), "GET", "/api/events/audit")
                 .body.find("ha-test-policy") != std::string::npos;
    }));
  for (const std::string& path : {"/api/policies/" + policy_id, "/api/groups/" + id})
    EXPECT_EQ(stack().rest(stack().mgmt_2->target(), "DELETE", path).status, 200);
}

TEST_F(StackScenario, S14_ManagementFailoverWithSync) {
  const auto whole = [](const std::string& name) {
    const Agent peer(name);
    const auto joined = peer.login(stack().web(), stack().setup_key);
    ASSERT_TRUE(joined.ok()) << joined.status.error_message();
    SyncStream stream(peer, stack().web());
    ASSERT_TRUE(stream.wait_first()) << name;
    const auto received = stream.received();
    const auto& config = received.front().netbirdconfig();
    EXPECT_EQ(config.signal().uri(), stack().web());
    EXPECT_EQ(config.relay().urls_size(), 2);
    ASSERT_EQ(config.turns_size(), 1);
    // The credentials of whichever instance work at the real TURN server.
    TurnClient turn(stack().turn.port(), config.turns(0).user(), config.turns(0).password());
    EXPECT_TRUE(turn.allocate()) << turn.error();
  };
  for (int i = 0; i < 10; ++i) whole("both-" + std::to_string(i));
  stack().mgmt_1->process().kill();
  ASSERT_TRUE(talk());
  ASSERT_TRUE(eventually([] { return Agent("probe").server_key(stack().web()).ok(); }, 15s));
  for (int i = 0; i < 5; ++i) whole("one-left-" + std::to_string(i));
}

TEST_F(StackScenario, RelaysBehindTheBalancerAreReplacedWhenTheyDie) {
  const std::string used = a_->relay_of(*b_);
  ASSERT_THAT(used, AnyOf(stack().relay_url(1), stack().relay_url(2)));
  stack().relay_at(used).process().kill();
  EXPECT_TRUE(
      eventually([&] { return !a_->relay_of(*b_).empty() && a_->relay_of(*b_) != used; }, 30s));
  EXPECT_TRUE(talk());
}

/// contract/signal-relay-ops.md §1.5: whole HTTP/2 connections in WebSockets, by the same balancer.
TEST_F(StackScenario, AgentsInBrowsersComeThroughTheBalancer) {
  const std::string web = stack().web();
  const auto port = static_cast<std::uint16_t>(std::stoi(web.substr(web.find(':') + 1)));
  const WsBridge management(port, "/ws-proxy/management");
  const Agent agent("in-a-browser");
  ASSERT_TRUE(agent.login(management.address(), stack().setup_key).ok());
  SyncStream stream(agent, management.address());
  ASSERT_TRUE(stream.wait_first());
  const WsBridge signal(port, "/ws-proxy/signal");
  SignalPeer browser(signal.address(), "in-a-browser");
  SignalPeer elsewhere(web, "elsewhere");
  ASSERT_TRUE(browser.registered() && elsewhere.registered());
  ASSERT_TRUE(send(elsewhere.channel(), message("elsewhere", "in-a-browser", "offer")).ok());
  EXPECT_TRUE(browser.got("offer"));
}

/// nginx 1.22 keeps the header of a silent stream in its TLS buffer until something else goes over
/// the same connection: at the latest, agents ping after 30 s (docs/build-deploy.md).
constexpr auto kHeaderHeldBack = 90s;

/// The other balancer that deploy/ has a file for and Debian a package: one port with TLS.
TEST(StackNginx, CarriesEverythingAndGoesAroundDeadServers) {
  Stack stack(Balancer::kNginx);
  const auto a = stack.join("a");
  const auto b = stack.join("b");
  ASSERT_TRUE(a->hears(*b, kHeaderHeldBack) && b->hears(*a, kHeaderHeldBack));
  EXPECT_THAT(a->relay_of(*b), AnyOf(stack.relay_url(1), stack.relay_url(2)));
  EXPECT_EQ(a->relay_of(*b), b->relay_of(*a)) << "by the relay's own name";
  const auto groups = stack.rest(stack.web(), "GET", "/api/groups");
  EXPECT_EQ(groups.status, 200) << groups.body;
  EXPECT_EQ(stack.rest(stack.web(), "GET", "/oauth2/.well-known/openid-configuration").status, 200);

  stack.relay_at(a->relay_of(*b)).process().kill();
  ASSERT_TRUE(a->hears(*b) && b->hears(*a));
  stack.heal();
  stack.signal_1->kill();
  const auto c = stack.join("c");
  ASSERT_TRUE(c->hears(*a, kHeaderHeldBack) && a->hears(*c, kHeaderHeldBack));
  stack.heal();
  stack.mgmt_1->process().kill();
  const auto d = stack.join("d");
  ASSERT_TRUE(d->hears(*a, kHeaderHeldBack) && a->hears(*d, kHeaderHeldBack));
  EXPECT_EQ(stack.rest(stack.web(), "GET", "/api/groups").status, 200);
}

}  // namespace
}  // namespace nb::test
