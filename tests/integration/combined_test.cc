// netbird-server: every service of it, over its one port.
#include "crypto/relay_token.h"
#include "integration/combined_server.h"
#include "integration/mgmt_harness.h"
#include "integration/signal_peer.h"
#include "integration/sqlite_file.h"
#include "integration/tcp_balancer.h"
#include "support/netbird.h"
#include "support/paths.h"
#include "support/servers.h"
#include "support/ws_bridge.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

/// A socket on loopback with a time-out for reads.
class Socket {
 public:
  Socket(int type, std::uint16_t port) : fd_(::socket(AF_INET, type, 0)) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool send(const std::string& bytes) const {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  /// One packet, or what has come; at least `least` bytes of a stream.
  [[nodiscard]] std::string receive(std::size_t least = 1) const {
    std::string out;
    while (out.size() < least) {
      std::array<char, 2048> buffer{};
      const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (n <= 0) break;
      out.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return out;
  }

 private:
  int fd_;
  bool connected_ = false;
};

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

/// contract/signal-relay-ops.md §3.3.
std::string relay_auth(const std::string& secret) {
  const auto token =
      crypto::RelayTokens({Secret(secret)})
          .make(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now() + 1h));
  std::string out("\x01\x06\x21\x12\xA4\x42", 6);
  out += "sha-" + std::string(32, 'p');
  out += '\x01';
  out.append(token.signature.begin(), token.signature.end());
  return out + token.payload;
}

class Combined : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<CombinedServer>();
    server_->start();
  }
  static void TearDownTestSuite() { server_.reset(); }
  static std::unique_ptr<CombinedServer> server_;
};
std::unique_ptr<CombinedServer> Combined::server_;

TEST_F(Combined, AgentsLogInAndSyncOverTheOnePort) {
  const std::string key = server_->setup_key();
  const Agent a("one");
  const Agent b("two");
  const auto joined = a.login(server_->target(), key);
  ASSERT_TRUE(joined.ok()) << joined.status.error_message();
  const auto& told = joined.value.netbirdconfig();
  EXPECT_EQ(told.signal().uri(), server_->target());
  EXPECT_EQ(told.signal().protocol(), pb::HostConfig::HTTP);
  ASSERT_EQ(told.relay().urls_size(), 1);
  EXPECT_EQ(told.relay().urls(0), "rel://" + server_->target());
  ASSERT_EQ(told.stuns_size(), 1);
  EXPECT_EQ(told.stuns(0).uri(), "stun:127.0.0.1:" + std::to_string(server_->stun_port()));
  SyncStream stream(a, server_->target());
  ASSERT_TRUE(stream.wait_first());
  ASSERT_TRUE(b.login(server_->target(), key).ok());
  EXPECT_TRUE(stream.wait_for([&](const auto& m) { return shows_peer(m, b.key()); }));
}

TEST_F(Combined, SignalPassesMessagesOverTheOnePort) {
  SignalPeer a(server_->target(), "peer-a");
  SignalPeer b(server_->target(), "peer-b");
  ASSERT_TRUE(a.registered());
  ASSERT_TRUE(b.registered());
  ASSERT_TRUE(send(a.channel(), message("peer-a", "peer-b", "offer")).ok());
  EXPECT_TRUE(b.got("offer"));
}

TEST_F(Combined, RelayTakesThePeersThatManagementVouchesFor) {
  const WsBridge bridge(server_->port(), "/relay");
  const Socket socket(SOCK_STREAM, port_of(bridge.address()));
  ASSERT_TRUE(socket.connected());
  ASSERT_TRUE(socket.send(relay_auth("combined-secret")));
  const std::string url = "rel://" + server_->target();
  const std::string answer = socket.receive(2 + url.size());
  EXPECT_EQ(answer, std::string("\x01\x07", 2) + url);

  const WsBridge other(server_->port(), "/relay");
  const Socket stranger(SOCK_STREAM, port_of(other.address()));
  ASSERT_TRUE(stranger.send(relay_auth("another-secret")));
  EXPECT_EQ(stranger.receive(), "") << "closed without an answer";
}

TEST(CombinedBehindATcpBalancer, PartsKnowTheClientFromTheProxyHeader) {
  CombinedServer server({.yaml = "  reverseProxy:\n    trustedPeers: [127.0.0.1/32]\n"});
  server.start();
  const std::string key = server.setup_key();
  const HaProxy balancer(tcp_balancer(server.target()));
  const Agent agent("behind");
  ASSERT_TRUE(agent.login(balancer.address(), key).ok());
  SyncStream stream(agent, balancer.address());
  ASSERT_TRUE(stream.wait_first());
  const std::string places = "SELECT location_connection_ip FROM peers";
  EXPECT_TRUE(eventually([&] {
    return sqlite(server.dir() / "store.db", places) == "\"192.0.2.7\"\n";
  })) << sqlite(server.dir() / "store.db", places);
  SignalPeer peer(balancer.address(), "behind");
  EXPECT_TRUE(peer.registered());
  const WsBridge bridge(balancer.port(), "/relay");
  const Socket stranger(SOCK_STREAM, port_of(bridge.address()));
  ASSERT_TRUE(stranger.send(relay_auth("another-secret")));
  EXPECT_TRUE(server.process().wait_for_output("192.0.2.7:", 10s)) << server.process().output();
}

TEST_F(Combined, StunAnswersBindingRequests) {
  const Socket socket(SOCK_DGRAM, server_->stun_port());
  std::string request("\x00\x01\x00\x00\x21\x12\xA4\x42", 8);
  request += "abcdefghijkl";
  ASSERT_TRUE(socket.send(request));
  const std::string answer = socket.receive();
  ASSERT_GE(answer.size(), 20U);
  EXPECT_EQ(answer.substr(0, 2), std::string("\x01\x01", 2));
  EXPECT_EQ(answer.substr(8, 12), "abcdefghijkl");
}

TEST_F(Combined, WebSocketsCarryBothGrpcServices) {
  const WsBridge management(server_->port(), "/ws-proxy/management");
  EXPECT_TRUE(Agent("browser").server_key(management.address()).ok());
  const WsBridge signal(server_->port(), "/ws-proxy/signal");
  SignalPeer peer(signal.address(), "browser");
  EXPECT_TRUE(peer.registered());
}

TEST_F(Combined, HttpServesDiscoveryApiHealthAndMetrics) {
  const auto discovery = http_get(server_->port(), "/oauth2/.well-known/openid-configuration");
  EXPECT_EQ(discovery.status, 200);
  EXPECT_THAT(discovery.body, HasSubstr("\"issuer\":\"" + server_->url() + "/oauth2\""));
  const auto instance = http_get(server_->port(), "/api/instance");
  EXPECT_EQ(instance.status, 200);
  EXPECT_THAT(instance.body, HasSubstr("setup_required"));
  EXPECT_EQ(http_get(server_->port(), "/api/peers").status, 401);
  EXPECT_EQ(http_get(server_->port(), "/elsewhere").status, 404);
  EXPECT_EQ(http_get(server_->port(), "/healthz").status, 200);
  const auto health = http_get(server_->health_port(), "/health");
  EXPECT_EQ(health.status, 200) << health.body;
  EXPECT_THAT(health.body, HasSubstr("\"listeners\":[\"ws\"]"));
  const auto metrics = http_get(server_->metrics_port(), "/metrics");
  EXPECT_EQ(metrics.status, 200);
  for (const char* name : {"\nsignal_active_peers ", "\nrelay_peers_active ",
                           "\nmanagement_grpc_connected_streams", "\nstun_requests_total"})
    EXPECT_THAT(metrics.body, HasSubstr(name));
}

TEST_F(Combined, VerbsOfUpstreamDoTheirWork) {
  const Finished made =
      server_->verb({"admin", "token", "create", "--name", "proxy one", "--expires-in", "365d"});
  ASSERT_EQ(made.status, 0) << made.output;
  EXPECT_THAT(made.output, ContainsRegex("^Token: nbx_[0-9A-Za-z]{36}\nToken ID: [0-9a-z]{20}\n"));
  const std::string id = made.output.substr(made.output.find("Token ID: ") + 10, 20);
  EXPECT_THAT(server_->verb({"token", "ls"}).output, HasSubstr(id));
  EXPECT_EQ(server_->verb({"admin", "token", "revoke", id}).status, 0);
  EXPECT_THAT(server_->verb({"admin", "token", "list"}).output, HasSubstr("\tyes\n"));
  EXPECT_NE(server_->verb({"admin", "token", "revoke", "nobody"}).status, 0);
  EXPECT_THAT(server_->verb({"admin", "proxy", "disconnect-all", "--dry-run"}).output,
              HasSubstr("0 proxies are connected"));
  const Finished unsure = server_->verb({"admin", "proxy", "disconnect-all"});  // nobody types
  EXPECT_NE(unsure.status, 0);
  EXPECT_THAT(unsure.output,
              AllOf(HasSubstr("\"disconnect all proxies\""), HasSubstr("nothing was changed")));
}

TEST_F(Combined, CheckConfigTellsValuesWithTheirSourcesAndNoSecrets) {
  const Finished checked = server_->verb({"--check-config"});
  EXPECT_EQ(checked.status, 0) << checked.output;
  EXPECT_THAT(checked.output,
              HasSubstr("--exposed-address = " + server_->url() + "  [server.exposedAddress]"));
  EXPECT_THAT(checked.output, HasSubstr("--auth-secret = (set)  [server.authSecret]"));
  EXPECT_THAT(checked.output, Not(HasSubstr("combined-secret")));
}

constexpr const char* kOwner =
    "  auth:\n"
    "    owner:\n"
    "      email: owner@example.org\n"
    "      password: Passw0rd!\n";

TEST(CombinedUsers, OperatorsSetPasswordsAndSecondFactors) {
  CombinedServer server({.yaml = kOwner});
  server.start();
  std::ofstream(server.dir() / "password") << "N3w-passw0rd\n";
  const Finished changed =
      server.verb({"admin", "user", "change-password", "--email", "owner@example.org",
                   "--password-file", server.dir() / "password"});
  EXPECT_EQ(changed.status, 0) << changed.output;
  EXPECT_THAT(changed.output, HasSubstr("owner@example.org"));
  EXPECT_THAT(changed.output, Not(HasSubstr("N3w")));
  std::ofstream(server.dir() / "password") << "simple\n";
  EXPECT_NE(server
                .verb({"admin", "user", "set-password", "--email", "owner@example.org",
                       "--password-file", server.dir() / "password"})
                .status,
            0);
  const auto typed = [&](const std::string& password) {
    return run({.argv = {"sh", "-c", "printf '" + password + "\\r\\n' | \"$@\"", "sh",
                         program_dir() + "/netbird-server", "--config", server.config(), "admin",
                         "user", "change-password", "--email", "owner@example.org",
                         "--password-file", "-"}})
        .status;
  };
  EXPECT_NE(typed("Sh0rt-y"), 0) << "the end of the line is no part of it";
  EXPECT_EQ(typed("Sh0rt-ye"), 0);
  const Finished reset =
      server.verb({"admin", "user", "reset-mfa", "--email", "owner@example.org"});
  EXPECT_EQ(reset.status, 0) << reset.output;
  EXPECT_THAT(reset.output, HasSubstr("Nothing was enrolled"));
  EXPECT_NE(server.verb({"admin", "user", "reset-mfa", "--email", "nobody@example.org"}).status, 0);
  EXPECT_NE(server.verb({"admin", "user", "reset-mfa"}).status, 0);
  ASSERT_FALSE(server.setup_key().empty());  // makes the account
  EXPECT_EQ(server.verb({"admin", "mfa", "enable"}).status, 0);
  EXPECT_THAT(server.verb({"admin", "mfa", "status"}).output, HasSubstr(": enabled"));
  EXPECT_EQ(server.verb({"admin", "mfa", "disable"}).status, 0);
  EXPECT_THAT(server.verb({"admin", "mfa", "status"}).output, HasSubstr(": disabled"));
  // In the audit log, which the running server keeps: account.setting.local.mfa.enable, .disable.
  const auto logged = [&] {
    return sqlite(server.dir() / "events.db",
                  "SELECT activity, initiator_id FROM events WHERE activity IN (123, 124) "
                  "ORDER BY id");
  };
  EXPECT_TRUE(eventually([&] { return logged() == "123|cli\n124|cli\n"; })) << logged();
}

TEST(CombinedKey, IsMadeOnceAndNeverReplaced) {
  CombinedServer server;
  server.start();
  const std::string path = server.dir() / "encryption.key";
  ASSERT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  server.process().terminate();
  server.start();
  server.process().terminate();
  std::filesystem::remove(path);
  EXPECT_THROW(server.start(), std::runtime_error);
  EXPECT_THAT(server.process().output(), HasSubstr("server.store.encryptionKey is missing"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(CombinedKey, ALookMakesNeitherAKeyNorADatabase) {
  const CombinedServer server;  // never started
  const auto files = [&] {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(server.dir().path()))
      out.push_back(entry.path().filename().string());
    return out;
  };
  const std::vector<std::string> before = files();
  const Finished status = server.verb({"ha", "status"});
  EXPECT_EQ(status.status, 0) << status.output;
  EXPECT_THAT(status.output, HasSubstr("Database: SQLite, down: "));
  EXPECT_THAT(status.output, HasSubstr("there is no such file"));
  const Finished check = server.verb({"migrate", "--check"});
  EXPECT_EQ(check.status, 3) << check.output;
  EXPECT_THAT(check.output, HasSubstr("missing: "));
  EXPECT_EQ(server.verb({"ha", "drain", "anyone"}).status, 1);
  EXPECT_EQ(files(), before);
}

TEST(CombinedParts, ThoseThatOthersServeAreOff) {
  CombinedServer server({.yaml = "  signalUri: https://signal.example:443\n"
                                 "  relays:\n"
                                 "    addresses: [\"rels://relay.example:443\"]\n"
                                 "    secret: other-secret\n"
                                 "  stuns:\n"
                                 "    - uri: stun:stun.example:3478\n"});
  server.start();
  const auto joined = Agent("one").login(server.target(), server.setup_key());
  ASSERT_TRUE(joined.ok()) << joined.status.error_message();
  const auto& told = joined.value.netbirdconfig();
  EXPECT_EQ(told.signal().uri(), "signal.example:443");
  EXPECT_EQ(told.signal().protocol(), pb::HostConfig::HTTPS);
  EXPECT_EQ(told.relay().urls(0), "rels://relay.example:443");
  EXPECT_EQ(told.stuns(0).uri(), "stun:stun.example:3478");
  EXPECT_EQ(http_get(server.port(), "/relay").status, 404);
  EXPECT_EQ(http_get(server.port(), "/ws-proxy/signal").status, 404);
  EXPECT_EQ(http_get(server.health_port(), "/health").status, 200);
  SignalPeer peer(server.target(), "nobody");
  const auto end = peer.ended(10s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

/// contract/signal-relay-ops.md §5.4: 33073 is always open, management and signal together.
TEST(CombinedLegacyPort, OldAgentsFindEverythingWhereItAlwaysWas) {
  CombinedServer server({.listen = own_address(), .legacy_port = true});
  server.start();
  const std::string old_port = own_address() + ":33073";
  ASSERT_TRUE(Agent("old").login(old_port, server.setup_key()).ok());
  SignalPeer old_agent(old_port, "old");
  SignalPeer agent(server.target(), "new");
  ASSERT_TRUE(old_agent.registered() && agent.registered());
  ASSERT_TRUE(send(agent.channel(), message("new", "old", "offer")).ok());
  EXPECT_TRUE(old_agent.got("offer"));
}

TEST(CombinedSite, DashboardIsServedBesideTheApi) {
  const TempDir site;
  std::filesystem::create_directories(site.path() / "peers");
  std::ofstream(site / "index.html") << "<p>start</p>";
  std::ofstream(site / "404.html") << "<p>app</p>";
  std::ofstream(site / "peers.html") << "<p>peers</p>";
  std::ofstream(site / "peers/index.html") << "<p>no</p>";
  std::ofstream(site.path().parent_path() / "outside.txt") << "outside";
  CombinedServer server({.yaml = "  dashboardDir: \"" + site.path().string() + "\"\n"});
  server.start();
  const auto get = [&](const char* path) { return http_get(server.port(), path); };
  EXPECT_EQ(get("/").body, "<p>start</p>");
  EXPECT_EQ(get("/peers").body, "<p>peers</p>");
  const auto deep = get("/nb-auth?code=x");
  EXPECT_EQ(deep.status, 404);
  EXPECT_EQ(deep.body, "<p>app</p>");
  EXPECT_EQ(get("/../outside.txt").status, 404);
  EXPECT_EQ(get("/%2e%2e/outside.txt").status, 404);
  EXPECT_EQ(get("/api/peers").status, 401);
  EXPECT_EQ(get("/oauth2/keys").status, 200);
  EXPECT_TRUE(Agent("one").server_key(server.target()).ok());
  std::filesystem::remove(site.path().parent_path() / "outside.txt");
}

}  // namespace
}  // namespace nb::test
