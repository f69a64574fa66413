// Keys of config.yaml (contract/signal-relay-ops.md §5.2).
#include "cmd/mgmt_file.h"
#include "cmd/server_config.h"

namespace nb::cmd {

namespace {
using config::check_listen_address;
using config::Option;
using config::Table;

// Rows of the services that config.yaml sets too, under its own names.
constexpr Table::NewKey kKeys[] = {
    {"--metrics-port", "server.metricsPort"},
    {"--log-level", "server.logLevel"},
    {"--log-file", "server.logFile"},
    {"--cert-file", "server.tls.certFile"},
    {"--cert-key", "server.tls.keyFile"},
    {"--stun-ports", "server.stunPorts"},
    {"--auth-secret", "server.authSecret"},
    {"--datadir", "server.dataDir"},
    {"--disable-anonymous-metrics", "server.disableAnonymousMetrics"},
    {"--disable-geolite-update", "server.disableGeoliteUpdate"},
    {"HighestSupportedSyncMessageVersion", "server.supportedSyncMessageVersions"},
    {"--store-engine", "server.store.engine"},
    {"NB_STORE_ENGINE_POSTGRES_DSN", "server.store.dsn"},
    {"NB_STORE_ENGINE_SQLITE_FILE", "server.store.file"},
    {"NB_DATASTORE_ENCRYPTION_KEY", "server.store.encryptionKey"},
    {"NB_ACTIVITY_EVENT_STORE_ENGINE", "server.activityStore.engine"},
    {"NB_ACTIVITY_EVENT_POSTGRES_DSN", "server.activityStore.dsn"},
    {"NB_ACTIVITY_EVENT_SQLITE_FILE", "server.activityStore.file"},
    {"NB_AUTH_STORE_DSN", "server.authStore.dsn"},
    {"--ha-enabled", "server.ha.enabled"},
    {"--ha-instance-id", "server.ha.instanceId"},
    {"--ha-secret", "server.ha.secret"},
    {"--ha-secret-previous", "server.ha.secretPrevious"},
    {"--ha-redis-address", "server.ha.redisAddress"},
    {"--ha-redis-user", "server.ha.redisUser"},
    {"--ha-redis-password", "server.ha.redisPassword"},
    {"--ha-redis-db", "server.ha.redisDB"},
    {"--ha-redis-dial-timeout", "server.ha.dialTimeout"},
    {"--ha-redis-read-timeout", "server.ha.readTimeout"},
    {"--ha-redis-write-timeout", "server.ha.writeTimeout"},
    {"--ha-redis-pool-size", "server.ha.poolSize"},
    {"--ha-redis-max-idle-conns", "server.ha.maxIdleConns"},
    {"--ha-redis-min-idle-conns", "server.ha.minIdleConns"},
    {"--ha-redis-conn-max-lifetime", "server.ha.connMaxLifetime"},
    {"--ha-redis-tls-enabled", "server.ha.tlsEnabled"},
    {"--ha-redis-tls-ca-file", "server.ha.tlsCAFile"},
    {"--ha-redis-tls-cert-file", "server.ha.tlsCertFile"},
    {"--ha-redis-tls-key-file", "server.ha.tlsKeyFile"},
    {"--ha-redis-tls-server-name", "server.ha.tlsServerName"},
    {"--ha-redis-sentinels", "server.ha.sentinelAddresses"},
    {"--ha-redis-sentinel-master", "server.ha.sentinelMaster"},
    {"--ha-redis-sentinel-user", "server.ha.sentinelUser"},
    {"--ha-redis-sentinel-password", "server.ha.sentinelPassword"},
    {"--signal-registry-key", "server.ha.signal.registryKey"},
    {"--signal-channel-prefix", "server.ha.signal.channelPrefix"},
    {"--signal-peer-ttl", "server.ha.signal.peerTTL"},
    {"--signal-heartbeat-interval", "server.ha.signal.heartbeatInterval"},
    {"--signal-send-timeout", "server.ha.signal.sendTimeout"},
    {"--mgmt-peers-registry-key", "server.ha.management.peersRegistryKey"},
    {"--mgmt-account-channel-prefix", "server.ha.management.accountChannelPrefix"},
    {"--mgmt-lock-prefix", "server.ha.management.lockPrefix"},
    {"--mgmt-login-filter-key", "server.ha.management.loginFilterKey"},
    {"--mgmt-ephemeral-key", "server.ha.management.ephemeralKey"},
    {"--mgmt-peer-ttl", "server.ha.management.peerTTL"},
    {"--mgmt-heartbeat-interval", "server.ha.management.heartbeatInterval"},
    {"--mgmt-lock-ttl", "server.ha.management.lockTTL"},
    {"--mgmt-anti-entropy-interval", "server.ha.management.antiEntropyInterval"},
};

constexpr Option<MgmtConfig> kFile[] = {
    {.flag = "config", .letter = 'c', .member = &MgmtConfig::config_file, .help = "config.yaml"},
};
constexpr Option<ServerFile> kAddresses[] = {
    {.flag = "listen-address",
     .key = "server.listenAddress",
     .member = &ServerFile::listen_address,
     .check = check_listen_address,
     .help = "the one port of everything but STUN, metrics and health"},
    {.flag = "exposed-address",
     .key = "server.exposedAddress",
     .member = &ServerFile::exposed_address,
     .default_text = "none, required",
     .help = "how clients reach this server: https://host:port, http://host:port or host:port"},
    {.flag = "relay-exposed-address",
     .key = "server.relayExposedAddress",
     .member = &ServerFile::relay_exposed_address,
     .default_text = "the exposed address",
     .help = "with several instances: where peers reach the relay of this very one"},
    {.flag = "health-listen-address",
     .key = "server.healthcheckAddress",
     .member = &ServerFile::health_address,
     .check = check_listen_address,
     .help = "address of /health, /healthz and /readyz"},
    {.flag = "dashboard-dir",
     .key = "server.dashboardDir",
     .member = &ServerFile::dashboard_dir,
     .default_text = "none",
     .help = "directory with the dashboard's static files, served under /"},
};
constexpr Option<ServerFile> kLetsEncrypt[] = {
    {.key = "server.tls.letsencrypt.enabled",
     .member = &ServerFile::letsencrypt_enabled,
     .help = "certificates are not fetched by this version: refused without a certificate pair"},
    {.key = "server.tls.letsencrypt.dataDir",
     .member = &ServerFile::letsencrypt_dir,
     .help = "directory of the certificate cache"},
    {.key = "server.tls.letsencrypt.domains",
     .member = &ServerFile::letsencrypt_domains,
     .check = config::check_domain,
     .help = "domains to get certificates for"},
    {.key = "server.tls.letsencrypt.email",
     .member = &ServerFile::letsencrypt_email,
     .hidden = true,
     .help = "mail address for the certificate authority"},
    {.key = "server.tls.letsencrypt.awsRoute53",
     .member = &ServerFile::letsencrypt_aws_route53,
     .hidden = true,
     .help = "prove domains through Route 53"},
};
constexpr Option<ServerFile> kSignal[] = {
    {.env = "NB_SIGNAL_URI",
     .key = "server.signalUri",
     .member = &ServerFile::signal_uri,
     .default_text = "none: the signal server here",
     .help = "another signal server, https://host:port or http://host:port"},
};
constexpr Option<RelayConfig> kRelays[] = {
    {.key = "server.relays.addresses",
     .member = &RelayConfig::addresses,
     .default_text = "none: the relay here",
     .help = "other relays, rel:// or rels:// URLs"},
    {.key = "server.relays.credentialsTTL",
     .member = &RelayConfig::credentials_ttl,
     .help = "life of relay tokens"},
    {.env = "NB_RELAY_SECRET",
     .key = "server.relays.secret",
     .member = &RelayConfig::secret,
     .default_text = "authSecret",
     .help = "secret shared with those relays"},
};
constexpr Option<EmbeddedIdpConfig> kAuth[] = {
    {.key = "server.auth.issuer",
     .member = &EmbeddedIdpConfig::issuer,
     .default_text = "<exposedAddress>/oauth2",
     .help = "our issuer URL"},
    {.key = "server.auth.localAuthDisabled",
     .member = &EmbeddedIdpConfig::local_auth_disabled,
     .help = "no passwords of our own"},
    {.key = "server.auth.mfaSessionMaxLifetime",
     .member = &EmbeddedIdpConfig::mfa_session_max_lifetime,
     .default_text = "24h",
     .help = "longest session after a second factor"},
    {.key = "server.auth.mfaSessionIdleTimeout",
     .member = &EmbeddedIdpConfig::mfa_session_idle_timeout,
     .default_text = "1h",
     .help = "idle time after a second factor"},
    {.key = "server.auth.mfaSessionRememberMe",
     .member = &EmbeddedIdpConfig::mfa_session_remember_me,
     .help = "remember the second factor"},
    {.env = "NB_IDP_SESSION_COOKIE_ENCRYPTION_KEY",
     .key = "server.auth.sessionCookieEncryptionKey",
     .member = &EmbeddedIdpConfig::session_cookie_encryption_key,
     .help = "16, 24 or 32 bytes, plain or base64"},
    {.key = "server.auth.dashboardRedirectURIs",
     .member = &EmbeddedIdpConfig::dashboard_redirect_uris,
     .default_text = "<exposedAddress>/nb-auth and /nb-silent-auth",
     .help = "redirects of the dashboard"},
    {.key = "server.auth.cliRedirectURIs",
     .member = &EmbeddedIdpConfig::cli_redirect_uris,
     .default_text = "http://localhost:53000/,http://localhost:54000/",
     .help = "redirects of the command line"},
    {.key = "server.auth.dashboardPostLogoutRedirectURIs",
     .member = &EmbeddedIdpConfig::dashboard_post_logout_redirect_uris,
     .help = "redirects after logout"},
    {.key = "server.auth.grantTypes",
     .member = &EmbeddedIdpConfig::grant_types,
     .help = "grants allowed"},
    {.key = "server.auth.owner.email",
     .member = &EmbeddedIdpConfig::owner_email,
     .help = "first user"},
    {.key = "server.auth.owner.password",
     .member = &EmbeddedIdpConfig::owner_hash,
     .help = "his password, or its bcrypt hash"},
};
constexpr Option<ServerFile> kAuthStores[] = {
    {.key = "server.auth.signKeyRefreshEnabled",
     .member = &ServerFile::sign_key_refresh_enabled,
     .hidden = true,
     .help = "always on"},
    {.key = "server.auth.storage.type",
     .member = &ServerFile::auth_storage_type,
     .allowed = "sqlite3|sqlite|postgres",
     .default_text = "sqlite3",
     .help = "database of the identity provider; authStore.engine wins"},
    {.env = "NB_AUTH_STORE_ENGINE",
     .key = "server.authStore.engine",
     .member = &ServerFile::auth_store_engine,
     .allowed = "sqlite3|sqlite|postgres",
     .default_text = "sqlite3",
     .help = "database of the identity provider"},
    {.env = "NB_AUTH_STORE_SQLITE_FILE",
     .key = "server.authStore.file",
     .member = &ServerFile::auth_store_file,
     .default_text = "idp.db",
     .help = "SQLite file, relative to the data directory"},
};
constexpr Option<MgmtConfig> kProxies[] = {
    {.key = "server.reverseProxy.trustedHTTPProxies",
     .member = &MgmtConfig::trusted_http_proxies,
     .check = config::check_cidr,
     .help = "proxies to skip in X-Forwarded-For; they may also send it"},
    {.key = "server.reverseProxy.trustedHTTPProxiesCount",
     .member = &MgmtConfig::trusted_http_proxies_count,
     .max = 32,
     .help = "or their number"},
    {.key = "server.reverseProxy.accessLogRetentionDays",
     .member = &MgmtConfig::access_log_days,
     .min = -1,
     .max = 36'500,
     .help = "days that accesses of reverse proxies are kept; 0: 7 days, -1: for ever"},
    {.key = "server.reverseProxy.trustedPeers",
     .member = &MgmtConfig::trusted_peers,
     .check = config::check_cidr,
     .help = "who may send X-Forwarded-For; nobody unless given"},
};
constexpr Option<HostConfig> kStun[] = {
    {.key = "uri", .member = &HostConfig::uri, .help = "such as stun:host:3478"},
    {.key = "proto",
     .member = &HostConfig::proto,
     .allowed = "udp|dtls|tcp|http|https",
     .help = "udp, or dtls for stuns: and turns:, unless given"},
    {.key = "username", .member = &HostConfig::username, .help = "user name"},
    {.key = "password", .member = &HostConfig::password, .help = "password"},
};
constexpr std::pair<std::string_view, std::string_view> kAccepted[] = {
    {"server.auth.storage.file", "not used: authStore.file decides"},
    {"server.reverseProxy.accessLogCleanupIntervalHours", "not used: every few minutes"},
    {"server.agentNetwork.pricingDefaultsFile", "not used"},
    {"server.perAccountSupportedSyncMessageVersions.*",
     "account id: newest form of maps, in place of the above"},
};

void add_file_rows(Table& table, ServerConfig& config) {
  table.section("Identity provider", "Served under /oauth2 of the main port.");
  table.add(kAuth, config.mgmt.embedded_idp).add(kAuthStores, config.file);
  add_own_idp_rows(table, config.mgmt.embedded_idp,
                   {.token = "server.auth.idTokenLifetime",
                    .request = "server.auth.authRequestLifetime",
                    .code = "server.auth.authCodeLifetime",
                    .device = "server.auth.deviceCodeLifetime",
                    .refresh_idle = "server.auth.refreshTokenIdleTimeout",
                    .refresh_max = "server.auth.refreshTokenMaxLifetime",
                    .signing_key = "server.auth.signingKeyLifetime",
                    .connector_owner = "server.auth.connectorOwnerAllowed"});
  table.section("Other servers", "Each of these replaces a part of this process.");
  table.add(kSignal, config.file).add(kRelays, config.mgmt.relay);
  table.describe("server.stuns[]", kStun);
  for (const auto& [key, help] : kAccepted) table.describe_key(key, {}, help);
}
}  // namespace

ServerConfig::ServerConfig() {
  mgmt.config_file = "/etc/netbird/config.yaml";
  mgmt.disable_geolite_update = false;  // contract/signal-relay-ops.md §5.2
  mgmt.domain_from_account = true;
  mgmt.embedded_idp.enabled = true;
  mgmt.service.program.stop_total = std::chrono::seconds(30);
}

void add_server_rows(Table& table, ServerConfig& config) {
  table.section("Files").add(kFile, config.mgmt);
  add_mgmt_service_rows(table, config.mgmt, Service::kCombined);
  add_signal_service_rows(table, config.signal);
  add_relay_service_rows(table, config.relay);
  table.with_keys(kKeys);
  table.section("config.yaml",
                "Keys match without regard to case, durations are texts such as 12h, and unknown "
                "keys are warned about.");
  table.add(kAddresses, config.file).add(kLetsEncrypt, config.file);
  table.add(kProxies, config.mgmt);
  add_file_rows(table, config);
}

Result<> read_stuns(const config::Node& file, std::vector<HostConfig>& out) {
  return config::read_list(file.find_path("server.stuns"), kStun, out, "server.stuns");
}

}  // namespace nb::cmd
