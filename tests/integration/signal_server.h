// netbird-signal as a process.
#pragma once

#include "signal_peer.h"
#include "support/process.h"
#include "support/servers.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nb::test {

struct SignalServerOptions {
  std::string instance = "signal-1";
  std::string redis{};  // address; empty: HA is off
  std::vector<std::string> arguments{};
  std::map<std::string, std::string> env{};
  std::string listen = "127.0.0.1";
  bool legacy_port = false;  // 10000, on `listen`
  bool wait = true;          // until it is ready
};

class SignalServer {
 public:
  explicit SignalServer(SignalServerOptions options = {});
  ~SignalServer();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::uint16_t metrics_port() const { return metrics_port_; }
  [[nodiscard]] std::string address() const {
    return options_.listen + ":" + std::to_string(port_);
  }
  [[nodiscard]] const std::string& instance() const { return options_.instance; }
  Process& process() { return *process_; }
  /// Path of netbird-signal.
  [[nodiscard]] static std::string program();
  void start();
  void kill() { process_->kill(); }
  void restart() { start(); }
  /// /readyz says 200.
  [[nodiscard]] bool ready() const;
  [[nodiscard]] bool becomes_ready(milliseconds limit = std::chrono::seconds(10)) const;
  /// Value of a metric line, labels included: `registrations_total` or `x_total{queue="peer"}`;
  /// -1: not there.
  [[nodiscard]] double metric(const std::string& line) const;

 private:
  void await_ready();
  SignalServerOptions options_;
  std::uint16_t port_;
  std::uint16_t metrics_port_;
  std::unique_ptr<Process> process_;
};

/// Redis and two instances.
struct SignalPair {
  explicit SignalPair(SignalServerOptions common = {});
  /// HGET of the registry.
  [[nodiscard]] std::string owner(const std::string& peer) const;
  [[nodiscard]] bool owned_by(const std::string& peer, const std::string& instance,
                              milliseconds limit = std::chrono::seconds(10)) const;

  RedisServer redis;
  SignalServer one;
  SignalServer two;
};

}  // namespace nb::test
