// Settings of netbird-server: config.yaml, NB_* variables and flags
// (contract/signal-relay-ops.md §5.2, §5.3).
#pragma once

#include "base/config/cli.h"
#include "cmd/mgmt_config.h"
#include "cmd/relay_config.h"
#include "cmd/signal_config.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nb::cmd {

/// What config.yaml says and no service's own settings do: they follow from it.
struct ServerFile {
  std::string listen_address = ":443";
  std::string health_address = ":9000";
  std::string exposed_address;
  std::string relay_exposed_address;  // ours, for HA: of this instance; default: exposed_address
  std::string signal_uri;             // set: no signal server here
  std::string dashboard_dir;          // ours: static files served under /
  bool letsencrypt_enabled = false;
  std::string letsencrypt_dir;
  std::vector<std::string> letsencrypt_domains;
  std::string letsencrypt_email;
  bool letsencrypt_aws_route53 = false;
  std::string auth_storage_type;  // authStore.engine wins
  std::string auth_store_engine;
  std::string auth_store_file;
  bool sign_key_refresh_enabled = true;  // accepted; always on
};

struct ServerConfig {
  ServerFile file;
  MgmtConfig mgmt;  // its service settings are those of the whole process
  SignalConfig signal;
  RelayServerConfig relay;

  // After finish_server():
  bool run_signal = true;
  bool run_relay = true;
  bool run_stun = true;
  net::ListenerConfig listener;
  net::ListenerConfig health_listener;

  ServerConfig();
};

/// All rows of `netbird-server`, bound to `config`, which must outlive the table and not move.
void add_server_rows(config::Table& table, ServerConfig& config);
/// Which services run, what they and the agents are told; cross-checks.
Result<> finish_server(ServerConfig& config, const config::Table& table, const config::Node& file,
                       std::vector<std::string>& warnings);
/// A command with read_file and finish filled in; the caller sets path, help and run.
config::Command server_command(config::Table& table, ServerConfig& config);

/// The same settings for verbs; see mgmt_admin.h.
[[nodiscard]] struct VerbProgram server_verbs();

/// Fills the data-store key from {dataDir}/encryption.key. If there is neither key nor file, nor a
/// database yet, and HA is off: takes one from `make_key` and writes the file (0600).
/// Errors   kFailedPrecondition: no key, but data that may be encrypted with one.
Result<> ensure_server_key(ServerConfig& config, const std::function<Secret()>& make_key,
                           std::vector<std::string>& warnings);

}  // namespace nb::cmd
