// Pages that derive from the tables, compared with what is committed.
#include "cmd/docs_page.h"
#include "cmd/mgmt_config.h"
#include "cmd/relay_config.h"
#include "cmd/server_config.h"
#include "cmd/signal_config.h"
#include "cmd/upload_config.h"
#include "support/golden.h"

#include <gtest/gtest.h>

#include <set>

namespace nb::cmd {
namespace {

TEST(Docs, ConfigurationPageIsUpToDate) {
  test::expect_golden("docs/configuration.md", configuration_page());
}

TEST(Docs, HelpOfManagementIsUpToDate) {
  MgmtConfig config;
  config::Table table;
  add_mgmt_rows(table, config);
  auto command = mgmt_command(table, config);
  command.path = "management";
  command.help = "Start the management server";
  config::Cli cli("netbird-mgmt", "NetBird management server", "test");
  cli.command(std::move(command));
  test::expect_golden("tests/data/help-management.txt", cli.help_text(&cli.commands()[0]));
}

TEST(Docs, HelpOfServerIsUpToDate) {
  ServerConfig config;
  config::Table table;
  add_server_rows(table, config);
  auto command = server_command(table, config);
  command.path = "run";
  command.help = "Start the server";
  config::Cli cli("netbird-server", "NetBird server", "test");
  cli.command(std::move(command));
  test::expect_golden("tests/data/help-server.txt", cli.help_text(&cli.commands()[0]));
}

/// --help of the one command of a program against its page.
template <class Config>
void expect_help(const std::string& program, const std::string& purpose,
                 void (*add_rows)(config::Table&, Config&),
                 config::Command (*command)(config::Table&, Config&,
                                            std::function<int(const config::Invocation&)>)) {
  Config config;
  config::Table table;
  add_rows(table, config);
  config::Cli cli("netbird-" + program, purpose, "test");
  cli.command(command(table, config, nullptr));
  test::expect_golden("tests/data/help-" + program + ".txt", cli.help_text(&cli.commands()[0]));
}

TEST(Docs, HelpOfProgramsWithOneCommandIsUpToDate) {
  expect_help("signal", "NetBird signal server", add_signal_rows, signal_command);
  expect_help("relay", "NetBird relay", add_relay_rows, relay_command);
  expect_help("upload", "keeps debug bundles of NetBird agents", add_upload_rows, upload_command);
}

/// contract/signal-relay-ops.md §5.2.
TEST(Docs, EveryKeyOfConfigYamlIsKnown) {
  ServerConfig config;
  config::Table table;
  add_server_rows(table, config);
  for (const std::string key : {"listenAddress",
                                "exposedAddress",
                                "metricsPort",
                                "healthcheckAddress",
                                "logLevel",
                                "logFile",
                                "tls.certFile",
                                "tls.keyFile",
                                "tls.letsencrypt.enabled",
                                "tls.letsencrypt.dataDir",
                                "tls.letsencrypt.domains",
                                "tls.letsencrypt.email",
                                "tls.letsencrypt.awsRoute53",
                                "stunPorts",
                                "authSecret",
                                "dataDir",
                                "relays.addresses",
                                "relays.credentialsTTL",
                                "relays.secret",
                                "signalUri",
                                "disableAnonymousMetrics",
                                "disableGeoliteUpdate",
                                "auth.issuer",
                                "auth.localAuthDisabled",
                                "auth.signKeyRefreshEnabled",
                                "auth.mfaSessionMaxLifetime",
                                "auth.mfaSessionIdleTimeout",
                                "auth.mfaSessionRememberMe",
                                "auth.sessionCookieEncryptionKey",
                                "auth.storage.type",
                                "auth.dashboardRedirectURIs",
                                "auth.cliRedirectURIs",
                                "auth.dashboardPostLogoutRedirectURIs",
                                "auth.grantTypes",
                                "auth.owner.email",
                                "auth.owner.password",
                                "store.engine",
                                "store.dsn",
                                "store.encryptionKey",
                                "store.file",
                                "activityStore.engine",
                                "activityStore.dsn",
                                "activityStore.file",
                                "authStore.engine",
                                "authStore.dsn",
                                "authStore.file",
                                "reverseProxy.trustedHTTPProxies",
                                "reverseProxy.trustedHTTPProxiesCount",
                                "reverseProxy.trustedPeers",
                                "supportedSyncMessageVersions",
                                "ha.enabled",
                                "ha.redisAddress",
                                "ha.redisPassword",
                                "ha.redisDB",
                                "ha.instanceId"}) {
    bool known = false;
    for (const auto& setting : table.settings()) known |= setting.key == "server." + key;
    EXPECT_TRUE(known) << key;
  }
}

/// Upstream's and the fork's names (contract/signal-relay-ops.md §2.1, §6.2): each must exist.
void expect_names(const config::Table& table, std::initializer_list<const char*> names) {
  for (const auto* name : names) {
    bool alias = false;
    for (const auto& setting : table.settings()) {
      for (const auto other : setting.aliases) alias |= other == name;
    }
    EXPECT_TRUE(alias || table.find(name) != nullptr) << name;
  }
}

TEST(Docs, EveryNameOfUpstreamAndForkIsKnownToSignal) {
  SignalConfig config;
  config::Table table;
  add_signal_rows(table, config);
  expect_names(table, {"--port",
                       "--metrics-port",
                       "--letsencrypt-data-dir",
                       "--ssl-dir",
                       "--letsencrypt-domain",
                       "--letsencrypt-email",
                       "--cert-file",
                       "--cert-key",
                       "--log-level",
                       "--log-file",
                       "--ha-enabled",
                       "--ha-redis-address",
                       "--ha-redis-password",
                       "--ha-redis-db",
                       "--ha-redis-dial-timeout",
                       "--ha-redis-read-timeout",
                       "--ha-redis-write-timeout",
                       "--ha-redis-pool-size",
                       "--ha-instance-id",
                       "--signal-registry-key",
                       "--signal-channel-prefix",
                       "--signal-peer-ttl",
                       "--signal-heartbeat-interval",
                       "--signal-send-timeout"});
  expect_names(table, {"NB_HA_ENABLED",
                       "NB_HA_REDIS_ADDRESS",
                       "NB_HA_REDIS_PASSWORD",
                       "NB_HA_REDIS_DB",
                       "NB_HA_REDIS_DIAL_TIMEOUT",
                       "NB_HA_REDIS_POOL_SIZE",
                       "NB_HA_REDIS_MAX_IDLE_CONNS",
                       "NB_HA_REDIS_MIN_IDLE_CONNS",
                       "NB_HA_REDIS_CONN_MAX_LIFETIME",
                       "NB_HA_REDIS_TLS_ENABLED",
                       "NB_HA_INSTANCE_ID",
                       "NB_SIGNAL_REGISTRY_KEY",
                       "NB_SIGNAL_CHANNEL_PREFIX",
                       "NB_SIGNAL_PEER_TTL",
                       "NB_SIGNAL_HEARTBEAT_INTERVAL",
                       "NB_SIGNAL_SEND_TIMEOUT",
                       "NB_SIGNAL_SECRET",
                       "NB_HA_SECRET",
                       "NB_REDIS_ADDRESS",
                       "NB_REDIS_PASSWORD",
                       "NB_REDIS_DB",
                       "NB_REDIS_DIAL_TIMEOUT",
                       "NB_REDIS_READ_TIMEOUT",
                       "NB_REDIS_WRITE_TIMEOUT",
                       "NB_REDIS_POOL_SIZE",
                       "NB_METRICS_PORT",
                       "NB_LOG_LEVEL",
                       "NB_LOG_FILE",
                       "NB_LOG_FORMAT",
                       "NB_LOG_MAX_SIZE_MB",
                       "NB_LOG_DISABLE_ROTATION",
                       "NB_DRAIN_DELAY",
                       "NB_PPROF_ADDR"});
}

/// contract/signal-relay-ops.md §9.2, and newer ones of upstream.
TEST(Docs, EveryNameOfUpstreamIsKnownToUpload) {
  UploadServerConfig config;
  config::Table table;
  add_upload_rows(table, config);
  expect_names(table, {"SERVER_ADDRESS", "SERVER_URL", "STORE_DIR", "BUCKET", "SERVER_CERT_FILE",
                       "SERVER_KEY_FILE", "NB_UPLOAD_SIGNING_KEY", "NB_METRICS_PORT"});
}

TEST(Docs, EveryNameOfUpstreamIsKnownToRelay) {
  RelayServerConfig config;
  config::Table table;
  add_relay_rows(table, config);
  expect_names(table, {"--listen-address", "--exposed-address", "--metrics-port",
                       "--letsencrypt-data-dir", "--letsencrypt-domains", "--letsencrypt-email",
                       "--letsencrypt-aws-route53", "--tls-cert-file", "--tls-key-file",
                       "--auth-secret", "--log-level", "--log-file", "--health-listen-address",
                       "--trusted-proxies", "--enable-stun", "--stun-ports", "--stun-log-level"});
  expect_names(table, {"NB_LISTEN_ADDRESS", "NB_EXPOSED_ADDRESS", "NB_AUTH_SECRET",
                       "NB_ENABLE_STUN", "NB_STUN_PORTS", "NB_HEALTH_LISTEN_ADDRESS",
                       "NB_METRICS_PORT", "NB_LOG_LEVEL", "NB_RELAY_HC_ATTEMPT_THRESHOLD"});
  for (const char letter : {'l', 'e', 'd', 'a', 'c', 'k', 's', 'H'})
    EXPECT_NE(table.find_letter(letter), nullptr) << letter;
}

TEST(Docs, EveryNameOfUpstreamAndForkIsKnownToManagement) {
  MgmtConfig config;
  config::Table table;
  add_mgmt_rows(table, config);
  expect_names(table,
               {"--port", "--metrics-port", "--datadir", "--config", "--disable-legacy-port",
                "--letsencrypt-domain", "--cert-file", "--cert-key", "--single-account-mode-domain",
                "--disable-single-account-mode", "--disable-anonymous-metrics", "--dns-domain",
                "--idp-sign-key-refresh-enabled", "--user-delete-from-idp",
                "--disable-geolite-update", "--log-level", "--log-file"});
  expect_names(table, {"NB_MGMT_PEERS_REGISTRY_KEY",
                       "NB_MGMT_ACCOUNT_CHANNEL_PREFIX",
                       "NB_MGMT_LOCK_PREFIX",
                       "NB_MGMT_LOGIN_FILTER_KEY",
                       "NB_MGMT_EPHEMERAL_KEY",
                       "NB_MGMT_PEER_TTL",
                       "NB_MGMT_HEARTBEAT_INTERVAL",
                       "NB_MGMT_LOCK_TTL",
                       "NB_MGMT_METRICS_PORT",
                       "NETBIRD_STORE_ENGINE",
                       "NB_STORE_ENGINE",
                       "NB_STORE_ENGINE_POSTGRES_DSN",
                       "NB_STORE_ENGINE_SQLITE_FILE",
                       "NB_STORE_ENGINE_MYSQL_DSN",
                       "NB_AUTH_STORE_DSN",
                       "NB_ACTIVITY_EVENT_STORE_ENGINE",
                       "NB_ACTIVITY_EVENT_POSTGRES_DSN",
                       "NB_ACTIVITY_EVENT_SQLITE_FILE",
                       "NB_SQL_MAX_OPEN_CONNS",
                       "NB_STORE_TRANSACTION_TIMEOUT",
                       "NB_CACHE_REDIS_ADDRESS",
                       "NB_IDP_CACHE_REDIS_ADDRESS",
                       "NB_GET_ACCOUNT_BUFFER_INTERVAL",
                       "NB_PEER_UPDATE_INTERVAL_MS",
                       "NB_PEER_UPDATE_STARTUP_PERIOD_S",
                       "NB_MAX_CONCURRENT_SYNCS",
                       "NB_LOG_BLOCKED_PEERS",
                       "NB_BLOCK_SAME_PEERS",
                       "NB_EVENT_ACTIVITY_LOG_ENABLED",
                       "NB_API_RATE_LIMITING_ENABLED",
                       "NB_API_RATE_LIMITING_RPM",
                       "NB_API_RATE_LIMITING_BURST",
                       "NB_SETUP_PAT_ENABLED",
                       "NB_DISABLE_GEOLOCATION",
                       "NB_IDP_SESSION_COOKIE_ENCRYPTION_KEY",
                       "NB_IDP_TIMEOUT",
                       "NB_IDP_CACHE_WARMUP_DELAY",
                       "NB_PROXY_PORT_MIN",
                       "NB_PROXY_PORT_MAX",
                       "NB_PROXY_SNAPSHOT_BATCH_SIZE",
                       "NB_HA_SECRET",
                       "NB_REDIS_ADDRESS"});
}

TEST(Docs, NoNameIsUsedTwice) {
  MgmtConfig config;
  config::Table table;
  add_mgmt_rows(table, config);
  std::set<std::string> names;
  for (const auto& setting : table.settings()) {
    EXPECT_TRUE(setting.env.empty() || names.insert(setting.env).second) << setting.env;
    for (const auto alias : setting.aliases) {
      EXPECT_TRUE(names.insert(std::string(alias)).second) << alias;
    }
  }
}

}  // namespace
}  // namespace nb::cmd
