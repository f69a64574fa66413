// Settings that several binaries share: logging, TLS, limits, health, drain, Redis and HA.
#pragma once

#include "base/config/node.h"
#include "base/config/table.h"
#include "base/log_sinks.h"
#include "base/program.h"
#include "base/secret.h"
#include "net/server.h"
#include "redis/options.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::cmd {

/// Certificates of the listening ports (contract/signal-relay-ops.md §6.7). ACME itself is a later
/// issue: a domain without a certificate pair is refused at start.
struct TlsConfig {
  std::string cert_file;
  std::string cert_key;
  std::string letsencrypt_domain;
  std::string letsencrypt_dir;
  std::string ssl_dir;            // old name of letsencrypt_dir
  std::string letsencrypt_email;  // accepted, unused
  [[nodiscard]] bool enabled() const { return !cert_file.empty() && !cert_key.empty(); }
};

/// How to reach Redis. `address` is host:port or redis[s]://user:password@host:port/db.
struct RedisConfig {
  Secret address{"localhost:6379"};  // a URL may carry the password
  std::string user;
  Secret password;
  std::uint32_t db = 0;
  std::chrono::milliseconds dial_timeout{5'000};
  std::chrono::milliseconds read_timeout{3'000};
  std::chrono::milliseconds write_timeout{3'000};
  std::uint32_t pool_size = 10;      // accepted; one pipelined connection serves a loop
  std::uint32_t max_idle_conns = 5;  // accepted, as above
  std::uint32_t min_idle_conns = 1;  // accepted, as above
  std::chrono::milliseconds conn_max_lifetime{std::chrono::hours(1)};  // accepted, as above
  bool tls_enabled = false;
  std::string tls_ca_file;
  std::string tls_cert_file;
  std::string tls_key_file;
  std::string tls_server_name;
  std::vector<std::string> sentinel_addresses;
  std::string sentinel_master = "mymaster";
  std::string sentinel_user;
  Secret sentinel_password;
  /// From NB_HA_REDIS_PASSWORD_FILE; read again at every connect.
  std::string password_file;
};

struct HaConfig {
  bool enabled = false;
  /// Empty in the sources: filled by finish_ha() with the host name, else a random id.
  std::string instance_id;
  RedisConfig redis;
  Secret secret;           // signs what goes over the bus
  Secret secret_previous;  // still accepted while the secret is being rotated
};

/// Everything the two servers have in common.
struct ServiceConfig {
  std::uint16_t port = 0;  // 0: 443 with TLS, else 80; effective after finish_service()
  std::uint16_t metrics_port = 9090;
  std::uint16_t health_port = 0;  // 0: health is on the metrics port only
  std::string listen_address;     // numeric; empty: all, IPv6 too; effective after finish_service()
  bool disable_legacy_port = false;
  std::uint32_t loops = 0;             // 0: one per two cores
  std::uint32_t blocking_threads = 0;  // 0: twice the cores, at least 4
  TlsConfig tls;
  LogConfig log;
  net::ServerLimits limits;
  std::vector<std::string> trusted_proxies;
  std::uint32_t trusted_proxy_count = 0;
  ProgramLimits program;
  std::string pprof_address;  // accepted; loopback only
  HaConfig ha;
};

/// kCombined: netbird-server, whose addresses are its own rows.
enum class Service : std::uint8_t { kSignal, kManagement, kRelay, kCombined, kUpload };
/// Ports, TLS, limits, proxies, health; then logging and HA, which commands that only work on the
/// stores share.
void add_service_rows(config::Table& table, ServiceConfig& config, Service service);
void add_log_rows(config::Table& table, LogConfig& config, Service service);
/// Drain and stop times.
void add_stop_rows(config::Table& table, ProgramLimits& limits);
void add_ha_rows(config::Table& table, HaConfig& config, Service service);

/// Numeric; IPv6 too where there is any.
[[nodiscard]] std::string all_addresses();

/// "[host]:port" as a listener; without a host: all addresses. `name`: of the setting, for errors.
[[nodiscard]] Result<net::ListenerConfig> listen_at(std::string_view name, const std::string& text);

/// Fills derived values: ports, threads, instance id.
/// Errors   half a certificate pair, a domain without certificates, bad HA settings.
Result<> finish_service(ServiceConfig& config, std::vector<std::string>& warnings);
Result<> finish_ha(HaConfig& config, const config::Table& table,
                   std::vector<std::string>& warnings);

/// Errors   kInvalidArgument: address or sentinel list; never shows a password.
Result<redis::Options> redis_options(const RedisConfig& config, std::string client_name);

/// Listeners of a server: the main port, and `legacy_port` unless it is the same or disabled.
[[nodiscard]] net::ServerConfig net_config(const ServiceConfig& config, std::uint16_t legacy_port);

}  // namespace nb::cmd
