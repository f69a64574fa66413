// The complete stack of the project's description: PostgreSQL with its three databases, Redis, two
// signal, two management and two relay servers, coturn, and a balancer in front of all of them with
// its file of deploy/: HAProxy in clear text, or nginx with TLS. Each relay has a name of its own
// behind the balancer.
#pragma once

#include "integration/headless_peer.h"
#include "integration/mgmt_harness.h"
#include "integration/relay_server.h"
#include "integration/signal_server.h"
#include "support/servers.h"

#include <memory>
#include <string>
#include <vector>

namespace nb::test {

enum class Balancer : std::uint8_t { kHaProxy, kNginx };

class Stack {
 public:
  /// Returns once every server serves through the balancer.
  explicit Stack(Balancer kind = Balancer::kHaProxy);
  ~Stack();

  /// What agents are told: the balancer.
  [[nodiscard]] std::string web() const { return at("127.0.0.1"); }
  /// Exposed addresses of the relays, through the balancer.
  [[nodiscard]] std::string relay_url(int number) const;
  [[nodiscard]] RelayServer& relay_at(const std::string& url) {
    return url == relay_url(1) ? *relay_1 : *relay_2;
  }
  [[nodiscard]] MgmtServer& management(const std::string& id) {
    return id == "mgmt-1" ? *mgmt_1 : *mgmt_2;
  }
  [[nodiscard]] SignalServer& signal(const std::string& id) {
    return id == "signal-1" ? *signal_1 : *signal_2;
  }
  /// An agent that came in through the balancer.
  [[nodiscard]] std::unique_ptr<HeadlessPeer> join(const std::string& name);
  /// What curl got for a request with the owner's token; `host`: a server, or web().
  struct Answer {
    int status = 0;
    std::string body;
  };
  [[nodiscard]] Answer rest(const std::string& host, const std::string& method,
                            const std::string& path, const std::string& body = {}) const;
  /// Fields of the registries, by peer.
  [[nodiscard]] std::string on_signal(const std::string& peer) const;
  [[nodiscard]] std::string on_management(const std::string& peer) const;
  /// Brings back what a test took away, until the balancer has it.
  void heal();

  RedisServer redis;
  PostgresServer postgres;
  TurnServer turn;
  std::unique_ptr<SignalServer> signal_1;
  std::unique_ptr<SignalServer> signal_2;
  std::unique_ptr<RelayServer> relay_1;
  std::unique_ptr<RelayServer> relay_2;
  std::unique_ptr<MgmtServer> mgmt_1;
  std::unique_ptr<MgmtServer> mgmt_2;
  std::string setup_key;

 private:
  [[nodiscard]] std::string at(const std::string& host) const {
    return host + ":" + std::to_string(port_);
  }
  [[nodiscard]] MgmtOptions management_options(const std::string& instance) const;
  [[nodiscard]] bool tls() const { return kind_ == Balancer::kNginx; }
  [[nodiscard]] std::string ca_file() const { return tls() ? dir_ / "cert.pem" : std::string(); }
  [[nodiscard]] Command haproxy() const;
  [[nodiscard]] Command nginx() const;
  /// Whether the balancer has every server in rotation; nginx does not tell.
  [[nodiscard]] bool balanced() const;
  void insert_token();

  const Balancer kind_;
  const std::uint16_t port_;
  TempDir dir_;
  std::unique_ptr<Process> balancer_;
  std::string token_;
};

}  // namespace nb::test
