// The ways onto a netbird-signal process besides its plain main port: TLS, the legacy port, the
// browser's WebSocket (contract/signal-relay-ops.md §1.4, §1.5, §6.7).
#include "signal_server.h"
#include "support/certificate.h"
#include "support/netbird.h"
#include "support/ws_bridge.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

std::string text_of(const std::string& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

std::shared_ptr<grpc::ChannelCredentials> trusting(const std::string& cert_file) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = text_of(cert_file);
  return grpc::SslCredentials(options);
}

void expect_talk(SignalPeer& a, SignalPeer& b) {
  ASSERT_TRUE(a.registered() && b.registered());
  ASSERT_TRUE(send(a.channel(), message(a.id(), b.id(), "there")).ok());
  ASSERT_TRUE(send(b.channel(), message(b.id(), a.id(), "back")).ok());
  EXPECT_TRUE(b.got("there"));
  EXPECT_TRUE(a.got("back"));
}

class SignalTls : public testing::Test {
 protected:
  SignalTls() { make_certificate(cert, key); }
  [[nodiscard]] std::vector<std::string> arguments() const {
    return {"--cert-file", cert, "--cert-key", key};
  }
  [[nodiscard]] std::shared_ptr<grpc::ChannelCredentials> trust() const { return trusting(cert); }
  TempDir dir;
  const std::string cert = dir / "cert.pem";
  const std::string key = dir / "key.pem";
};

TEST_F(SignalTls, PeersTalkOnTheMainPort) {
  SignalServer server({.arguments = arguments()});
  SignalPeer a(signal_channel(server.address(), trust()), "a");
  SignalPeer b(signal_channel(server.address(), trust()), "b");
  expect_talk(a, b);
}

TEST_F(SignalTls, CleartextAndUnknownCertificatesGetNowhere) {
  SignalServer server({.arguments = arguments()});
  EXPECT_FALSE(send(signal_channel(server.address()), message("x", "y", "m"), 2s).ok());
  make_certificate(dir / "other.pem", dir / "other-key.pem");
  const auto stranger = trusting(dir / "other.pem");
  EXPECT_FALSE(send(signal_channel(server.address(), stranger), message("x", "y", "m"), 2s).ok());
  EXPECT_TRUE(send(signal_channel(server.address(), trust()), message("x", "y", "m")).ok());
}

TEST_F(SignalTls, NewCertificateIsTakenOverAndOldConnectionsStay) {
  SignalServer server({.arguments = arguments()});
  SignalPeer peer(signal_channel(server.address(), trust()), "p");
  ASSERT_TRUE(peer.registered());
  make_certificate(cert, key);
  EXPECT_TRUE(eventually(
      [&] {
        return send(signal_channel(server.address(), trust()), message("x", "p", "new"), 1s).ok();
      },
      60s));
  EXPECT_TRUE(peer.got("new"));
  EXPECT_FALSE(peer.ended(0ms));
}

TEST_F(SignalTls, LegacyPortIsEncryptedToo) {
  const std::string address = own_address();
  SignalServer server({.arguments = arguments(), .listen = address, .legacy_port = true});
  grpc::ChannelArguments named;
  named.SetSslTargetNameOverride("localhost");
  SignalPeer a(signal_channel(address + ":10000", trust(), named), "a");
  SignalPeer b(signal_channel(server.address(), trust(), named), "b");
  expect_talk(a, b);
  EXPECT_FALSE(send(signal_channel(address + ":10000"), message("x", "y", "m"), 2s).ok());
}

TEST(SignalLegacyPort, OldAgentsReachPeersOfTheMainPort) {
  const std::string address = own_address();
  SignalServer server({.listen = address, .legacy_port = true});
  SignalPeer old_agent(address + ":10000", "old");
  SignalPeer agent(server.address(), "new");
  expect_talk(old_agent, agent);
}

TEST(SignalWebSocket, BrowserAgentsReachOthersThroughTheTunnel) {
  SignalServer server;
  WsBridge bridge(server.port(), "/ws-proxy/signal");
  SignalPeer browser(bridge.address(), "browser");
  SignalPeer agent(server.address(), "agent");
  expect_talk(browser, agent);
  EXPECT_GE(server.metric("wsproxy_active_connections"), 1);
  EXPECT_GT(server.metric("wsproxy_bytes_transferred_total{direction=\"ws_to_grpc\"}"), 0);
  EXPECT_GT(server.metric("wsproxy_bytes_transferred_total{direction=\"grpc_to_ws\"}"), 0);
}

TEST(SignalWebSocket, MessagesOfTheTunnelMayCutTheStreamAnywhere) {
  SignalServer server;
  WsBridge bridge(server.port(), "/ws-proxy/signal", 7);
  SignalPeer browser(bridge.address(), "browser");
  ASSERT_TRUE(browser.registered());
  const std::string body(60'000, 'b');
  ASSERT_TRUE(send(browser.channel(), message("browser", "browser", body)).ok());
  EXPECT_TRUE(browser.got(body));
}

TEST(SignalWebSocket, OtherPathsAreNoTunnels) {
  SignalServer server;
  WsBridge bridge(server.port(), "/ws-proxy/management");
  EXPECT_FALSE(send(signal_channel(bridge.address()), message("x", "y", "m"), 1s).ok());
}

}  // namespace
}  // namespace nb::test
