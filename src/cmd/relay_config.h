// Settings of netbird-relay (contract/signal-relay-ops.md §3, §4.1, §6.2).
#pragma once

#include "base/config/cli.h"
#include "cmd/common_config.h"
#include "relay/relay.h"
#include "stun/stun.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nb::cmd {

/// Certificates under the relay's own flag names; otherwise as TlsConfig.
struct RelayTlsConfig {
  std::string cert_file;
  std::string cert_key;
  std::string letsencrypt_dir;
  std::vector<std::string> letsencrypt_domains;
  std::string letsencrypt_email;  // accepted, unused
  bool letsencrypt_aws_route53 = false;
  [[nodiscard]] bool enabled() const { return !cert_file.empty() && !cert_key.empty(); }
};

struct RelayServerConfig {
  std::string listen_address = ":443";
  std::string exposed_address;
  std::string health_listen_address = ":9000";
  std::uint16_t metrics_port = 9090;
  Secret auth_secret;
  Secret auth_secret_previous;
  std::vector<std::string> trusted_proxies;
  bool enable_stun = false;
  bool enable_quic = false;
  std::string stun_log_level = "info";
  std::uint32_t loops = 0;  // 0: one per core
  RelayTlsConfig tls;
  LogConfig log;
  net::ServerLimits limits;
  ProgramLimits program{.stop_total = std::chrono::seconds(30)};
  relay::Options relay;
  stun::Options stun;
  HaConfig ha;  // says that this relay lives, and finds another with its address

  // After finish_relay():
  net::ListenerConfig listener;
  net::ListenerConfig health_listener;
};

/// All rows of `netbird-relay`, bound to `config`, which must outlive the table and not move.
void add_relay_rows(config::Table& table, RelayServerConfig& config);
/// Those that a process with other services has too: secrets, peers, STUN.
void add_relay_service_rows(config::Table& table, RelayServerConfig& config);
/// Fills derived values: addresses, the instance URL, threads.
/// Errors   half a certificate pair, domains without certificates, an exposed address that no peer
///          could dial.
Result<> finish_relay(RelayServerConfig& config, const config::Table& table);
config::Command relay_command(config::Table& table, RelayServerConfig& config,
                              std::function<int(const config::Invocation&)> run);

}  // namespace nb::cmd
