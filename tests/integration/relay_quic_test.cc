// netbird-relay over QUIC datagrams: contract/signal-relay-ops.md §3.7, on real processes.
#include "quic_peer.h"
#include "relay_names.h"
#include "relay_server.h"
#include "support/certificate.h"
#include "support/paths.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <random>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;

RelayServerOptions quic() {
  return {.arguments = {"--enable-quic"}, .tls = true};
}

std::string transport(std::string_view to, std::string_view payload) {
  return make_transport(id(to), payload);
}

TEST(RelayQuic, PacketsGoBothWaysBetweenPeers) {
  const RelayServer server(quic());
  QuicPeer a(server.at().port);
  QuicPeer b(server.at().port);
  ASSERT_TRUE(a.connected() && b.connected());
  ASSERT_TRUE(a.authenticate("a", server.url()));
  ASSERT_TRUE(b.authenticate("b", server.url()));
  for (int i = 0; i < 200; ++i) {
    const std::string payload =
        std::to_string(i) + std::string(static_cast<std::size_t>(i) * 5, 'x');
    ASSERT_TRUE(a.send(transport("b", payload)));
    EXPECT_THAT(b.next(), Optional(Eq(transport("a", payload)))) << i;
    ASSERT_TRUE(b.send(transport("a", payload)));
    EXPECT_THAT(a.next(), Optional(Eq(transport("b", payload)))) << i;
  }
  EXPECT_EQ(server.metric(R"(relay_peers{transport="quic"})"), 2);
  EXPECT_EQ(server.metric(R"(relay_peers{transport="ws"})"), 0);
  const auto health = http_get(server.health_port(), "/health");
  EXPECT_THAT(health.body, HasSubstr(R"("listeners":["ws","quic"])"));
}

TEST(RelayQuic, PeersOfBothTransportsMeet) {
  const RelayServer server(quic());
  RelayUser a("a", {server.url()}, RelayUser::quick(server.ca_file()));
  ASSERT_TRUE(a.gets_home(server.url()));
  QuicPeer b(server.at().port);
  ASSERT_TRUE(b.authenticate("b", server.url()));
  const auto inbox = std::make_shared<Inbox>();
  ASSERT_TRUE(a.open("b", server.url(), inbox));
  ASSERT_TRUE(a.send("b", "over TCP"));
  EXPECT_THAT(b.next(), Optional(Eq(transport("a", "over TCP"))));
  ASSERT_TRUE(b.send(transport("a", "over UDP")));
  ASSERT_TRUE(inbox->receives(1));
  EXPECT_EQ(inbox->all().front(), "over UDP");
}

TEST(RelayQuic, ThePathsSizeIsFoundAndWhatIsLargerIsDropped) {
  const RelayServer server(quic());
  QuicPeer a(server.at().port);
  QuicPeer b(server.at().port);
  ASSERT_TRUE(a.authenticate("a", server.url()) && b.authenticate("b", server.url()));
  // A tunnel's packet of an interface with 1280 bytes: larger than QUIC begins with.
  const std::string packet(1'350, 'x');
  const auto exchange = [&] {
    return a.send(transport("b", packet)) && b.next(200ms) == transport("a", packet);
  };
  EXPECT_TRUE(eventually(
      [&] {
        a.send(transport("b", "small"));  // something to probe beside
        while (b.next(50ms)) {
        }
        return exchange();
      },
      20s));
  // And through the WebSocket comes what no datagram can carry.
  RelayUser large("large", {server.url()}, RelayUser::quick(server.ca_file()));
  ASSERT_TRUE(large.gets_home(server.url()));
  const auto inbox = std::make_shared<Inbox>();
  ASSERT_TRUE(large.open("b", server.url(), inbox));
  ASSERT_TRUE(large.send("b", std::string(4'000, 'x')));
  ASSERT_TRUE(large.send("b", "after it"));
  EXPECT_THAT(b.next(), Optional(Eq(transport("large", "after it"))));
  EXPECT_EQ(server.metric("nb_relay_quic_oversize_total"), 1);
}

TEST(RelayQuic, PresenceIsToldInMessagesThatFit) {
  const RelayServer server(quic());
  QuicPeer watcher(server.at().port);
  ASSERT_TRUE(watcher.authenticate("watcher", server.url()));
  std::vector<std::unique_ptr<QuicPeer>> online;
  std::vector<PeerId> ids;
  for (int i = 0; i < 40; ++i) {
    online.push_back(std::make_unique<QuicPeer>(server.at().port));
    ASSERT_TRUE(online.back()->authenticate("p" + std::to_string(i), server.url()));
    ids.push_back(id("p" + std::to_string(i)));
  }
  ASSERT_TRUE(watcher.send(make_ids(Type::kSubscribe, std::span(ids).first(25))));
  ASSERT_TRUE(watcher.send(make_ids(Type::kSubscribe, std::span(ids).subspan(25))));
  std::size_t told = 0;
  while (told < ids.size()) {
    const auto message = watcher.next();
    ASSERT_TRUE(message) << told;
    EXPECT_EQ(message->substr(0, 2), std::string("\x01\x0a", 2));
    EXPECT_LE(message->size(), 1'150U);
    told += (message->size() - 2) / 36;
  }
  EXPECT_EQ(told, ids.size());
}

TEST(RelayQuic, ConnectionsSurviveAChangeOfTheirAddress) {
  const RelayServer server(quic());
  QuicPeer a(server.at().port);
  QuicPeer b(server.at().port);
  ASSERT_TRUE(a.authenticate("a", server.url()) && b.authenticate("b", server.url()));
  a.rebind();
  ASSERT_TRUE(a.send(transport("b", "from elsewhere")));
  EXPECT_THAT(b.next(), Optional(Eq(transport("a", "from elsewhere"))));
  ASSERT_TRUE(b.send(transport("a", "and back")));
  EXPECT_THAT(a.next(), Optional(Eq(transport("b", "and back"))));
}

// Nothing but silence tells a client of UDP that its relay was killed. A new one under the same
// address could answer with a stateless reset, which official agents do not look for.
TEST(RelayQuic, ClientsAreToldToNoticeADeadRelaySoon) {
  const RelayServer server(quic());
  const QuicPeer a(server.at().port);
  ASSERT_TRUE(a.connected());
  EXPECT_EQ(a.idle_limit(), 15s);
}

TEST(RelayQuic, WrongTokensProtocolsAndNonsenseEndTheirOwnConnectionOnly) {
  const RelayServer server(quic());
  QuicPeer good(server.at().port);
  ASSERT_TRUE(good.authenticate("good", server.url()));
  EXPECT_FALSE(QuicPeer(server.at().port, "h3").connected());
  QuicPeer forged(server.at().port);
  ASSERT_TRUE(forged.send(relay::make_auth(id("forged"), token(1h, "another-secret"))));
  EXPECT_EQ(forged.close_code(), 0) << "closed without an answer";
  EXPECT_EQ(server.metric(R"(nb_relay_refused_total{reason="token"})"), 1);
  QuicPeer nonsense(server.at().port);
  ASSERT_TRUE(nonsense.authenticate("nonsense", server.url()));
  ASSERT_TRUE(nonsense.send("\x07nonsense"));
  EXPECT_EQ(nonsense.close_code(), 0);
  QuicPeer leaves(server.at().port);
  ASSERT_TRUE(leaves.authenticate("leaves", server.url()));
  leaves.close();
  EXPECT_TRUE(eventually([&] { return server.metric(R"(relay_peers{transport="quic"})") == 1; }));
  ASSERT_TRUE(good.send(transport("good", "to myself")));
  EXPECT_THAT(good.next(), Optional(Eq(transport("good", "to myself"))));
}

TEST(RelayQuic, RandomDatagramsAndFloodsOfHandshakesHurtNobody) {
  const RelayServer server(quic());
  QuicPeer good(server.at().port);
  ASSERT_TRUE(good.authenticate("good", server.url()));
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(server.at().port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::mt19937 random(7);
  for (int i = 0; i < 5'000; ++i) {
    std::string bytes(random() % 1'400, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (i % 3 == 0 && bytes.size() > 6) {  // an Initial of version 1 by its looks
      bytes[0] = static_cast<char>(0xc0U | (random() & 0x0fU));
      bytes.replace(1, 5, std::string("\0\0\0\1\x08", 5));
    }
    ::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  ::close(fd);
  ASSERT_TRUE(good.send(transport("good", "still here")));
  EXPECT_THAT(good.next(), Optional(Eq(transport("good", "still here"))));
  EXPECT_GT(server.metric(R"(nb_relay_quic_datagrams_total{result="ignored"})"), 1'000);
  EXPECT_TRUE(QuicPeer(server.at().port).connected());
}

TEST(RelayQuic, ADrainSendsEveryoneAway) {
  RelayServer server(quic());
  QuicPeer a(server.at().port);
  ASSERT_TRUE(a.authenticate("a", server.url()));
  server.process().signal(SIGTERM);
  EXPECT_THAT(a.next(15s), Optional(Eq(std::string("\x01\x04", 2)))) << "goodbye";
  EXPECT_EQ(a.close_code(), 0);
  EXPECT_THAT(server.process().wait(20s), Optional(Eq(0)));
}

TEST(RelayQuic, RenewedCertificatesAreTakenOver) {
  const RelayServer server(quic());
  QuicPeer before(server.at().port);
  ASSERT_TRUE(before.authenticate("before", server.url()));
  make_certificate(server.ca_file(),
                   server.ca_file().substr(0, server.ca_file().rfind('/')) + "/key.pem");
  EXPECT_TRUE(server.metric_reaches("nb_relay_quic_tls_reloads_total", 1));
  EXPECT_TRUE(QuicPeer(server.at().port).connected());
  ASSERT_TRUE(before.send(transport("before", "still here")));
  EXPECT_THAT(before.next(), Optional(Eq(transport("before", "still here"))));
}

TEST(RelayQuic, WithoutCertificatesItIsRefused) {
  const Finished done =
      run({.argv = {program_dir() + "/netbird-relay", "--enable-quic", "--exposed-address",
                    "rels://relay.example:443", "--auth-secret", "s"}});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.output, HasSubstr("--enable-quic needs --tls-cert-file"));
}

}  // namespace
}  // namespace nb::test
