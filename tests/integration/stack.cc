#include "integration/stack.h"

#include "crypto/access_token.h"
#include "support/certificate.h"
#include "support/paths.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace nb::test {

using namespace std::chrono_literals;

namespace {

constexpr auto kTurnSecret = "turn-secret-of-the-stack";
// Names without a name server: every address of 127/8 is this host.
constexpr auto kShared = "127.0.0.1";

std::string relay_name(int number) {
  return "127.0.0.1" + std::to_string(number);
}

std::string local(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

}  // namespace

Stack::Stack(Balancer kind) : turn({.secret = kTurnSecret}), kind_(kind), port_(free_port()) {
  if (tls()) make_certificate(dir_ / "cert.pem", dir_ / "key.pem");
  postgres.create_database("netbird_auth");
  postgres.create_database("netbird_events");
  const auto signal = [&](const std::string& id) {
    SignalServerOptions out{
        .instance = id,
        .redis = redis.address(),
        .env = {{"NB_SIGNAL_PEER_TTL", "3s"}, {"NB_SIGNAL_HEARTBEAT_INTERVAL", "1s"}}};
    return std::make_unique<SignalServer>(std::move(out));
  };
  const auto relay = [&](int number) {
    RelayServerOptions out{.exposed = relay_url(number),
                           .env = {{"NB_TRUSTED_PROXIES", "127.0.0.1/32"}},
                           .redis = redis.address(),
                           .instance = "relay-" + std::to_string(number)};
    return std::make_unique<RelayServer>(std::move(out));
  };
  signal_1 = signal("signal-1");
  signal_2 = signal("signal-2");
  relay_1 = relay(1);
  relay_2 = relay(2);
  mgmt_1 = std::make_unique<MgmtServer>(management_options("mgmt-1"));
  mgmt_2 = std::make_unique<MgmtServer>(management_options("mgmt-2"));
  mgmt_1->start();
  mgmt_2->start();
  balancer_ = std::make_unique<Process>(tls() ? nginx() : haproxy());
  if (!eventually([this] { return accepts(port_); }))
    throw std::runtime_error("the balancer:\n" + balancer_->output());
  setup_key = mgmt_1->setup_key({"--type", "reusable"});
  insert_token();
  heal();
}

Stack::~Stack() = default;

std::string Stack::relay_url(int number) const {
  return (tls() ? "rels://" : "rel://") + at(relay_name(number));
}

MgmtOptions Stack::management_options(const std::string& instance) const {
  const std::string json =
      R"("Relay": {"Addresses": [")" + relay_url(1) + R"(", ")" + relay_url(2) +
      R"("], "Secret": "relay-secret"},
         "TURNConfig": {"TimeBasedCredentials": true, "Secret": ")" +
      kTurnSecret + R"(", "Turns": [{"Proto": "udp", "URI": "turn:127.0.0.1:)" +
      std::to_string(turn.port()) +
      R"("}]},
         "EmbeddedIdP": {"Enabled": true, "Issuer": ")" +
      (tls() ? "https://" : "http://") + web() + R"(/oauth2", "Storage": {"Type": "postgres"}},
         "ReverseProxy": {"TrustedPeers": ["127.0.0.1/32"]},)";
  return {.instance = instance,
          .postgres_dsn = postgres.dsn(),
          .redis = redis.address(),
          .env = {{"NB_MGMT_PEER_TTL", "3s"},
                  {"NB_MGMT_HEARTBEAT_INTERVAL", "1s"},
                  {"NB_AUTH_STORE_DSN", postgres.dsn("netbird_auth")},
                  {"NB_ACTIVITY_EVENT_STORE_ENGINE", "postgres"},
                  {"NB_ACTIVITY_EVENT_POSTGRES_DSN", postgres.dsn("netbird_events")}},
          .json = json,
          .signal = web(),
          .signal_proto = tls() ? "https" : "http"};
}

Command Stack::haproxy() const {
  std::map<std::string, std::string> env = {
      {"NB_WEB_BIND", at(kShared) + "," + at(relay_name(1)) + "," + at(relay_name(2))},
      {"NB_HAPROXY_SOCKET", dir_ / "haproxy.sock"}};
  const auto server = [&](const std::string& name, std::uint16_t port, std::uint16_t metrics) {
    env["NB_" + name + "_ADDRESS"] = local(port);
    env["NB_" + name + "_METRICS_PORT"] = std::to_string(metrics);
  };
  server("SIGNAL_1", signal_1->port(), signal_1->metrics_port());
  server("SIGNAL_2", signal_2->port(), signal_2->metrics_port());
  server("MGMT_1", mgmt_1->port(), mgmt_1->metrics_port());
  server("MGMT_2", mgmt_2->port(), mgmt_2->metrics_port());
  const auto relay = [&](int number, const RelayServer& at_number) {
    const std::string name = "NB_RELAY_" + std::to_string(number);
    env[name + "_NAME"] = relay_name(number);
    env[name + "_ADDRESS"] = local(at_number.at().port);
    env[name + "_HEALTH_ADDRESS"] = local(at_number.health_port());
  };
  relay(1, *relay_1);
  relay(2, *relay_2);
  return {.argv = {"haproxy", "-db", "-f", source_dir() + "/deploy/haproxy/haproxy.cfg"},
          .env = std::move(env)};
}

/// The file of deploy/ with the addresses of this stack in the places of the containers'.
Command Stack::nginx() const {
  const std::string from = source_dir() + "/deploy/nginx/";
  std::filesystem::copy_file(from + "netbird_websocket.conf", dir_ / "netbird_websocket.conf");
  std::ifstream file(from + "netbird.conf");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  std::string listen;
  for (const std::string& host : {std::string(kShared), relay_name(1), relay_name(2)})
    listen += "listen " + at(host) + " ssl http2;";
  const std::pair<std::string, std::string> edits[] = {
      {"listen 443 ssl http2;", listen},
      {"/etc/nginx/netbird/", dir_ / ""},
      {"relay-1.netbird.example.com", relay_name(1)},
      {"relay-2.netbird.example.com", relay_name(2)},
      {"nb-signal-1:10000", local(signal_1->port())},
      {"nb-signal-2:10000", local(signal_2->port())},
      {"nb-mgmt-1:33073", local(mgmt_1->port())},
      {"nb-mgmt-2:33073", local(mgmt_2->port())},
      {"nb-relay:443", local(relay_1->at().port)},
      {"nb-relay-2:443", local(relay_2->at().port)},
      {"nb-dashboard:80", local(free_port())}};
  for (const auto& [what, by] : edits) {
    if (text.find(what) == std::string::npos)
      throw std::runtime_error(what + " is not in the file");
    replace_all(text, what, by);
  }
  std::ofstream(dir_ / "netbird.conf") << text;
  // One process, so that nothing is left when it is killed.
  std::ofstream(dir_ / "nginx.conf")
      << (::geteuid() == 0 ? "user root;\n" : "") << "daemon off;\nmaster_process off;\npid "
      << (dir_ / "nginx.pid") << ";\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n";
  std::ofstream main(dir_ / "nginx.conf", std::ios::app);
  for (const char* const kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    main << kind << "_temp_path " << (dir_ / kind) << ";\n";
  main << "include netbird.conf;\n}\n";
  return {.argv = {"nginx", "-p", dir_.path().string(), "-c", dir_ / "nginx.conf"}};
}

bool Stack::balanced() const {
  if (tls()) return true;
  const Finished asked = run({.argv = {"python3", "-c", R"(
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"show stat\n")
text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
rows = [line.split(",") for line in text.splitlines() if line.startswith("nb-")]
servers = [row for row in rows if row[1] not in ("FRONTEND", "BACKEND")]
sys.exit(not servers or any(not row[17].startswith("UP") for row in servers))
)",
                                       dir_ / "haproxy.sock"}});
  return asked.status == 0;
}

/// As the fork's tests do: rows by SQL, valid at once (contract/signal-relay-ops.md §7.4, 13).
void Stack::insert_token() {
  crypto::SystemRandom random;
  token_ = std::string(crypto::generate_token(crypto::TokenKind::kPersonal, random).reveal());
  postgres.psql(
      "INSERT INTO personal_access_tokens (id, user_id, name, hashed_token, expiration_date, "
      "created_by, created_at, last_used) SELECT 'ha-test-pat', id, 'ha test', '" +
      crypto::hash_token(token_) +
      "', now() + interval '1 day', id, now(), now() FROM users WHERE role = 'owner'");
}

std::unique_ptr<HeadlessPeer> Stack::join(const std::string& name) {
  client::PeerOptions options = HeadlessPeer::quick(web(), name);
  options.management.tls = tls();
  options.management.ca_file = ca_file();
  options.relay.ca_file = ca_file();
  auto peer = std::make_unique<HeadlessPeer>(std::move(options));
  const auto joined = peer->join(setup_key);
  EXPECT_TRUE(joined) << joined.error().text;
  return peer;
}

Stack::Answer Stack::rest(const std::string& host, const std::string& method,
                          const std::string& path, const std::string& body) const {
  std::vector<std::string> argv = {"curl",
                                   "-sS",
                                   "--noproxy",
                                   "*",
                                   "-m",
                                   "20",
                                   "-X",
                                   method,
                                   "-H",
                                   "Authorization: Token " + token_,
                                   "-w",
                                   "\n%{http_code}",
                                   (host == web() && tls() ? "https://" : "http://") + host + path};
  if (tls()) argv.insert(argv.end(), {"--cacert", ca_file()});
  if (!body.empty()) {
    argv.insert(argv.end(), {"-H", "Content-Type: application/json", "-d", body});
  }
  const Finished done = run({.argv = std::move(argv)});
  const auto end = done.output.rfind('\n');
  if (done.status != 0 || end == std::string::npos) return {.status = 0, .body = done.output};
  return {.status = std::stoi(done.output.substr(end + 1)), .body = done.output.substr(0, end)};
}

std::string Stack::on_signal(const std::string& peer) const {
  return redis.cli({"HGET", "nb:signal:registry", peer});
}

std::string Stack::on_management(const std::string& peer) const {
  return redis.cli({"HGET", "nb:mgmt:peers", peer});
}

void Stack::heal() {
  if (!redis.process().running()) redis.start();
  if (!postgres.process().running()) postgres.start();
  for (SignalServer* const server : {signal_1.get(), signal_2.get()})
    if (!server->process().running()) server->start();
  for (RelayServer* const server : {relay_1.get(), relay_2.get()})
    if (!server->process().running()) server->process().start();
  for (MgmtServer* const server : {mgmt_1.get(), mgmt_2.get()})
    if (!server->process().running()) server->start();
  if (!eventually([this] { return balanced(); }, 30s))
    throw std::runtime_error("not every server is in the balancer:\n" + balancer_->output());
}

}  // namespace nb::test
