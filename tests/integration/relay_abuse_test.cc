// netbird-relay among peers that mean it ill or do it badly: issue 6 §5. Each costs itself only,
// gets the right close code and is counted; two users exchange packets all the while.
#include "relay_names.h"
#include "relay_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using net::testing::RawClient;
using ::testing::Eq;
using ::testing::Optional;

/// A relay and the two who must not notice anything.
struct Quiet {
  explicit Quiet(std::vector<std::string> arguments = {}, bool tls = false)
      : server({.arguments = std::move(arguments), .tls = tls}),
        a("a", {server.url()}, RelayUser::quick(tls ? server.ca_file() : "")),
        b("b", {server.url()}, RelayUser::quick(tls ? server.ca_file() : "")) {
    EXPECT_TRUE(a.gets_home(server.url()) && b.gets_home(server.url()));
  }
  void undisturbed() { expect_packets(a, b, server.url()); }
  [[nodiscard]] bool counts(const std::string& metric, double value) const {
    return eventually([&] { return server.metric(metric) == value; });
  }
  RelayServer server;
  RelayUser a;
  RelayUser b;
};

/// The head of a masked binary frame that announces 64-bit `size`.
std::string announcing(std::uint64_t size) {
  std::string out = "\x82\xff";
  for (unsigned i = 8; i-- > 0;) out.push_back(static_cast<char>(size >> (8 * i)));
  return out + "mask";
}

TEST(RelayAbuse, FramesThatAnnounceTooMuchEndBeforeAnyOfItIsKept) {
  Quiet relay;
  const auto code = [&](const std::string& bytes) {
    RawPeer peer(relay.server.at(), "bad");
    peer.client.send(bytes);
    return peer.close_code();
  };
  EXPECT_EQ(code(announcing(std::uint64_t{1} << 20)), 1009);
  EXPECT_EQ(code(announcing((std::uint64_t{1} << 63) - 1)), 1009);
  EXPECT_EQ(code(announcing(~std::uint64_t{0})), 1002) << "RFC 6455 §5.2: the top bit is zero";
  EXPECT_EQ(code(announcing(100)), 1002) << "not the shortest form";
  // Many fragments of one message, each of them short enough.
  const std::string part(4'000, 'x');
  EXPECT_EQ(code(client_frame(2, part, false) + client_frame(0, part, false) +
                 client_frame(0, part, false)),
            1009);
  EXPECT_EQ(code(client_frame(9, std::string(126, 'x'))), 1002) << "a ping too long";
  EXPECT_EQ(code(client_frame(9, "x", false)), 1002) << "a ping in fragments";
  EXPECT_EQ(code(client_frame(0, "x")), 1002) << "the rest of nothing";
  EXPECT_EQ(code(client_frame(2, part, false) + client_frame(2, part)), 1002)
      << "a message inside another";
  EXPECT_EQ(code(client_frame(8, "x")), 1002) << "half a close code";
  EXPECT_EQ(code("\xc2\x81maskx"), 1002) << "an extension nobody offered";
  EXPECT_TRUE(relay.counts("nb_instance_peers", 2));
  relay.undisturbed();
}

TEST(RelayAbuse, SlowWritersHoldNobodyUpAndTheirPacketsArriveWhole) {
  Quiet relay({"--header-timeout", "1s", "--relay-handshake-timeout", "1s"});
  // Each stage is left unfinished by many.
  std::vector<std::unique_ptr<RawClient>> before_upgrade;
  std::vector<std::unique_ptr<RawPeer>> before_auth;
  std::vector<std::unique_ptr<RawPeer>> after_auth;
  const std::string auth = client_frame(2, relay::make_auth(id("never"), token()));
  const std::string packet = client_frame(2, make_transport(id("reader"), std::string(8'000, 'p')));
  for (int i = 0; i < 50; ++i) {
    before_upgrade.push_back(std::make_unique<RawClient>(relay.server.at().port));
    before_upgrade.back()->send("GET /relay HTTP/1.1\r\nHost: x\r\nUpgr");
    before_auth.push_back(std::make_unique<RawPeer>(relay.server.at()));
    before_auth.back()->client.send(std::string_view(auth).substr(0, auth.size() - 1));
    after_auth.push_back(std::make_unique<RawPeer>(relay.server.at(), "slow " + std::to_string(i)));
    after_auth.back()->client.send(std::string_view(packet).substr(0, packet.size() - 1));
  }
  relay.undisturbed();
  for (auto& each : before_upgrade) EXPECT_TRUE(each->closed_by_peer(20s));
  for (auto& each : before_auth) EXPECT_EQ(each->close_code(20s), 1008);
  EXPECT_TRUE(relay.counts(R"(nb_relay_refused_total{reason="timeout"})", 50));
  EXPECT_TRUE(relay.counts("nb_relay_handshakes", 0));
  // Who is in may take its time: byte by byte makes the same packet.
  RawPeer reader(relay.server.at(), "reader");
  RawPeer writer(relay.server.at(), "writer");
  for (const char byte : client_frame(2, make_transport(id("reader"), "a byte at a time")))
    writer.client.send(std::string_view(&byte, 1));
  EXPECT_THAT(reader.next(), Optional(Eq(make_transport(id("writer"), "a byte at a time"))));
  after_auth.front()->client.send(std::string_view(packet).substr(packet.size() - 1));
  EXPECT_THAT(reader.next(), Optional(Eq(make_transport(id("slow 0"), std::string(8'000, 'p')))));
  after_auth.clear();  // cut in the middle of their packets
  EXPECT_TRUE(relay.counts("nb_instance_peers", 4));
  reader.send(make_transport(id("reader"), "sentinel"));
  EXPECT_THAT(reader.next(), Optional(Eq(make_transport(id("reader"), "sentinel"))))
      << "nothing of the unfinished packets";
  relay.undisturbed();
}

TEST(RelayAbuse, NobodySpeaksInTheNameOfAnother) {
  Quiet relay;
  RawPeer victim(relay.server.at(), "victim");
  RawPeer liar(relay.server.at(), "liar");
  // A second authentication, with a good token even, changes nobody's name.
  liar.authenticate("a");
  // A packet inside a packet stays what it is.
  const std::string inner = make_transport(id("a"), "from a, honestly");
  liar.send(make_transport(id("victim"), inner));
  EXPECT_THAT(victim.next(), Optional(Eq(make_transport(id("liar"), inner))));
  EXPECT_TRUE(relay.counts("nb_relay_malformed_messages_total", 1));
  EXPECT_EQ(relay.server.metric("relay_peer_reconnections_total"), 0);
  // News about others come from the relay only.
  const std::vector<PeerId> of = {id("a")};
  for (const Type news : {Type::kPeersOnline, Type::kPeersOffline, Type::kAuthResponse}) {
    RawPeer faker(relay.server.at(), "faker");
    faker.send(make_ids(news, of));
    EXPECT_EQ(faker.close_code(), 1008);
    EXPECT_TRUE(relay.counts("nb_instance_peers", 4));
  }
  // Without a token of this relay there is no name at all.
  for (const auto& bad : {token(1h, "guessed"), token(-2s), crypto::RelayToken{}}) {
    RawPeer stranger(relay.server.at());
    stranger.authenticate("a", bad);
    EXPECT_EQ(stranger.close_code(), 1008);
  }
  EXPECT_EQ(relay.server.metric("relay_peer_reconnections_total"), 0);
  relay.undisturbed();
}

TEST(RelayAbuse, AFloodFromOneSenderLeavesRoomForOthers) {
  Quiet relay({"--relay-queue-bytes", "262144", "--relay-write-timeout", "1h"});
  RawPeer reader(relay.server.at(), "reader");  // reads nothing for now
  RawPeer flooder(relay.server.at(), "flooder");
  const std::string flood = client_frame(2, make_transport(id("reader"), std::string(8'000, 'f')));
  ASSERT_TRUE(eventually(
      [&] {
        for (int i = 0; i < 100; ++i) flooder.client.send(flood);
        return relay.server.metric(R"(nb_relay_queue_dropped_total{reason="share"})") > 0;
      },
      30s));
  relay.undisturbed();
  // Senders are told apart by a hash with few values: a few of these may share the flooder's.
  constexpr std::size_t kModest = 6;
  std::vector<std::unique_ptr<RawPeer>> modest;
  for (std::size_t i = 0; i < kModest; ++i) {
    modest.push_back(std::make_unique<RawPeer>(relay.server.at(), "modest " + std::to_string(i)));
    modest.back()->send(make_transport(id("reader"), "small and welcome"));
    // Its own echo tells that the relay has judged what came before.
    modest.back()->send(make_transport(id("modest " + std::to_string(i)), "done"));
    ASSERT_TRUE(modest.back()->next());
  }
  std::size_t came = 0;
  while (came == 0) {
    const auto message = reader.next();
    if (!message) break;
    for (std::size_t i = 0; i < kModest; ++i)
      came += *message == make_transport(id("modest " + std::to_string(i)), "small and welcome");
  }
  EXPECT_GE(came, 1U);
  relay.undisturbed();
}

TEST(RelayAbuse, SubscriptionsAndPacketsToNobodyAreBoundedAndCounted) {
  Quiet relay({"--relay-max-subscriptions", "300"});
  // Each user watches the other, as long as their tunnel is open.
  const double before = std::max(0.0, relay.server.metric("nb_relay_subscriptions"));
  auto greedy = std::make_unique<RawPeer>(relay.server.at(), "greedy");
  for (int round = 0; round < 5; ++round) {
    std::vector<PeerId> nobody;
    for (int i = 0; i < 244; ++i)
      nobody.push_back(id("nobody " + std::to_string(round) + " " + std::to_string(i)));
    greedy->send(make_ids(Type::kSubscribe, nobody));
  }
  EXPECT_TRUE(relay.counts("nb_relay_subscriptions_refused_total", 5 * 244 - 300));
  EXPECT_TRUE(relay.counts("nb_relay_subscriptions", before + 300));
  std::string packets;
  for (int i = 0; i < 2'000; ++i)
    packets += client_frame(2, make_transport(id("nobody " + std::to_string(i)), "hello"));
  greedy->client.send(packets);
  EXPECT_TRUE(relay.counts("nb_relay_absent_dropped_total", 2'000));
  for (const std::size_t wrong : {std::size_t{1}, std::size_t{35}, std::size_t{37}})
    greedy->send(std::string("\x01\x08", 2) + std::string(wrong, 'x'));
  greedy->send(std::string("\x01\x08", 2) + std::string(36UL * 245 - 36, 'x'));  // full, and right
  EXPECT_TRUE(relay.counts("nb_relay_malformed_messages_total", 3));
  greedy->send(make_transport(id("greedy"), "still here"));
  EXPECT_THAT(greedy->next(), Optional(Eq(make_transport(id("greedy"), "still here"))));
  greedy.reset();
  EXPECT_TRUE(relay.counts("nb_relay_subscriptions", before)) << "all of it is given back";
  relay.undisturbed();
}

TEST(RelayAbuse, NonsenseAndSilenceInsteadOfTlsEndInTime) {
  Quiet relay({"--header-timeout", "1s"}, true);
  std::vector<std::unique_ptr<RawClient>> bad;
  for (int i = 0; i < 20; ++i) {
    bad.push_back(std::make_unique<RawClient>(relay.server.at().port));
    if (i % 4 == 0) bad.back()->send("GET /relay HTTP/1.1\r\nHost: x\r\n\r\n");
    if (i % 4 == 1) bad.back()->send(std::string(3'000, '\xee'));
    if (i % 4 == 2) bad.back()->send("\x16\x03\x01\x02\x00\x01");  // the beginning of a hello
  }
  relay.undisturbed();
  for (auto& each : bad) EXPECT_TRUE(each->closed_by_peer(20s));
  relay.undisturbed();
}

}  // namespace
}  // namespace nb::test
