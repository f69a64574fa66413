// Flags and variables of netbird-mgmt (contract/signal-relay-ops.md §6.2, §6.4, §6.5).
#include "base/text.h"
#include "cmd/mgmt_config.h"
#include "cmd/mgmt_file.h"

namespace nb::cmd {

namespace {
using config::check_key_prefix;
using config::Option;
using config::redact_address;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kRateMax = 2'147'483'647;

Result<> check_sqlite_file(std::string_view value) {
  if (value.starts_with('?')) return fail(Code::kInvalidArgument, "the file name is missing");
  return {};
}

Result<> check_http_url(std::string_view value) {
  const auto url = parse_url(value);
  if (!url || (url->scheme != "https" && url->scheme != "http") || url->host.empty())
    return fail(Code::kInvalidArgument, "not an http(s) URL");
  return {};
}

constexpr Option<MgmtConfig> kFile[] = {
    {.flag = "config", .member = &MgmtConfig::config_file, .help = "management.json"},
};
constexpr Option<MgmtConfig> kPaths[] = {
    {.flag = "datadir",
     .member = &MgmtConfig::datadir,
     .help = "directory of the databases; the file's Datadir is not used"},
};
constexpr Option<MgmtConfig> kAccounts[] = {
    {.flag = "single-account-mode-domain",
     .member = &MgmtConfig::single_account_mode_domain,
     .check = config::check_domain,
     .help = "domain of the one account that all users join"},
    {.flag = "disable-single-account-mode",
     .member = &MgmtConfig::disable_single_account_mode,
     .help = "an account per user or domain"},
    {.flag = "dns-domain",
     .member = &MgmtConfig::dns_domain,
     .check = config::check_domain,
     .help = "domain of the peers' names"},
    {.flag = "user-delete-from-idp",
     .member = &MgmtConfig::user_delete_from_idp,
     .help = "delete users at the identity provider too"},
    {.key = "DisableDefaultPolicy",
     .member = &MgmtConfig::disable_default_policy,
     .help = "new accounts get no policy that lets all peers reach each other"},
    {.key = "HighestSupportedSyncMessageVersion",
     .member = &MgmtConfig::sync_message_version_max,
     .max = 1,
     .default_text = "0",
     .help = "newest form of network maps for agents that offer it: 0 whole maps, 1 components"},
    {.flag = "disable-anonymous-metrics",
     .member = &MgmtConfig::disable_anonymous_metrics,
     .hidden = true,
     .help = "nothing is ever sent"},
    {.flag = "disable-geolite-update",
     .member = &MgmtConfig::disable_geolite_update,
     .hidden = true,
     .help = "nothing is ever downloaded"},
};
constexpr Option<HttpAuthConfig> kKeyRefresh[] = {
    {.flag = "idp-sign-key-refresh-enabled",
     .key = "HttpConfig.IdpSignKeyRefreshEnabled",
     .member = &HttpAuthConfig::idp_sign_key_refresh_enabled,
     .help = "fetch the identity provider's signing keys again when one is unknown"},
};

constexpr Option<StoreConfig> kStore[] = {
    {.flag = "store-engine",
     .aliases = {"NETBIRD_STORE_ENGINE"},
     .key = "StoreConfig.Engine",
     .member = &StoreConfig::engine,
     .allowed = "sqlite|postgres",
     .file_before_alias = true,
     .help = "main database"},
    {.env = "NB_STORE_ENGINE_SQLITE_FILE",
     .aliases = {"NETBIRD_STORE_ENGINE_SQLITE_FILE"},
     .member = &StoreConfig::sqlite_file,
     .check = check_sqlite_file,
     .help = "SQLite file, relative to the data directory; ?pragmas may follow"},
    {.env = "NB_STORE_ENGINE_POSTGRES_DSN",
     .aliases = {"NETBIRD_STORE_ENGINE_POSTGRES_DSN"},
     .member = &StoreConfig::postgres_dsn,
     .redact = redact_address,
     .help = "PostgreSQL: URL or key=value text"},
    {.env = "NB_STORE_ENGINE_MYSQL_DSN",
     .aliases = {"NETBIRD_STORE_ENGINE_MYSQL_DSN"},
     .member = &StoreConfig::mysql_dsn,
     .hidden = true,
     .help = "MySQL is not supported"},
    {.env = "NB_SQL_MAX_OPEN_CONNS",
     .member = &StoreConfig::max_open_conns,
     .max = 10'000,
     .default_text = "one per core, at least 4",
     .help = "connections to PostgreSQL"},
    {.env = "NB_SQL_CONN_MAX_LIFETIME",
     .member = &StoreConfig::conn_max_lifetime,
     .min = 1'000,
     .max = 720 * kHourMs,
     .help = "age at which a connection is replaced"},
    {.env = "NB_SQL_CONN_MAX_IDLE",
     .member = &StoreConfig::conn_max_idle,
     .min = 1'000,
     .max = 720 * kHourMs,
     .help = "time without work after which a connection is closed"},
    {.env = "NB_SQL_CONNECT_TIMEOUT",
     .member = &StoreConfig::connect_timeout,
     .min = 100,
     .max = 600'000,
     .help = "time to connect"},
    {.env = "NB_STORE_TRANSACTION_TIMEOUT",
     .member = &StoreConfig::transaction_timeout,
     .min = 100,
     .max = kHourMs,
     .help = "longest transaction; clients give up after 10 s"},
    {.env = "NB_SQL_QUEUE_MAX",
     .member = &StoreConfig::queue_max,
     .min = 1,
     .max = 10'000'000,
     .help = "requests waiting for a connection; then agents hear UNAVAILABLE"},
};
constexpr Option<ActivityStoreConfig> kActivity[] = {
    {.env = "NB_ACTIVITY_EVENT_STORE_ENGINE",
     .member = &ActivityStoreConfig::engine,
     .allowed = "sqlite|postgres",
     .help = "database of activity events"},
    {.env = "NB_ACTIVITY_EVENT_SQLITE_FILE",
     .member = &ActivityStoreConfig::sqlite_file,
     .check = check_sqlite_file,
     .help = "SQLite file, relative to the data directory"},
    {.env = "NB_ACTIVITY_EVENT_POSTGRES_DSN",
     .member = &ActivityStoreConfig::postgres_dsn,
     .redact = redact_address,
     .help = "PostgreSQL: URL or key=value text"},
};
constexpr Option<MgmtConfig> kSecrets[] = {
    {.env = "NB_DATASTORE_ENCRYPTION_KEY",
     .key = "DataStoreEncryptionKey",
     .member = &MgmtConfig::data_store_encryption_key,
     .check = config::check_base64_key32,
     .default_text = "made at the first start; required with HA",
     .help = "base64 of 32 bytes; encrypts fields in the database, the same on all instances"},
    {.env = "NB_AUTH_STORE_DSN",
     .member = &MgmtConfig::auth_store_dsn,
     .redact = redact_address,
     .help = "database of the embedded identity provider"},
};

constexpr Option<MgmtHaConfig> kHa[] = {
    {.flag = "mgmt-peers-registry-key",
     .member = &MgmtHaConfig::peers_registry_key,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "Redis hash of peers and the instances that serve them"},
    {.flag = "mgmt-account-channel-prefix",
     .member = &MgmtHaConfig::account_channel_prefix,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "Redis channel of an account, without its id"},
    {.flag = "mgmt-lock-prefix",
     .member = &MgmtHaConfig::lock_prefix,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "Redis key of a lock, without its name; whose janitor prunes the database for all"},
    {.flag = "mgmt-login-filter-key",
     .member = &MgmtHaConfig::login_filter_key,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "Redis hash of recent logins"},
    {.flag = "mgmt-ephemeral-key",
     .member = &MgmtHaConfig::ephemeral_key,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "Redis sorted set of ephemeral peers and their deadlines"},
    {.flag = "mgmt-peer-ttl",
     .member = &MgmtHaConfig::peer_ttl,
     .min = 1'000,
     .max = kHourMs,
     .help = "time after which a silent instance counts as dead"},
    {.flag = "mgmt-heartbeat-interval",
     .member = &MgmtHaConfig::heartbeat_interval,
     .min = 100,
     .max = kHourMs,
     .default_text = "a third of the TTL, at most 10s",
     .help = "how often an instance says that it lives; at most half the TTL"},
    {.flag = "mgmt-lock-ttl",
     .member = &MgmtHaConfig::lock_ttl,
     .min = 1'000,
     .max = 600'000,
     .help = "time until a dead holder's lock is free"},
    {.flag = "mgmt-anti-entropy-interval",
     .member = &MgmtHaConfig::anti_entropy_interval,
     .min = 100,
     .max = 600'000,
     .help = "how often the serials of accounts are compared with the database"},
};

// What the signal servers were told; netbird-server has it from there.
constexpr Option<MgmtHaConfig> kSignalKey[] = {
    {.flag = "signal-registry-key",
     .member = &MgmtHaConfig::signal_registry_key,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "the signal servers' hash of peers, to count them in ha status"},
};

constexpr Option<MgmtLimits> kLimits[] = {
    {.env = "NB_MAX_CONCURRENT_SYNCS",
     .member = &MgmtLimits::concurrent_syncs_max,
     .min = -10'000'000,
     .max = 10'000'000,
     .lenient = true,
     .help =
         "Sync calls that are being set up at one time, others wait; negative: no limit, 0: none"},
    {.env = "NB_SYNC_QUEUE_MAX",
     .member = &MgmtLimits::sync_queue_max,
     .max = 10'000'000,
     .help = "Sync calls that wait for their turn; those beyond are turned away"},
    {.env = "NB_SYNC_QUEUE_WAIT",
     .member = &MgmtLimits::sync_queue_wait,
     .min = 100,
     .max = kHourMs,
     .help = "time that a Sync call waits for its turn at most"},
    {.env = "NB_GET_ACCOUNT_BUFFER_INTERVAL",
     .member = &MgmtLimits::get_account_buffer,
     .max = 60'000,
     .default_text = "0s: at once",
     .help =
         "how long a read of an account waits for other reasons to read it; reads never overlap"},
    {.env = "NB_PEER_UPDATE_INTERVAL_MS",
     .member = &MgmtLimits::peer_update_interval,
     .max = 60'000,
     .bare_number = true,
     .help =
         "pause between two updates of an account, in milliseconds or as a duration; 1 s at least"},
    {.env = "NB_PEER_UPDATE_STARTUP_PERIOD_S",
     .member = &MgmtLimits::peer_update_startup,
     .max = kHourMs,
     .bare_number = true,
     .help = "time after the start in which that pause is ten times as long, in seconds or as a "
             "duration"},
    {.env = "NB_MAP_THREADS",
     .member = &MgmtLimits::map_threads,
     .max = 1'024,
     .default_text = "all cores but one",
     .help = "threads that calculate network maps"},
    {.env = "NB_BLOCK_SAME_PEERS",
     .member = &MgmtLimits::block_same_peers,
     .help = "refuse peers that log in too often with one key"},
    {.env = "NB_LOG_BLOCKED_PEERS",
     .member = &MgmtLimits::log_blocked_peers,
     .help = "log peers that are, or would be, refused"},
    {.env = "NB_LOGIN_RATE_PER_SOURCE",
     .member = &MgmtLimits::calls_per_second_per_source,
     .max = 1'000'000,
     .help = "calls of agents per second from one address, logins, streams and all others that "
             "cost something; a key counts a tenth; 0: no limit"},
    {.env = "NB_EVENT_ACTIVITY_LOG_ENABLED",
     .member = &MgmtLimits::event_log_enabled,
     .help = "keep activity events"},
    // contract/rest-api.md §5.1: upstream starts whatever these hold.
    {.env = "NB_API_RATE_LIMITING_ENABLED",
     .member = &MgmtLimits::api_rate_limiting,
     .lenient = true,
     .help = "limit REST calls per token"},
    {.env = "NB_API_RATE_LIMITING_RPM",
     .member = &MgmtLimits::api_rate_per_minute,
     .min = 1,
     .max = kRateMax,
     .lenient = true,
     .help = "REST calls per minute then"},
    {.env = "NB_API_RATE_LIMITING_BURST",
     .member = &MgmtLimits::api_rate_burst,
     .min = 1,
     .max = kRateMax,
     .lenient = true,
     .help = "REST calls at once then"},
    {.env = "NB_SETUP_PAT_ENABLED",
     .member = &MgmtLimits::setup_pat_enabled,
     .help = "the first-run setup also makes an access token"},
    {.env = "NB_MANAGEMENT_VERSION_URL",
     .member = &MgmtLimits::management_version_url,
     .check = check_http_url,
     .help = "where the newest release of management is asked for every hour, as plain text or a "
             "release of GitHub's API; empty: nobody is asked"},
    {.env = "NB_DASHBOARD_VERSION_URL",
     .member = &MgmtLimits::dashboard_version_url,
     .check = check_http_url,
     .help = "the same for the dashboard"},
    {.env = "NB_DISABLE_GEOLOCATION",
     .member = &MgmtLimits::disable_geolocation,
     .help = "never look up where a peer is"},
    {.env = "NB_PROXY_PORT_MIN",
     .member = &MgmtLimits::proxy_port_min,
     .min = 1,
     .max = 65'535,
     .help = "first port for layer-4 services of reverse proxies that name none"},
    {.env = "NB_PROXY_PORT_MAX",
     .member = &MgmtLimits::proxy_port_max,
     .min = 1,
     .max = 65'535,
     .help = "last port for them"},
};

constexpr Option<MgmtIgnored> kIgnored[] = {
    {.env = "NB_IDP_TIMEOUT",
     .member = &MgmtIgnored::idp_timeout,
     .hidden = true,
     .help = "time-out of an external identity provider's API, which is not used"},
    {.env = "NB_IDP_CACHE_WARMUP_DELAY",
     .member = &MgmtIgnored::idp_cache_warmup_delay,
     .hidden = true,
     .help = "there is no cache of users to fill"},
    {.env = "NB_PROXY_SNAPSHOT_BATCH_SIZE",
     .member = &MgmtIgnored::proxy_snapshot_batch_size,
     .hidden = true,
     .help = "batches to reverse proxies are cut by size"},
    {.env = "NB_CACHE_REDIS_ADDRESS",
     .aliases = {"NB_IDP_CACHE_REDIS_ADDRESS"},
     .member = &MgmtIgnored::cache_redis_address,
     .redact = redact_address,
     .hidden = true,
     .help = "sessions, one-time tokens and states of logins are in the main database, which all "
             "instances share and no flush empties"},
};

Result<> check_heartbeat(const MgmtHaConfig& ha) {
  if (2 * ha.heartbeat_interval <= ha.peer_ttl) return {};
  return fail(Code::kInvalidArgument,
              "--mgmt-heartbeat-interval {} ms: at most half of --mgmt-peer-ttl ({} ms)",
              ha.heartbeat_interval.count(), ha.peer_ttl.count());
}

Result<> check_proxy_ports(const MgmtLimits& limits) {
  if (limits.proxy_port_min <= limits.proxy_port_max) return {};
  return fail(Code::kInvalidArgument, "NB_PROXY_PORT_MIN {}: more than NB_PROXY_PORT_MAX ({})",
              limits.proxy_port_min, limits.proxy_port_max);
}

Result<> check_stores(const MgmtConfig& config) {
  if (config.only_looks) return {};
  const StoreConfig& store = config.store;
  if (!store.mysql_dsn.empty()) {
    return fail(Code::kInvalidArgument, "NB_STORE_ENGINE_MYSQL_DSN: MySQL is not supported");
  }
  if (store.engine == "postgres" && store.postgres_dsn.empty()) {
    return fail(Code::kInvalidArgument,
                "store engine postgres needs NB_STORE_ENGINE_POSTGRES_DSN (or its _FILE form)");
  }
  if (config.activity_store.engine == "postgres" && config.activity_store.postgres_dsn.empty()) {
    return fail(Code::kInvalidArgument,
                "NB_ACTIVITY_EVENT_STORE_ENGINE postgres needs NB_ACTIVITY_EVENT_POSTGRES_DSN");
  }
  if (config.service.ha.enabled && store.engine != "postgres") {
    return fail(Code::kInvalidArgument,
                "HA needs one database for all instances: set NB_STORE_ENGINE to postgres, not {}",
                store.engine);
  }
  return {};
}

}  // namespace

void warn_of_ignored(const config::Table& table, std::vector<std::string>& warnings) {
  const auto warn = [&](std::string_view name, std::string_view why) {
    if (table.find(name) != nullptr && table.is_set(name))
      warnings.push_back(fmt::format("{} has no effect: {}", name, why));
  };
  for (const Option<MgmtIgnored>& row : kIgnored) warn(row.env, row.help);
  for (const Option<StoreConfig>& row : kStore)
    if (row.hidden) warn(row.env, row.help);
}

namespace {
void add_store_rows(config::Table& table, MgmtConfig& config) {
  table.section("Databases").add(kStore, config.store).add(kActivity, config.activity_store);
  table.add(kSecrets, config);
  table.rule([&config] { return check_stores(config); });
}
}  // namespace

void add_mgmt_store_rows(config::Table& table, MgmtConfig& config) {
  table.section("Files").add(kFile, config).add(kPaths, config);
  add_store_rows(table, config);
  add_log_rows(table, config.service.log, Service::kManagement);
  // Upstream's admin commands log errors only (contract/signal-relay-ops.md §5.6).
  config.service.log.file = "console";
  config.service.log.level = "error";
  add_ha_rows(table, config.service.ha, Service::kManagement);
  table.section("HA keys of management").add(kHa, config.ha).add(kSignalKey, config.ha);
  add_mgmt_file_rows(table, config);
}

void add_mgmt_service_rows(config::Table& table, MgmtConfig& config, Service service) {
  table.add(kPaths, config);
  add_store_rows(table, config);
  add_service_rows(table, config.service, service);
  table.section("Accounts").add(kAccounts, config).add(kKeyRefresh, config.http);
  add_log_rows(table, config.service.log, service);
  add_ha_rows(table, config.service.ha, service);
  table.section("HA keys of management").add(kHa, config.ha);
  if (service == Service::kManagement) table.add(kSignalKey, config.ha);
  table.section("Load").add(kLimits, config.limits).add(kIgnored, config.ignored);
  table.rule([&config] { return check_heartbeat(config.ha); });
  table.rule([&config] { return check_proxy_ports(config.limits); });
}

void add_mgmt_rows(config::Table& table, MgmtConfig& config) {
  table.section("Files").add(kFile, config);
  add_mgmt_service_rows(table, config, Service::kManagement);
  add_mgmt_file_rows(table, config);
}

}  // namespace nb::cmd
