// netbird-relay as its peers see it: contract/signal-relay-ops.md §3, on real processes.
#include "crypto/encoding.h"
#include "relay_names.h"
#include "relay_server.h"
#include "support/servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <random>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using ::testing::Eq;
using ::testing::Optional;

constexpr auto kZeroKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Numbered payloads of every size that agents send.
std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(std::to_string(i) + ":");
    out.back().resize(std::max<std::size_t>(out.back().size(), 32 + i * 131 % 1'400), 'x');
  }
  return out;
}

/// Sends `payloads` and waits for each batch, so that nothing is dropped for want of room.
void expect_delivery(RelayUser& from, RelayUser& to, const std::shared_ptr<Inbox>& inbox,
                     const std::vector<std::string>& payloads) {
  const std::size_t before = inbox->count();
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    ASSERT_TRUE(from.send(to.key(), payloads[i])) << i;
    if (i % 64 != 63) continue;
    ASSERT_TRUE(inbox->receives(before + i + 1)) << i;
  }
  ASSERT_TRUE(inbox->receives(before + payloads.size()));
  const auto all = inbox->all();
  const std::vector<std::string> got(all.begin() + static_cast<std::ptrdiff_t>(before), all.end());
  EXPECT_EQ(got, payloads);
}

void expect_both_ways(RelayUser& a, RelayUser& b, const std::string& url) {
  const auto at_a = std::make_shared<Inbox>();
  const auto at_b = std::make_shared<Inbox>();
  const auto connected = connect(a, b, url, at_a, at_b);
  ASSERT_TRUE(connected) << connected.error().text;
  expect_delivery(a, b, at_b, numbered(500));
  expect_delivery(b, a, at_a, numbered(500));
}

std::string ids(Type type, std::string_view key) {
  return make_ids(type, std::vector<PeerId>{id(key)});
}

/// What `frames`, sent after the upgrade, are answered with.
int code_of(const RelayServer& server, const std::string& frames) {
  RawPeer peer(server.at());
  peer.client.send(frames);
  return peer.close_code();
}

// --- the wire ----------------------------------------------------------------------------------

TEST(RelayWire, HandshakeIsByteForByteThatOfTheContract) {
  const RelayServer server({.exposed = "rels://relay.example.com:443"});
  RawPeer peer(server.at());
  // contract §10: key text of 32 zero bytes, secret "relay-secret", expiry 1893456000.
  const auto auth = crypto::from_hex(
      "01062112a4427368612d51643eac9777b63a7b268174d1fd4276daedec9bc9ea0bc6e5abf69047bc54f6"
      "01171b78c230f8924ea423b2db791f90effa360b02a58889d318e4aba5bdfb2eff"
      "31383933343536303030");
  ASSERT_TRUE(auth);
  peer.send(*auth);
  // One final binary frame, unmasked: 2 bytes of head, 30 of message.
  const std::string answer = "\x82\x1e\x01\x07rels://relay.example.com:443";
  EXPECT_EQ(peer.client.receive_until(
                [&](const std::string& bytes) { return bytes.size() >= answer.size(); }),
            answer);
  peer.client.received.clear();

  RawPeer other(server.at(), "another key");
  other.send(make_transport(id(kZeroKey), "wire guard"));
  std::string packet = "\x82\x30\x01\x03";
  packet.append(reinterpret_cast<const char*>(id("another key").data()), relay::kIdBytes);
  packet += "wire guard";
  EXPECT_EQ(peer.client.receive_until(
                [&](const std::string& bytes) { return bytes.size() >= packet.size(); }),
            packet)
      << "the destination's id becomes the sender's";
}

TEST(RelayWire, WrongAndExpiredTokensAreTurnedAwayWithoutAWord) {
  const RelayServer server;
  const auto with = [&](const crypto::RelayToken& t) {
    return client_frame(2, relay::make_auth(id("a"), t));
  };
  EXPECT_EQ(code_of(server, with(token(1h, "another secret"))), 1008);
  EXPECT_EQ(code_of(server, with(token(-2s))), 1008);
  crypto::RelayToken forged = token();
  forged.payload = std::to_string(std::stoll(forged.payload) + 3'600);
  EXPECT_EQ(code_of(server, with(forged)), 1008) << "a longer life than was signed";
  EXPECT_EQ(server.metric(R"(nb_relay_refused_total{reason="token"})"), 3);
  EXPECT_EQ(code_of(server, client_frame(2, make_transport(id("a"), "first"))), 1008);
  EXPECT_EQ(code_of(server, client_frame(2, std::string(213, 'x'))), 1008);
  EXPECT_EQ(code_of(server, client_frame(1, "text")), 1003);
  EXPECT_EQ(server.metric(R"(nb_relay_refused_total{reason="protocol"})"), 3);
  EXPECT_EQ(server.metric(R"(relay_peers{transport="ws"})"), 0);
  RawPeer good(server.at(), "a");  // still open for others
}

TEST(RelayWire, SecretsAreReplacedWithoutLosingAnyone) {
  const RelayServer server(
      {.env = {{"NB_AUTH_SECRET", "new one"}, {"NB_AUTH_SECRET_PREVIOUS", "relay-secret"}}});
  RawPeer old_token(server.at(), "a");
  RawPeer new_token(server.at());
  new_token.authenticate("b", token(1h, "new one"));
  EXPECT_THAT(new_token.next(), Optional(Eq(relay::make_auth_response(server.url()))));
}

TEST(RelayWire, HealthAndMetricsSayWhatIsThere) {
  RelayServer server;
  RawPeer a(server.at(), "a");
  a.send(make_transport(id("a"), "to myself"));
  ASSERT_THAT(a.next(), Optional(Eq(make_transport(id("a"), "to myself"))));
  const HttpAnswer health = http_get(server.health_port(), "/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_THAT(health.body, ::testing::HasSubstr(R"("status":"healthy")"));
  EXPECT_THAT(health.body, ::testing::HasSubstr(R"("listeners":["ws"])"));
  EXPECT_THAT(health.body, ::testing::HasSubstr(R"("exposed_address_reachable":true)"));
  EXPECT_EQ(http_get(server.at().port, "/other").status, 404);
  EXPECT_EQ(http_get(server.at().port, "/relay").status, 426);
  EXPECT_EQ(server.metric(R"(relay_peers{transport="ws"})"), 1);
  EXPECT_EQ(server.metric("nb_instance_peers"), 1);
  const double bytes = static_cast<double>(make_transport(id("a"), "to myself").size());
  EXPECT_EQ(server.metric("relay_transfer_received_bytes_total"), bytes);
  EXPECT_TRUE(server.metric_reaches("relay_transfer_sent_bytes_total", bytes));
  EXPECT_EQ(server.metric("relay_peer_authentication_time_milliseconds_count"), 1);
  EXPECT_EQ(server.metric("relay_peer_store_time_milliseconds_count"), 1);
  a.send("\x01\x04");
  EXPECT_EQ(a.close_code(), 1000);
  EXPECT_TRUE(eventually([&] { return server.metric(R"(relay_peers{transport="ws"})") == 0; }));
}

// --- packets -----------------------------------------------------------------------------------

TEST(RelayTraffic, GoesBothWaysInOrderAndWhole) {
  const RelayServer server;
  RelayUser a("a", {server.url()});
  RelayUser b("b", {server.url()});
  ASSERT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  expect_both_ways(a, b, server.url());
}

TEST(RelayTraffic, GoesThroughTls) {
  const RelayServer server({.tls = true});
  RelayUser a("a", {server.url()}, RelayUser::quick(server.ca_file()));
  RelayUser b("b", {server.url()}, RelayUser::quick(server.ca_file()));
  RelayUser stranger("c", {server.url()});  // does not know the authority
  ASSERT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  expect_both_ways(a, b, server.url());
  EXPECT_EQ(stranger.home(), "");
}

TEST(RelayTraffic, PeersAtHomeOnDifferentRelaysMeetOnTheOneInTheOffer) {
  const RelayServer one;
  const RelayServer two;
  RelayUser a("a", {one.url()});
  RelayUser b("b", {two.url()});
  ASSERT_TRUE(a.gets_home(one.url()) && b.gets_home(two.url()));
  expect_both_ways(a, b, one.url());
  EXPECT_EQ(one.metric(R"(relay_peers{transport="ws"})"), 2);
  EXPECT_EQ(b.home(), two.url()) << "a foreign relay is no new home";
  expect_both_ways(a, b, two.url());
}

TEST(RelayTraffic, ForeignRelaysAreLeftWhenNothingGoesThroughThem) {
  const RelayServer one;
  const RelayServer two;
  RelayUser a("a", {one.url()});
  RelayUser b("b", {two.url()});
  ASSERT_TRUE(a.gets_home(one.url()) && b.gets_home(two.url()));
  expect_both_ways(a, b, one.url());
  expect_both_ways(a, b, two.url());  // closes the tunnel on `one`
  EXPECT_TRUE(eventually([&] { return one.metric(R"(relay_peers{transport="ws"})") == 1; }));
}

TEST(RelayTraffic, ATunnelToNobodyIsGivenUp) {
  const RelayServer server;
  auto options = RelayUser::quick();
  options.times.open = 300ms;
  RelayUser a("a", {server.url()}, options);
  ASSERT_TRUE(a.gets_home(server.url()));
  const auto opened = a.open("nobody", server.url(), std::make_shared<Inbox>());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kDeadlineExceeded);
  EXPECT_TRUE(eventually([&] { return server.metric("nb_relay_subscriptions") == 0; }));
}

TEST(RelayTraffic, AnExpiredTokenEndsNoConnectionAndOpensNone) {
  const RelayServer server;
  RelayUser a("a", {server.url()});
  ASSERT_TRUE(a.gets_home(server.url()));
  a.use({server.url()}, token(-10s));
  RelayUser b("b", {server.url()});
  ASSERT_TRUE(b.gets_home(server.url()));
  expect_both_ways(a, b, server.url());
  RelayUser late("late", {});
  late.use({server.url()}, token(-10s));
  EXPECT_TRUE(eventually([&] { return late.refusals() >= 2; })) << "it asks for a new one then";
  EXPECT_EQ(late.home(), "");
  late.use({server.url()});
  EXPECT_TRUE(late.gets_home(server.url()));
}

// --- relays that go ----------------------------------------------------------------------------

TEST(RelayLoss, AfterAKillBothSidesMoveAndGoOn) {
  auto one = std::make_unique<RelayServer>();
  const RelayServer two;
  RelayUser a("a", {one->url()});
  RelayUser b("b", {one->url()});
  ASSERT_TRUE(a.gets_home(one->url()) && b.gets_home(one->url()));
  for (RelayUser* user : {&a, &b}) user->use({one->url(), two.url()});
  expect_both_ways(a, b, one->url());
  one->process().kill();
  EXPECT_TRUE(a.gets_home(two.url()) && b.gets_home(two.url()));
  EXPECT_FALSE(a.tunnel_open("b")) << "the agent hears of it and offers anew";
  EXPECT_FALSE(b.tunnel_open("a"));
  expect_both_ways(a, b, two.url());
}

TEST(RelayLoss, AForeignRelayThatDiesTakesItsTunnelAlongAndNoHome) {
  auto one = std::make_unique<RelayServer>();
  const RelayServer two;
  RelayUser a("a", {one->url()});
  RelayUser b("b", {two.url()});
  ASSERT_TRUE(a.gets_home(one->url()) && b.gets_home(two.url()));
  a.use({one->url(), two.url()});
  expect_both_ways(a, b, one->url());
  one->process().kill();
  EXPECT_TRUE(eventually([&] { return !b.tunnel_open("a"); }));
  EXPECT_EQ(b.home(), two.url());
  ASSERT_TRUE(a.gets_home(two.url()));
  expect_both_ways(a, b, two.url());
}

TEST(RelayLoss, DrainSendsEveryoneAwayBeforeTheProcessEnds) {
  RelayServer one({.arguments = {"--relay-drain-time", "1s"}});
  const RelayServer two;
  RelayUser a("a", {one.url()});
  RelayUser b("b", {one.url()});
  ASSERT_TRUE(a.gets_home(one.url()) && b.gets_home(one.url()));
  for (RelayUser* user : {&a, &b}) user->use({one.url(), two.url()});
  expect_both_ways(a, b, one.url());
  RawPeer told(one.at(), "told");
  RawPeer unauthenticated(one.at());
  one.process().signal(SIGTERM);
  EXPECT_THAT(told.next(), Optional(Eq("\x01\x04"))) << "a goodbye, no broken connection";
  EXPECT_EQ(told.close_code(), 1001);
  EXPECT_EQ(unauthenticated.close_code(), 1001);
  EXPECT_TRUE(a.gets_home(two.url()) && b.gets_home(two.url()));
  EXPECT_THAT(one.process().wait(20s), Optional(Eq(0)));
  expect_both_ways(a, b, two.url());
}

TEST(RelayLoss, NotReadyComesBeforeTheFirstGoodbye) {
  RelayServer server({.env = {{"NB_DRAIN_DELAY", "30s"}}});
  RawPeer peer(server.at(), "peer");
  server.process().signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return !server.ready(); }));
  peer.send(make_transport(id("peer"), "still carried"));
  EXPECT_THAT(peer.next(), Optional(Eq(make_transport(id("peer"), "still carried"))));
}

TEST(RelayHa, TwoRelaysWithOneAddressAreFoundOut) {
  const RedisServer redis;
  const std::string shared = "rels://relay.example.com:443";
  const RelayServer one({.exposed = shared, .redis = redis.address(), .instance = "relay-1"});
  const RelayServer two(
      {.exposed = shared, .redis = redis.address(), .instance = "relay-2", .wait = false});
  EXPECT_TRUE(eventually(
      [&] { return http_get(two.health_port(), "/healthz").status == 200 && !two.ready(); }));
  EXPECT_TRUE(one.ready());
  const RelayServer three({.redis = redis.address(), .instance = "relay-3"});
  EXPECT_TRUE(three.ready());
  EXPECT_FALSE(two.ready());
}

TEST(RelayHa, RedisMayGoAndComeBackUnderTraffic) {
  RedisServer redis;
  const RelayServer server({.redis = redis.address()});
  RelayUser a("a", {server.url()});
  RelayUser b("b", {server.url()});
  ASSERT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  redis.kill();
  expect_both_ways(a, b, server.url());
  RelayUser c("c", {server.url()});
  EXPECT_TRUE(c.gets_home(server.url())) << "new peers need no Redis either";
  redis.start();
  EXPECT_TRUE(server.ready_within(20s));
  expect_both_ways(a, b, server.url());
}

// --- abuse -------------------------------------------------------------------------------------

TEST(RelayAbuse, ASecondConnectionTakesTheIdAndAStormOfThemIsStopped) {
  const RelayServer server;
  RawPeer watcher(server.at(), "w");
  auto holder = std::make_unique<RawPeer>(server.at(), "a");
  watcher.send(ids(Type::kSubscribe, "a"));
  ASSERT_THAT(watcher.next(), Optional(Eq(ids(Type::kPeersOnline, "a"))));
  for (int taken = 0; taken < 5; ++taken) {
    auto next = std::make_unique<RawPeer>(server.at(), "a");
    EXPECT_EQ(holder->close_code(), 1008);
    holder = std::move(next);
  }
  EXPECT_EQ(server.metric("relay_peer_reconnections_total"), 5);
  RawPeer refused(server.at());
  refused.authenticate("a");
  EXPECT_EQ(refused.close_code(), 1013);
  watcher.send(make_transport(id("a"), "for whoever has it"));
  EXPECT_THAT(holder->next(), Optional(Eq(make_transport(id("w"), "for whoever has it"))));
  watcher.send(make_transport(id("w"), "sentinel"));
  EXPECT_THAT(watcher.next(), Optional(Eq(make_transport(id("w"), "sentinel"))))
      << "no offline notice in between";
}

TEST(RelayAbuse, ASlowReaderStallsNobody) {
  const RelayServer server({.arguments = {"--relay-queue-bytes", "262144"}});
  RawPeer slow(server.at(), "slow");  // reads nothing
  RawPeer sender(server.at(), "sender");
  RelayUser a("a", {server.url()});
  RelayUser b("b", {server.url()});
  ASSERT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  const std::string frame = client_frame(2, make_transport(id("slow"), std::string(8'000, 'x')));
  // Until the sockets' buffers and the sender's share of the queue are full, and stay so.
  ASSERT_TRUE(eventually(
      [&] {
        for (int i = 0; i < 200; ++i) sender.client.send(frame);
        return server.metric("nb_relay_queue_bytes") > 100'000;
      },
      30s));
  EXPECT_GT(server.metric(R"(nb_relay_queue_dropped_total{reason="share"})"), 0);
  // Neither its sender nor anybody else waits for it.
  sender.send(make_transport(id("sender"), "not held up"));
  EXPECT_THAT(sender.next(), Optional(Eq(make_transport(id("sender"), "not held up"))));
  expect_both_ways(a, b, server.url());
  EXPECT_LE(server.metric("nb_relay_queue_bytes"), 262'144);
  EXPECT_TRUE(eventually(
      [&] { return server.metric(R"(nb_relay_ended_total{reason="slow"})") == 1; }, 40s));
}

TEST(RelayAbuse, NonsenseEndsItsOwnConnectionOnly) {
  const RelayServer server;
  RelayUser a("a", {server.url()});
  RelayUser b("b", {server.url()});
  ASSERT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  const auto code = [&](const std::string& bytes) {
    RawPeer peer(server.at(), "bad");
    peer.client.send(bytes);
    const int closed = peer.close_code();
    EXPECT_TRUE(eventually([&] { return server.metric("nb_instance_peers") == 2; }));
    return closed;
  };
  EXPECT_EQ(code(client_frame(2, "")), 1008);
  EXPECT_EQ(code(client_frame(2, "\x01")), 1008) << "truncated";
  EXPECT_EQ(code(client_frame(2, "\x02\x03")), 1008) << "another version";
  EXPECT_EQ(code(client_frame(2, std::string("\x01\x01", 2))), 1008) << "legacy hello";
  EXPECT_EQ(code(client_frame(2, "\x01\x0a")), 1008) << "what only relays say";
  EXPECT_EQ(code(client_frame(1, "hello")), 1003);
  EXPECT_EQ(code(client_frame(2, std::string(relay::kMessageMax + 1, 'x'))), 1009);
  EXPECT_EQ(code("\x82\x05hello"), 1002) << "not masked";
  EXPECT_EQ(server.metric(R"(nb_relay_ended_total{reason="malformed"})"), 6);
  expect_both_ways(a, b, server.url());
}

TEST(RelayAbuse, RandomBytesAtEveryStageHurtNobody) {
  const RelayServer server;
  RelayUser a("a", {server.url()});
  RelayUser b("b", {server.url()});
  ASSERT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  std::mt19937 random(20'261'126);
  const auto noise = [&](std::size_t size) {
    std::string out(size, '\0');
    for (char& byte : out) byte = static_cast<char>(random());
    return out;
  };
  for (std::size_t round = 0; round < 60; ++round) {
    net::testing::RawClient before_upgrade(server.at().port);
    before_upgrade.send(noise(1 + random() % 3'000));
    RawPeer before_auth(server.at());
    before_auth.client.send(round % 2 ? noise(1 + random() % 3'000)
                                      : client_frame(2, noise(1 + random() % 212)));
    RawPeer after_auth(server.at(), "noise");
    after_auth.client.send(round % 2 ? noise(1 + random() % 3'000)
                                     : client_frame(2, noise(1 + random() % 9'000)));
  }
  EXPECT_TRUE(eventually([&] { return server.metric("nb_instance_peers") == 2; }));
  EXPECT_TRUE(eventually([&] { return server.metric("nb_relay_handshakes") == 0; }));
  expect_both_ways(a, b, server.url());
}

TEST(RelayAbuse, AFloodOfConnectionsIsBoundedAndPeersGoOn) {
  const RelayServer server(
      {.arguments = {"--relay-max-handshakes", "50", "--relay-handshake-timeout", "2s",
                     "--max-connections-per-address", "120"}});
  RelayUser a("a", {server.url()});
  RelayUser b("b", {server.url()});
  ASSERT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  std::vector<std::unique_ptr<RawPeer>> flood;
  for (int i = 0; i < 100; ++i) flood.push_back(std::make_unique<RawPeer>(server.at()));
  EXPECT_EQ(server.metric("nb_relay_handshakes"), 50);
  EXPECT_EQ(server.metric(R"(nb_relay_refused_total{reason="full"})"), 50);
  expect_both_ways(a, b, server.url());
  std::vector<std::unique_ptr<net::testing::RawClient>> sockets;
  for (int i = 0; i < 200; ++i)
    sockets.push_back(std::make_unique<net::testing::RawClient>(server.at().port));
  EXPECT_TRUE(eventually([&] {
    return server.metric(R"(netbird_net_connections_refused_total{reason="address_limit"})") > 0;
  })) << "one address holds no more than its share";
  expect_both_ways(a, b, server.url());
  flood.clear();
  sockets.clear();
  RelayUser later("later", {server.url()});
  EXPECT_TRUE(later.gets_home(server.url()));
}

TEST(RelayAbuse, SilentConnectionsAreEndedInTime) {
  const RelayServer server({.arguments = {"--relay-handshake-timeout", "200ms"}});
  RawPeer silent(server.at());
  EXPECT_EQ(silent.close_code(), 1008);
  EXPECT_EQ(server.metric(R"(nb_relay_refused_total{reason="timeout"})"), 1);
}

}  // namespace
}  // namespace nb::test
