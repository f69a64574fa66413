#include "cmd/common_config.h"

namespace nb::cmd {

namespace {
using config::check_redis_address;
using config::Option;
using config::redact_address;

constexpr std::int64_t kTimeoutMaxMs = 30'000;  // contract/signal-relay-ops.md §2.1

Result<> check_instance_id(std::string_view value) {
  NB_TRY(config::check_key_prefix(value));
  return {};
}

constexpr Option<HaConfig> kHa[] = {
    {.flag = "ha-enabled",
     .key = "HA.Enabled",
     .member = &HaConfig::enabled,
     .help = "share the load with other instances through Redis"},
    {.flag = "ha-instance-id",
     .key = "HA.InstanceID",
     .member = &HaConfig::instance_id,
     .check = check_instance_id,
     .default_text = "host name",
     .help = "name of this instance; no two may have the same"},
};
// The signal server's secret has a name of its own; both servers may be given the common one.
constexpr Option<HaConfig> kSignalSecret[] = {
    {.flag = "signal-secret",
     .aliases = {"NB_HA_SECRET"},
     .member = &HaConfig::secret,
     .min = 8,
     .max = 1'024,
     .help = "signs messages between instances; unsigned ones are then refused"},
    {.flag = "signal-secret-previous",
     .aliases = {"NB_HA_SECRET_PREVIOUS"},
     .member = &HaConfig::secret_previous,
     .min = 8,
     .max = 1'024,
     .help = "still accepted while the secret is being replaced"},
};
// One process, one secret: it may have been given to either server before.
constexpr Option<HaConfig> kCombinedSecret[] = {
    {.flag = "ha-secret",
     .aliases = {"NB_SIGNAL_SECRET"},
     .member = &HaConfig::secret,
     .min = 8,
     .max = 1'024,
     .help = "signs messages between instances; unsigned ones are then refused"},
    {.flag = "ha-secret-previous",
     .aliases = {"NB_SIGNAL_SECRET_PREVIOUS"},
     .member = &HaConfig::secret_previous,
     .min = 8,
     .max = 1'024,
     .help = "still accepted while the secret is being replaced"},
};
constexpr Option<HaConfig> kManagementSecret[] = {
    {.flag = "ha-secret",
     .member = &HaConfig::secret,
     .min = 8,
     .max = 1'024,
     .help = "signs messages between instances; unsigned ones are then refused"},
    {.flag = "ha-secret-previous",
     .member = &HaConfig::secret_previous,
     .min = 8,
     .max = 1'024,
     .help = "still accepted while the secret is being replaced"},
};

constexpr Option<RedisConfig> kRedis[] = {
    {.flag = "ha-redis-address",
     .aliases = {"NB_REDIS_ADDRESS"},
     .key = "HA.RedisAddress",
     .member = &RedisConfig::address,
     .check = check_redis_address,
     .redact = redact_address,
     .help = "host:port or redis[s]://user:password@host:port/db"},
    {.flag = "ha-redis-user",
     .aliases = {"NB_REDIS_USER"},
     .key = "HA.RedisUser",
     .member = &RedisConfig::user,
     .help = "ACL user; empty: the default user"},
    {.flag = "ha-redis-password",
     .aliases = {"NB_REDIS_PASSWORD"},
     .key = "HA.RedisPassword",
     .member = &RedisConfig::password,
     .help = "password; one read from a file is read again at each connect"},
    {.flag = "ha-redis-db",
     .aliases = {"NB_REDIS_DB"},
     .key = "HA.RedisDB",
     .member = &RedisConfig::db,
     .max = 65'535,
     .help = "database number"},
    {.flag = "ha-redis-dial-timeout",
     .aliases = {"NB_REDIS_DIAL_TIMEOUT"},
     .key = "HA.DialTimeout",
     .member = &RedisConfig::dial_timeout,
     .min = 10,
     .max = kTimeoutMaxMs,
     .help = "time to connect, TLS and greeting included"},
    {.flag = "ha-redis-read-timeout",
     .aliases = {"NB_REDIS_READ_TIMEOUT"},
     .key = "HA.ReadTimeout",
     .member = &RedisConfig::read_timeout,
     .min = 10,
     .max = kTimeoutMaxMs,
     .help = "time to wait for an answer"},
    {.flag = "ha-redis-write-timeout",
     .aliases = {"NB_REDIS_WRITE_TIMEOUT"},
     .key = "HA.WriteTimeout",
     .member = &RedisConfig::write_timeout,
     .min = 10,
     .max = kTimeoutMaxMs,
     .help = "time to send a command"},
    {.flag = "ha-redis-pool-size",
     .aliases = {"NB_REDIS_POOL_SIZE"},
     .key = "HA.PoolSize",
     .member = &RedisConfig::pool_size,
     .max = 10'000,
     .hidden = true,
     .help = "connections; ours are pipelined, one is enough"},
    {.flag = "ha-redis-max-idle-conns",
     .key = "HA.MaxIdleConns",
     .member = &RedisConfig::max_idle_conns,
     .max = 10'000,
     .hidden = true,
     .help = "as above"},
    {.flag = "ha-redis-min-idle-conns",
     .key = "HA.MinIdleConns",
     .member = &RedisConfig::min_idle_conns,
     .max = 10'000,
     .hidden = true,
     .help = "as above"},
    {.flag = "ha-redis-conn-max-lifetime",
     .key = "HA.ConnMaxLifetime",
     .member = &RedisConfig::conn_max_lifetime,
     .hidden = true,
     .help = "as above"},
    {.flag = "ha-redis-tls-enabled",
     .key = "HA.TLSEnabled",
     .member = &RedisConfig::tls_enabled,
     .help = "speak TLS to Redis and to Sentinels"},
    {.flag = "ha-redis-tls-ca-file",
     .key = "HA.TLSCAFile",
     .member = &RedisConfig::tls_ca_file,
     .help = "certificates to trust, PEM; empty: the system's"},
    {.flag = "ha-redis-tls-cert-file",
     .key = "HA.TLSCertFile",
     .member = &RedisConfig::tls_cert_file,
     .help = "our certificate, PEM, if Redis asks for one"},
    {.flag = "ha-redis-tls-key-file",
     .key = "HA.TLSKeyFile",
     .member = &RedisConfig::tls_key_file,
     .help = "its private key, PEM"},
    {.flag = "ha-redis-tls-server-name",
     .key = "HA.TLSServerName",
     .member = &RedisConfig::tls_server_name,
     .help = "name expected in Redis' certificate; empty: the host dialled"},
    {.flag = "ha-redis-sentinels",
     .key = "HA.SentinelAddresses",
     .member = &RedisConfig::sentinel_addresses,
     .max = 64,
     .check = check_redis_address,
     .help = "host:port of Sentinels; the Redis address is then unused"},
    {.flag = "ha-redis-sentinel-master",
     .key = "HA.SentinelMaster",
     .member = &RedisConfig::sentinel_master,
     .help = "name of the master that Sentinels watch"},
    {.flag = "ha-redis-sentinel-user",
     .key = "HA.SentinelUser",
     .member = &RedisConfig::sentinel_user,
     .help = "ACL user at the Sentinels"},
    {.flag = "ha-redis-sentinel-password",
     .key = "HA.SentinelPassword",
     .member = &RedisConfig::sentinel_password,
     .help = "password at the Sentinels"},
};
}  // namespace

void add_ha_rows(config::Table& table, HaConfig& config, Service service) {
  table.section("High availability",
                "Without `ha-enabled` no Redis is contacted and the rest has no effect.");
  table.add(kHa, config);
  if (service == Service::kSignal) {
    table.add(kSignalSecret, config);
  } else if (service == Service::kManagement) {
    table.add(kManagementSecret, config);
  } else if (service == Service::kCombined) {
    table.add(kCombinedSecret, config);
  }  // relays send nothing to each other
  table.add(kRedis, config.redis);
}

}  // namespace nb::cmd
