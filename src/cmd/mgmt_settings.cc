#include "cmd/mgmt_settings.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace nb::cmd {
namespace {

namespace grpc = management::grpc;
using namespace std::chrono_literals;

// A group of tens of thousands of peers fits (contract/rest-api.md §1.3).
constexpr std::size_t kApiBodyMax = 8 * 1024 * 1024;
constexpr int kStartupFactor = 10;  // contract/management-grpc.md §5.4

grpc::HostSettings host(const HostConfig& config) {
  return {config.proto, config.uri, config.username, config.password};
}

std::vector<grpc::HostSettings> hosts(const std::vector<HostConfig>& configs) {
  std::vector<grpc::HostSettings> out;
  out.reserve(configs.size());
  for (const HostConfig& config : configs) out.push_back(host(config));
  return out;
}

/// "https://idp.example/a/b" → "https://idp.example/"; empty when it is no URL.
std::string origin_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return {};
  const std::size_t slash = url.find('/', scheme + 3);
  return url.substr(0, slash) + '/';
}

/// contract/management-grpc.md §6.2.
std::optional<grpc::JwtSettings> jwt_settings(const MgmtConfig& config) {
  const HttpAuthConfig& http = config.http;
  if (http.auth_audience.empty()) return std::nullopt;
  grpc::JwtSettings out;
  out.issuer =
      http.auth_issuer.empty() ? origin_of(config.device_flow.token_endpoint) : http.auth_issuer;
  out.keys_location = http.auth_keys_location;
  if (out.keys_location.empty()) {
    std::string base = out.issuer;
    while (base.ends_with('/')) base.pop_back();
    out.keys_location = base + "/.well-known/jwks.json";
  }
  out.audience = http.cli_auth_audience.empty() ? http.auth_audience : http.cli_auth_audience;
  out.audiences = {http.auth_audience};
  if (!http.cli_auth_audience.empty() && http.cli_auth_audience != http.auth_audience)
    out.audiences.push_back(http.cli_auth_audience);
  return out;
}

grpc::FlowSettings flow(const FlowConfig& config) {
  return {.provider = config.provider,
          .client_id = config.client_id,
          .client_secret = std::string(config.client_secret.reveal()),
          .domain = config.domain,
          .audience = config.audience,
          .device_auth_endpoint = config.device_auth_endpoint,
          .token_endpoint = config.token_endpoint,
          .authorization_endpoint = config.authorization_endpoint,
          .scope = config.scope,
          .use_id_token = config.use_id_token,
          .redirect_urls = config.redirect_urls,
          .disable_prompt_login = config.disable_prompt_login,
          .login_flag = static_cast<std::uint32_t>(std::max(config.login_flag, 0))};
}

}  // namespace

Result<sql::Dsn> main_dsn(const MgmtConfig& config) {
  if (config.store.engine == "postgres") {
    if (config.store.postgres_dsn.empty())
      return fail(Code::kInvalidArgument, "NB_STORE_ENGINE_POSTGRES_DSN is not set");
    return sql::Dsn::postgres(config.store.postgres_dsn.reveal());
  }
  if (config.store.engine != "sqlite")
    return fail(Code::kInvalidArgument, "store engine '{}': only sqlite and postgres are supported",
                config.store.engine);
  const std::string& file = config.store.sqlite_file;
  if (file.starts_with('/')) return sql::Dsn::sqlite(file);
  return sql::Dsn::sqlite(config.datadir + (config.datadir.ends_with('/') ? "" : "/") + file);
}

sql::Dsn looked_at(sql::Dsn dsn) {
  std::error_code not_there;
  if (dsn.engine == sql::Engine::kSqlite && !std::filesystem::exists(dsn.file, not_there))
    dsn.file.clear();  // SQLite's name for it
  return dsn;
}

sql::DatabaseOptions database_options(const MgmtConfig& config) {
  sql::DatabaseOptions options;
  options.workers = config.store.max_open_conns;
  options.queue_max = config.store.queue_max;
  options.connect_timeout = config.store.connect_timeout;
  options.transaction_max = config.store.transaction_timeout;
  options.connection_age_max = config.store.conn_max_lifetime;
  options.connection_idle_max = config.store.conn_max_idle;
  options.application_name = "netbird-mgmt";
  return options;
}

management::SqlStoreOptions sql_store_options(const MgmtConfig& config,
                                              std::function<bool()> announce) {
  return {.announce = std::move(announce),
          .dns_domain = config.dns_domain,
          .keep_events = config.limits.event_log_enabled,
          .proxy_port_min = config.limits.proxy_port_min,
          .proxy_port_max = config.limits.proxy_port_max};
}

Result<grpc::NetbirdConfigs> netbird_configs(const MgmtConfig& config) {
  grpc::NetbirdSettings settings;
  settings.stuns = hosts(config.stuns);
  settings.turns = hosts(config.turn.turns);
  settings.turn_time_based = config.turn.time_based_credentials;
  settings.turn_secret = config.turn.secret;
  settings.turn_ttl = config.turn.credentials_ttl;
  if (!config.signal.uri.empty()) settings.signal = host(config.signal);
  settings.relay_addresses = config.relay.addresses;
  settings.relay_secret = config.relay.secret;
  settings.relay_ttl = config.relay.credentials_ttl;
  return grpc::NetbirdConfigs::create(std::move(settings));
}

grpc::LoginSettings login_settings(const MgmtConfig& config) {
  grpc::LoginSettings out;
  out.awaited = config.http.awaits_provider();
  out.encoder.dns_domain = config.dns_domain;
  if (!out.awaited) out.encoder.jwt = jwt_settings(config);
  if (!config.http.auth_user_id_claim.empty())
    out.encoder.user_id_claim = config.http.auth_user_id_claim;
  if (!config.device_flow.client_id.empty()) out.device_flow = flow(config.device_flow);
  if (!config.pkce_flow.client_id.empty()) out.pkce_flow = flow(config.pkce_flow);
  return out;
}

grpc::ServiceOptions service_options(const MgmtConfig& config) {
  grpc::ServiceOptions options;
  options.login = login_settings(config);
  const auto form = [](std::int32_t version) {
    return version == 1 ? grpc::MapForm::kComponents : grpc::MapForm::kLegacy;
  };
  options.map_forms.best = form(config.sync_message_version_max.value_or(0));
  for (const auto& [account, version] : config.sync_message_version_per_account)
    options.map_forms.by_account[account] = form(version);
  options.address_limits.calls_per_second = config.limits.calls_per_second_per_source;
  options.sync_admission.in_setup_max = config.limits.concurrent_syncs_max;
  options.sync_admission.waiting_max = config.limits.sync_queue_max;
  options.sync_admission.wait_max = config.limits.sync_queue_wait;
  return options;
}

management::app::SyncHubOptions hub_options(const MgmtConfig& config, std::string self,
                                            bool postgres) {
  management::app::SyncHubOptions options;
  options.self = std::move(self);
  options.instance = config.service.ha.instance_id;
  options.channel_prefix = config.ha.account_channel_prefix;
  if (postgres && config.service.ha.enabled) options.fallback_channel = kFallbackChannel;
  options.poll_interval = config.ha.anti_entropy_interval;
  options.load_deadline = config.store.transaction_timeout;
  options.view = grpc::view_options(login_settings(config).encoder);
  // Upstream holds maps back for a second per stream; an interval asked for beyond that counts.
  options.fan_out.window =
      std::max<std::chrono::nanoseconds>(1s, config.limits.peer_update_interval);
  options.fan_out.startup_window =
      std::max<std::chrono::nanoseconds>(1s, kStartupFactor * config.limits.peer_update_interval);
  options.fan_out.gather = config.limits.get_account_buffer;
  return options;
}

net::ServerConfig mgmt_server(const MgmtConfig& config) {
  net::ServerConfig server = net_config(config.service, kMgmtLegacyPort);
  server.grpc_tunnel_paths = {"/ws-proxy/management"};
  server.limits.body_bytes_max = kApiBodyMax;
  return server;
}

}  // namespace nb::cmd
