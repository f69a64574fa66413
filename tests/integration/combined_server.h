// netbird-server processes for integration tests.
#pragma once

#include "support/process.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nb::test {

struct CombinedOptions {
  /// Lines below "server:", two blanks before each.
  std::string yaml{};
  std::map<std::string, std::string> env{};
  bool tls = false;  // with a certificate of its own, for localhost and 127.0.0.1
  std::string listen = "127.0.0.1";
  bool legacy_port = false;  // also 33073, of which `listen` has one
};

/// Everything on one address, SQLite in a directory of its own.
class CombinedServer {
 public:
  explicit CombinedServer(CombinedOptions options = {});
  /// Starts it (again) and waits until it is ready; throws with its log if it does not become so.
  void start();
  [[nodiscard]] bool ready() const {
    return http_get(metrics_port_, "/readyz", options_.listen).status == 200;
  }
  [[nodiscard]] std::string target() const { return options_.listen + ":" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::uint16_t metrics_port() const { return metrics_port_; }
  [[nodiscard]] std::uint16_t health_port() const { return health_port_; }
  [[nodiscard]] std::uint16_t stun_port() const { return stun_port_; }
  [[nodiscard]] std::string url() const {
    return (options_.tls ? "https://" : "http://") + target();
  }
  /// The certificate, which is its own authority, and its key.
  [[nodiscard]] std::string cert_file() const { return dir_ / "cert.pem"; }
  [[nodiscard]] std::string key_file() const { return dir_ / "key.pem"; }
  [[nodiscard]] const TempDir& dir() const { return dir_; }
  [[nodiscard]] std::string config() const { return dir_ / "config.yaml"; }
  Process& process() { return *process_; }
  /// Writes config.yaml anew; counts from the next start.
  void configure(const std::string& yaml) const;
  /// Runs a verb of the binary with this server's configuration.
  [[nodiscard]] Finished verb(std::vector<std::string> words,
                              std::map<std::string, std::string> more_env = {}) const;
  [[nodiscard]] std::string setup_key() const;

 private:
  [[nodiscard]] std::map<std::string, std::string> environment() const;
  CombinedOptions options_;
  std::uint16_t port_;
  std::uint16_t metrics_port_;
  std::uint16_t health_port_;
  std::uint16_t stun_port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

}  // namespace nb::test
