// netbird-relay as a process, and users of it that speak through the client library.
#pragma once

#include "client/relay_client.h"
#include "relay/raw_peer.h"
#include "support/home_loop.h"
#include "support/process.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace nb::test {

struct RelayServerOptions {
  std::string exposed{};  // empty: rel:// or rels:// and its own address on loopback
  std::vector<std::string> arguments{};
  std::map<std::string, std::string> env{};
  bool tls = false;
  bool any_address = false;  // listens on every address of both families, not only 127.0.0.1
  std::string redis{};       // address; empty: HA is off
  std::string instance = "relay-1";
  std::uint16_t port = 0;  // 0: a free one
  bool wait = true;        // until it is ready
};

class RelayServer {
 public:
  explicit RelayServer(RelayServerOptions options = {});
  ~RelayServer();
  /// Where it listens and what it calls itself.
  [[nodiscard]] const relay::testing::RelayAt& at() const { return at_; }
  [[nodiscard]] const std::string& url() const { return at_.url; }
  [[nodiscard]] std::uint16_t metrics_port() const { return metrics_port_; }
  [[nodiscard]] std::uint16_t health_port() const { return health_port_; }
  /// Its certificate, which is its own authority.
  [[nodiscard]] std::string ca_file() const { return dir_ / "cert.pem"; }
  [[nodiscard]] bool ready() const { return http_get(health_port_, "/readyz").status == 200; }
  [[nodiscard]] bool ready_within(std::chrono::milliseconds limit) const {
    return eventually([this] { return ready(); }, limit);
  }
  /// Value of a metric line, labels included; -1: not there.
  [[nodiscard]] double metric(const std::string& line) const;
  [[nodiscard]] bool metric_reaches(const std::string& line, double value) const {
    return eventually([&] { return metric(line) >= value; });
  }
  Process& process() { return *process_; }

 private:
  const RelayServerOptions options_;
  TempDir dir_;
  std::uint16_t metrics_port_;
  std::uint16_t health_port_;
  relay::testing::RelayAt at_;
  std::unique_ptr<Process> process_;
};

/// Payloads that came through a tunnel, in order. Thread-safe.
class Inbox {
 public:
  void add(std::string_view payload);
  [[nodiscard]] std::vector<std::string> all() const;
  [[nodiscard]] std::size_t count() const;
  [[nodiscard]] bool receives(std::size_t count,
                              std::chrono::milliseconds limit = std::chrono::seconds(20)) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> payloads_;
};

/// A peer on a loop of its own; all calls from the test's thread.
class RelayUser {
 public:
  /// Short pauses, so that tests of moves need not wait for the client's patience.
  static client::RelayOptions quick(std::string ca_file = {});

  RelayUser(std::string key, std::vector<std::string> relays,
            client::RelayOptions options = quick());
  ~RelayUser();
  RelayUser(const RelayUser&) = delete;
  RelayUser& operator=(const RelayUser&) = delete;

  [[nodiscard]] const std::string& key() const { return key_; }
  /// Instance URL of the home relay; empty: none.
  [[nodiscard]] std::string home();
  [[nodiscard]] bool gets_home(const std::string& url,
                               std::chrono::milliseconds limit = std::chrono::seconds(20));
  [[nodiscard]] std::uint32_t refusals();
  void use(std::vector<std::string> relays, crypto::RelayToken token = relay::testing::token());
  /// A tunnel to the peer with this key, through the relay with this instance URL; what comes
  /// through it goes to `inbox`. The one before is closed.
  Result<> open(const std::string& peer, const std::string& url, std::shared_ptr<Inbox> inbox);
  [[nodiscard]] bool tunnel_open(const std::string& peer);
  bool send(const std::string& peer, const std::string& payload);

 private:
  const std::string key_;
  HomeLoop loop_;
  std::unique_ptr<client::RelayClient> client_;                            // on loop_
  std::map<std::string, std::shared_ptr<client::RelayTunnel>> tunnels_{};  // on loop_
};

/// Opens both ends of one tunnel on `url`: each may wait for the other to be online.
Result<> connect(RelayUser& a, RelayUser& b, const std::string& url, std::shared_ptr<Inbox> at_a,
                 std::shared_ptr<Inbox> at_b);

/// A new tunnel on `url`, and packets both ways that all arrive.
void expect_packets(RelayUser& a, RelayUser& b, const std::string& url);

}  // namespace nb::test
