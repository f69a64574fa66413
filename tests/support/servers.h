// Real servers for tests, each on loopback with a directory of its own:
//   RedisServer, RedisSentinel, PostgresServer, HaProxy, TurnServer.
// A constructor returns when the server answers; std::runtime_error with its log if it does not.
#pragma once

#include "support/process.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nb::test {

struct RedisOptions {
  std::vector<std::string>
      arguments{};   // appended to the command line, e.g. {"--requirepass", "x"}
  bool wait = true;  // false: return at once (TLS-only servers: wait yourself)
};

class RedisServer {
 public:
  explicit RedisServer(RedisOptions options = {});
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] const TempDir& dir() const { return dir_; }
  Process& process() { return *process_; }
  /// Kills without saving: everything in it is lost at the next start().
  void kill();
  void start();
  /// One command through redis-cli; its raw output without the last newline.
  std::string cli(std::vector<std::string> words) const;

 private:
  RedisOptions options_;
  std::uint16_t port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

/// Watches `master` under the name "nbmaster" with quorum 1 and short time-outs.
class RedisSentinel {
 public:
  explicit RedisSentinel(std::uint16_t master_port);
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Port of the master it knows now.
  [[nodiscard]] std::uint16_t master_port() const;
  Process& process() { return *process_; }

 private:
  std::uint16_t port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

/// A cluster of its own with database and user "netbird" (trust on loopback), fsync off.
class PostgresServer {
 public:
  PostgresServer();
  ~PostgresServer();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string dsn(std::string_view database = "netbird") const;
  void create_database(const std::string& name);
  /// Immediate stop: connections break, nothing committed is lost.
  void stop();
  void start();
  /// Ends every connection of other sessions.
  void break_connections();
  /// One statement or script through psql -qAt; throws with psql's words on failure.
  std::string psql(const std::string& sql, const std::string& database = "netbird") const;
  void psql_file(const std::string& file, const std::string& database = "netbird") const;
  Process& process() { return *process_; }

 private:
  std::uint16_t port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

/// One server line of a backend.
struct Backend {
  std::string name;
  std::uint16_t port = 0;
  std::uint16_t check_port = 0;  // GET /readyz there over HTTP/1.1; 0: over HTTP/2 on port
};

/// Per-request h2c balancing over the backends, as deploy/haproxy does it: long stream time-outs,
/// health check on /readyz every 250 ms.
class HaProxy {
 public:
  explicit HaProxy(std::vector<Backend> backends);
  /// A configuration text of the test's own; {port} is replaced by port().
  explicit HaProxy(std::string configuration);
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  Process& process() { return *process_; }

 private:
  void start(std::string configuration);
  std::uint16_t port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

/// coturn on 127.0.0.1, UDP and TCP, which relays to loopback too.
class TurnServer {
 public:
  struct Options {
    std::string secret{};  // use-auth-secret: passwords are made from it
    std::string user{};    // otherwise one user with a password that stays
    std::string password{};
  };
  explicit TurnServer(const Options& options);
  [[nodiscard]] std::uint16_t port() const { return port_; }
  Process& process() { return *process_; }

 private:
  std::uint16_t port_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
};

}  // namespace nb::test
