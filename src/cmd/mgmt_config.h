// Settings of netbird-mgmt: flags, NB_* variables and management.json
// (contract/signal-relay-ops.md §6).
#pragma once

#include "base/config/cli.h"
#include "cmd/common_config.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::cmd {

inline constexpr std::uint16_t kMgmtLegacyPort = 33'073;

/// A STUN, TURN or signal server as management.json names it.
struct HostConfig {
  std::string proto;  // udp, dtls, tcp, http, https
  std::string uri;
  std::string username;
  Secret password;
};

struct TurnConfig {
  bool time_based_credentials = false;
  std::chrono::seconds credentials_ttl{std::chrono::hours(12)};
  Secret secret;
  std::vector<HostConfig> turns;
};

struct RelayConfig {
  std::vector<std::string> addresses;  // empty: clients get no relay
  std::chrono::seconds credentials_ttl{std::chrono::hours(12)};
  Secret secret;
};

/// HttpConfig: who may call the REST API and with which tokens.
struct HttpAuthConfig {
  std::string auth_client_id;
  std::string auth_audience;
  std::string cli_auth_audience;
  std::string auth_issuer;
  std::string auth_user_id_claim;
  std::string auth_keys_location;
  std::string oidc_config_endpoint;
  bool idp_sign_key_refresh_enabled = false;
  std::string extra_auth_audience;
  std::string auth_callback_url;
  /// Only the provider itself can say who it is, and has not yet.
  [[nodiscard]] bool awaits_provider() const {
    return !oidc_config_endpoint.empty() && (auth_issuer.empty() || auth_keys_location.empty());
  }
};

/// ProviderConfig of the device and PKCE flows.
struct FlowConfig {
  std::string provider;  // "" or "none": off (device flow)
  std::string client_id;
  Secret client_secret;
  std::string domain;
  std::string audience;
  std::string token_endpoint;
  std::string device_auth_endpoint;
  std::string authorization_endpoint;
  std::string scope;
  bool use_id_token = false;
  std::vector<std::string> redirect_urls;
  bool disable_prompt_login = false;
  std::int32_t login_flag = 0;  // 0 prompt=login, 1 max_age=0, 2 none
};

struct EmbeddedIdpConfig {
  bool enabled = false;
  std::string issuer;
  std::string local_address;
  std::string storage_type = "sqlite3";
  std::string storage_file;  // empty: {datadir}/idp.db
  Secret storage_dsn;
  std::vector<std::string> dashboard_redirect_uris;
  std::vector<std::string> cli_redirect_uris;
  std::vector<std::string> dashboard_post_logout_redirect_uris;
  std::vector<std::string> grant_types;
  std::string owner_email;
  Secret owner_hash;  // bcrypt
  std::string owner_username;
  bool sign_key_refresh_enabled = false;
  bool local_auth_disabled = false;
  std::string mfa_session_max_lifetime;
  std::string mfa_session_idle_timeout;
  bool mfa_session_remember_me = false;
  Secret session_cookie_encryption_key;
  /// People of other providers may own the installation, should they come first.
  bool connector_owner_allowed = false;
  std::chrono::seconds token_lifetime{std::chrono::hours(24)};
  std::chrono::seconds auth_request_lifetime{std::chrono::minutes(15)};
  std::chrono::seconds auth_code_lifetime{60};
  std::chrono::seconds device_code_lifetime{std::chrono::minutes(5)};
  std::chrono::seconds refresh_idle_timeout{std::chrono::hours(24 * 30)};
  std::chrono::seconds refresh_max_lifetime{std::chrono::hours(24 * 90)};
  std::chrono::seconds signing_key_lifetime{std::chrono::hours(24 * 30)};
};

/// The main database.
struct StoreConfig {
  std::string engine = "sqlite";         // sqlite, postgres
  std::string sqlite_file = "store.db";  // relative to the data directory; may carry ?pragmas
  Secret postgres_dsn;
  Secret mysql_dsn;                  // refused at start: not supported
  std::uint32_t max_open_conns = 0;  // 0: CPU count, at least 4; sqlite always 1 writer
  std::chrono::milliseconds conn_max_lifetime{std::chrono::hours(1)};
  std::chrono::milliseconds conn_max_idle{std::chrono::minutes(3)};
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds transaction_timeout{10'000};
  std::uint32_t queue_max = 10'000;  // waiting requests, then UNAVAILABLE
};

/// Where activity events go.
struct ActivityStoreConfig {
  std::string engine = "sqlite";
  std::string sqlite_file = "events.db";
  Secret postgres_dsn;
};

struct MgmtHaConfig {  // keys of the fork's management HA (§6.4); the shared part is
                       // ServiceConfig::ha
  std::string peers_registry_key = "nb:mgmt:peers";
  std::string account_channel_prefix = "nb:mgmt:account:";
  std::string lock_prefix = "nb:mgmt:lock:";
  std::string login_filter_key = "nb:mgmt:loginfilter";
  std::string ephemeral_key = "nb:mgmt:ephemeral";
  std::string signal_registry_key = "nb:signal:registry";  // the signal servers'
  std::chrono::milliseconds peer_ttl{30'000};
  std::chrono::milliseconds heartbeat_interval{10'000};
  std::chrono::milliseconds lock_ttl{15'000};
  std::chrono::milliseconds anti_entropy_interval{2'000};
  /// A rotated server key is known to every running instance after so long.
  [[nodiscard]] std::chrono::milliseconds server_key_look() const {
    return 15 * anti_entropy_interval;
  }
  /// So long after a rotation the key before it is the one that every instance takes. Twice the
  /// least, because the hosts' clocks differ.
  [[nodiscard]] std::chrono::milliseconds server_key_overlap() const {
    return 2 * server_key_look();
  }
};

struct MgmtLimits {
  std::int32_t concurrent_syncs_max = 1'000;  // negative: no limit
  std::uint32_t sync_queue_max = 20'000;
  std::chrono::milliseconds sync_queue_wait{60'000};
  std::chrono::milliseconds get_account_buffer{0};    // upstream: 100 ms, one load a request
  std::chrono::milliseconds peer_update_interval{1};  // below 1 s streams hold back longer anyway
  std::chrono::seconds peer_update_startup{1};        // the interval is ten times as long
  std::uint32_t map_threads = 0;                      // 0: cores - 1, at least 1
  bool block_same_peers = false;
  bool log_blocked_peers = false;
  bool event_log_enabled = true;
  bool api_rate_limiting = false;
  std::uint32_t api_rate_per_minute = 6;
  std::uint32_t api_rate_burst = 500;
  bool setup_pat_enabled = false;
  bool disable_geolocation = false;
  std::uint16_t proxy_port_min = 10'000;  // of layer-4 services that name no port
  std::uint16_t proxy_port_max = 49'151;
  std::string management_version_url;  // empty: nobody is asked for newer releases
  std::string dashboard_version_url;
  std::uint32_t calls_per_second_per_source = 0;  // 0: no limit
};

/// Variables of upstream for parts that are made otherwise here: known, without effect.
struct MgmtIgnored {
  std::string idp_timeout;
  std::string idp_cache_warmup_delay;
  std::string proxy_snapshot_batch_size;
  Secret cache_redis_address;
};

struct MgmtConfig {
  ServiceConfig service;
  std::string config_file = "/etc/netbird/management.json";
  std::string datadir = "/var/lib/netbird/";
  std::string single_account_mode_domain = "netbird.selfhosted";
  bool disable_single_account_mode = false;
  bool disable_anonymous_metrics = false;  // accepted: nothing is ever sent
  std::string dns_domain = "netbird.selfhosted";
  bool user_delete_from_idp = false;
  bool disable_geolite_update = true;

  Secret data_store_encryption_key;  // base64 of 32 bytes; see ensure_encryption_key()
  std::vector<HostConfig> stuns;
  TurnConfig turn;
  RelayConfig relay;
  HostConfig signal;
  HttpAuthConfig http;
  FlowConfig device_flow;
  FlowConfig pkce_flow;
  EmbeddedIdpConfig embedded_idp;
  std::string idp_manager_type;  // external IdP synchronisation; "none" or empty: off
  bool disable_default_policy = false;
  std::vector<std::string> trusted_http_proxies;
  std::vector<std::string> trusted_peers;
  std::uint32_t trusted_http_proxies_count = 0;
  std::int32_t access_log_days = 0;  // how long accesses of reverse proxies are kept
  std::optional<std::int32_t> sync_message_version_max;
  std::vector<std::pair<std::string, std::int32_t>> sync_message_version_per_account;

  StoreConfig store;
  ActivityStoreConfig activity_store;
  Secret auth_store_dsn;  // NB_AUTH_STORE_DSN
  MgmtHaConfig ha;
  MgmtLimits limits;
  MgmtIgnored ignored;

  /// The domain of an account that exists wins over single_account_mode_domain and dns_domain
  /// (combined server; contract/signal-relay-ops.md §5.3).
  bool domain_from_account = false;
  /// Of a verb that only looks, from wherever the stores can be reached: secrets of parts that it
  /// does not open may be missing, and no key is made.
  bool only_looks = false;

  /// The parsed file, for parts no struct above has yet (IdpManagerConfig, connectors).
  config::Node file;
};

/// Rows of `netbird-mgmt management`, bound to `config`, which must outlive the table and not move.
/// One MgmtConfig per table: rows set defaults that differ between commands.
void add_mgmt_rows(config::Table& table, MgmtConfig& config);
/// Those without management.json: files, stores, ports, accounts, HA, load. In the section that is
/// open.
void add_mgmt_service_rows(config::Table& table, MgmtConfig& config, Service service);
/// Rows of commands that work on the stores only (setup-key, admin …): file, data directory, store,
/// HA and log settings.
void add_mgmt_store_rows(config::Table& table, MgmtConfig& config);
/// Reads and expands management.json. A missing file is an error unless the path is the default
/// one and `required` is false.
Result<std::optional<config::Node>> read_mgmt_file(const std::string& path,
                                                   const config::Environment& env, bool required,
                                                   std::vector<std::string>& warnings);
/// Values that other values decide, whatever file they came from; cross-checks.
Result<> derive_mgmt(MgmtConfig& config, const config::Table& table,
                     std::vector<std::string>& warnings);
/// One line for each setting that is given and has no effect here, with the reason.
void warn_of_ignored(const config::Table& table, std::vector<std::string>& warnings);
/// Nested parts of the file and derived values; cross-checks.
Result<> finish_mgmt(MgmtConfig& config, const config::Table& table, const config::Node& file,
                     std::vector<std::string>& warnings);
/// A command with read_file and finish filled in; the caller sets path, help and run.
config::Command mgmt_command(config::Table& table, MgmtConfig& config,
                             const config::Environment& env = config::process_environment());

/// Fills data_store_encryption_key. Without one: with HA off, takes one from `make_key` (base64 of
/// 32 random bytes), patches only that key into the file, atomically, and goes on; with HA on,
/// refuses.
Result<> ensure_encryption_key(MgmtConfig& config, const std::function<Secret()>& make_key,
                               std::vector<std::string>& warnings);

}  // namespace nb::cmd
