// Two relays behind HAProxy with the file of deploy/haproxy: each under a name of its own, both
// under a shared one.
#include "relay_names.h"
#include "relay_server.h"
#include "support/paths.h"
#include "support/servers.h"
#include "tcp_balancer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

// Names without a name server: every address of 127/8 is this host.
constexpr auto kShared = "127.0.0.1";
constexpr auto kFirst = "127.0.0.11";
constexpr auto kSecond = "127.0.0.12";
constexpr auto kClient = "127.0.0.77";

class RelaysBehindHaProxy : public ::testing::Test {
 protected:
  [[nodiscard]] std::string at(const std::string& host) const {
    return host + ":" + std::to_string(port_);
  }
  [[nodiscard]] std::string url(const std::string& host) const { return "rel://" + at(host); }
  [[nodiscard]] RelayServerOptions behind(const std::string& host) const {
    return {.exposed = url(host), .env = {{"NB_TRUSTED_PROXIES", "127.0.0.1/32"}}};
  }

  void SetUp() override {
    std::map<std::string, std::string> env = {
        {"NB_WEB_BIND", at(kShared) + "," + at(kFirst) + "," + at(kSecond)},
        {"NB_HAPROXY_SOCKET", dir_ / "haproxy.sock"},
        {"NB_RELAY_1_NAME", kFirst},
        {"NB_RELAY_2_NAME", kSecond},
        {"NB_RELAY_1_ADDRESS", "127.0.0.1:" + std::to_string(one_.at().port)},
        {"NB_RELAY_2_ADDRESS", "127.0.0.1:" + std::to_string(two_.at().port)},
        {"NB_RELAY_1_HEALTH_ADDRESS", "127.0.0.1:" + std::to_string(one_.health_port())},
        {"NB_RELAY_2_HEALTH_ADDRESS", "127.0.0.1:" + std::to_string(two_.health_port())}};
    for (const std::string server : {"SIGNAL_1", "SIGNAL_2", "MGMT_1", "MGMT_2"}) {  // not there
      env["NB_" + server + "_ADDRESS"] = "127.0.0.1:" + std::to_string(absent_);
      env["NB_" + server + "_METRICS_PORT"] = std::to_string(absent_);
    }
    haproxy_ = std::make_unique<Process>(
        Command{.argv = {"haproxy", "-db", "-f", source_dir() + "/deploy/haproxy/haproxy.cfg"},
                .env = std::move(env)});
    ASSERT_TRUE(eventually([&] { return accepts(port_); })) << haproxy_->output();
  }

  const std::uint16_t port_ = free_port();
  const std::uint16_t absent_ = free_port();
  TempDir dir_;
  RelayServer one_{behind(kFirst)};
  RelayServer two_{behind(kSecond)};
  std::unique_ptr<Process> haproxy_;
};

TEST_F(RelaysBehindHaProxy, PeersAtHomeOnDifferentOnesMeetThroughTheBalancer) {
  RelayUser a("a", {url(kFirst)});
  RelayUser b("b", {url(kSecond)});
  ASSERT_TRUE(a.gets_home(url(kFirst)));
  ASSERT_TRUE(b.gets_home(url(kSecond)));
  expect_packets(a, b, url(kFirst));
  // At once: a link abroad that carries nothing is given up.
  EXPECT_EQ(one_.metric(R"(relay_peers{transport="ws"})"), 2) << "at home and foreign";
  expect_packets(b, a, url(kSecond));
}

TEST_F(RelaysBehindHaProxy, TheSharedNameLeadsToAnyAndAroundADeadOne) {
  RelayUser a("a", {url(kShared)});
  ASSERT_TRUE(eventually([&] { return !a.home().empty(); }, 20s));
  const bool first = a.home() == url(kFirst);
  ASSERT_TRUE(first || a.home() == url(kSecond)) << a.home();
  RelayServer& dies = first ? one_ : two_;
  const std::string stays = url(first ? kSecond : kFirst);
  RelayUser b("b", {stays});
  ASSERT_TRUE(b.gets_home(stays));
  expect_packets(a, b, dies.url());
  dies.process().kill();
  EXPECT_TRUE(a.gets_home(stays, 30s)) << "the same name leads to the one that lives";
  expect_packets(a, b, stays);
  dies.process().start();
  ASSERT_TRUE(dies.ready_within(15s));
  RelayUser c("c", {dies.url()});
  EXPECT_TRUE(c.gets_home(dies.url(), 30s)) << "and HAProxy takes it back";
}

/// A connection from another address of this host; returns its port.
std::uint16_t send_from(const std::string& source, std::uint16_t port, const std::string& bytes) {
  const auto address = [](const std::string& ip, std::uint16_t number) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(number);
    inet_pton(AF_INET, ip.c_str(), &out.sin_addr);
    return out;
  };
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in local = address(source, 0);
  const sockaddr_in remote = address(kShared, port);
  socklen_t size = sizeof local;
  std::uint16_t used = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), size) == 0 &&
      ::connect(fd, reinterpret_cast<const sockaddr*>(&remote), sizeof remote) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0 &&
      send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()))
    used = ntohs(local.sin_port);
  char buffer[1024];
  while (recv(fd, buffer, sizeof buffer, 0) > 0) {  // until the relay has turned it away
  }
  close(fd);
  return used;
}

TEST_F(RelaysBehindHaProxy, ARelayKnowsTheRealClientAndNotWhatItClaims) {
  ASSERT_TRUE(eventually([&] { return http_get(port_, "/relay").status == 426; }))
      << "not taken in yet";
  const std::string upgrade =
      "GET /relay HTTP/1.1\r\nHost: " + at(kFirst) +
      "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Real-Ip: 192.0.2.9\r\n"
      "X-Real-Port: 9\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
  const std::string frame = client_frame(2, relay::make_auth(id("a"), token(1h, "another secret")));
  const std::uint16_t port = send_from(kClient, port_, upgrade + frame);
  ASSERT_NE(port, 0);
  const std::string seen = std::string(kClient) + ":" + std::to_string(port);
  EXPECT_TRUE(one_.process().wait_for_output(seen, 10s)) << one_.process().output();
  EXPECT_EQ(one_.process().output().find("192.0.2.9"), std::string::npos);
}

TEST(RelayBehindATcpBalancer, KnowsTheClientFromTheProxyHeaderAlsoBeforeTls) {
  for (const bool tls : {false, true}) {
    RelayServer relay({.env = {{"NB_TRUSTED_PROXIES", "127.0.0.1/32"}}, .tls = tls});
    const HaProxy balancer(tcp_balancer("127.0.0.1:" + std::to_string(relay.at().port)));
    const std::string there = (tls ? "rels://" : "rel://") + balancer.address();
    const auto options = RelayUser::quick(tls ? relay.ca_file() : "");
    RelayUser a("a", {there}, options);
    RelayUser b("b", {there}, options);
    ASSERT_TRUE(a.gets_home(relay.url()) && b.gets_home(relay.url())) << tls;
    expect_packets(a, b, relay.url());
    RelayUser stranger("stranger", {}, options);
    stranger.use({there}, token(1h, "another secret"));
    EXPECT_TRUE(relay.process().wait_for_output("192.0.2.7:", 10s)) << relay.process().output();
  }
}

}  // namespace
}  // namespace nb::test
