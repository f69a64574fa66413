#include "cmd/mgmt_file.h"

#include <charconv>

namespace nb::cmd {

namespace {
using config::Node;
using config::Option;

constexpr Option<HostConfig> kHost[] = {
    {.key = "Proto",
     .member = &HostConfig::proto,
     .allowed = "udp|dtls|tcp|http|https",
     .help = "udp, dtls, tcp, http or https"},
    {.key = "URI", .member = &HostConfig::uri, .help = "such as stun:host:3478 or host:443"},
    {.key = "Username", .member = &HostConfig::username, .help = "user name"},
    {.key = "Password", .member = &HostConfig::password, .help = "password"},
};
constexpr Option<TurnConfig> kTurn[] = {
    {.key = "TURNConfig.TimeBasedCredentials",
     .member = &TurnConfig::time_based_credentials,
     .help = "make short-lived TURN passwords from the secret"},
    {.key = "TURNConfig.CredentialsTTL",
     .member = &TurnConfig::credentials_ttl,
     .help = "their life"},
    {.env = "NB_TURN_SECRET",
     .key = "TURNConfig.Secret",
     .member = &TurnConfig::secret,
     .help = "secret shared with the TURN server"},
};
constexpr Option<RelayConfig> kRelay[] = {
    {.key = "Relay.Addresses",
     .member = &RelayConfig::addresses,
     .help = "relays for clients, rel:// or rels:// URLs; none: no relay"},
    {.key = "Relay.CredentialsTTL",
     .member = &RelayConfig::credentials_ttl,
     .help = "life of relay tokens"},
    {.env = "NB_RELAY_SECRET",
     .key = "Relay.Secret",
     .member = &RelayConfig::secret,
     .help = "secret shared with the relays"},
};
constexpr Option<HttpAuthConfig> kHttp[] = {
    {.key = "HttpConfig.AuthClientID",
     .member = &HttpAuthConfig::auth_client_id,
     .help = "OIDC client of the dashboard"},
    {.key = "HttpConfig.AuthAudience",
     .member = &HttpAuthConfig::auth_audience,
     .help = "audience that tokens must have"},
    {.key = "HttpConfig.CLIAuthAudience",
     .member = &HttpAuthConfig::cli_auth_audience,
     .help = "audience of tokens from the command line"},
    {.key = "HttpConfig.AuthIssuer",
     .member = &HttpAuthConfig::auth_issuer,
     .help = "issuer that tokens must have"},
    {.key = "HttpConfig.AuthUserIDClaim",
     .member = &HttpAuthConfig::auth_user_id_claim,
     .help = "claim that holds the user id"},
    {.key = "HttpConfig.AuthKeysLocation",
     .member = &HttpAuthConfig::auth_keys_location,
     .help = "URL of the signing keys"},
    {.key = "HttpConfig.OIDCConfigEndpoint",
     .member = &HttpAuthConfig::oidc_config_endpoint,
     .help = "URL of the discovery document"},
    {.key = "HttpConfig.ExtraAuthAudience",
     .member = &HttpAuthConfig::extra_auth_audience,
     .help = "second audience that is accepted"},
    {.key = "HttpConfig.AuthCallbackURL",
     .member = &HttpAuthConfig::auth_callback_url,
     .help = "callback of the reverse proxy's login"},
};
// Below DeviceAuthorizationFlow and PKCEAuthorizationFlow.
constexpr Option<FlowConfig> kFlow[] = {
    {.key = "Provider", .member = &FlowConfig::provider, .help = "hosted, or none for off"},
    {.key = "ProviderConfig.ClientID", .member = &FlowConfig::client_id, .help = "OIDC client"},
    {.key = "ProviderConfig.ClientSecret",
     .member = &FlowConfig::client_secret,
     .help = "its secret"},
    {.key = "ProviderConfig.Domain", .member = &FlowConfig::domain, .help = "provider's domain"},
    {.key = "ProviderConfig.Audience", .member = &FlowConfig::audience, .help = "audience"},
    {.key = "ProviderConfig.TokenEndpoint",
     .member = &FlowConfig::token_endpoint,
     .help = "URL of tokens"},
    {.key = "ProviderConfig.DeviceAuthEndpoint",
     .member = &FlowConfig::device_auth_endpoint,
     .help = "URL of device codes"},
    {.key = "ProviderConfig.AuthorizationEndpoint",
     .member = &FlowConfig::authorization_endpoint,
     .help = "URL of the login page"},
    {.key = "ProviderConfig.Scope",
     .member = &FlowConfig::scope,
     .default_text = "openid",
     .help = "scopes to ask for"},
    {.key = "ProviderConfig.UseIDToken",
     .member = &FlowConfig::use_id_token,
     .help = "send the id token instead of the access token"},
    {.key = "ProviderConfig.RedirectURLs",
     .member = &FlowConfig::redirect_urls,
     .help = "where the login may lead back to"},
    {.key = "ProviderConfig.DisablePromptLogin",
     .member = &FlowConfig::disable_prompt_login,
     .help = "do not force a new login"},
    {.key = "ProviderConfig.LoginFlag",
     .member = &FlowConfig::login_flag,
     .max = 2,
     .help = "0: prompt=login, 1: max_age=0, 2: none"},
};
// Below EmbeddedIdP.
constexpr Option<EmbeddedIdpConfig> kIdp[] = {
    {.key = "Enabled", .member = &EmbeddedIdpConfig::enabled, .help = "serve /oauth2 ourselves"},
    {.key = "Issuer", .member = &EmbeddedIdpConfig::issuer, .help = "our issuer URL"},
    {.key = "LocalAddress",
     .member = &EmbeddedIdpConfig::local_address,
     .help = "overwritten with our own address"},
    {.key = "Storage.Type",
     .member = &EmbeddedIdpConfig::storage_type,
     .allowed = "sqlite3|sqlite|postgres",
     .help = "database"},
    {.key = "Storage.Config.File",
     .member = &EmbeddedIdpConfig::storage_file,
     .default_text = "{datadir}/idp.db",
     .help = "SQLite file"},
    {.key = "Storage.Config.DSN",
     .member = &EmbeddedIdpConfig::storage_dsn,
     .redact = config::redact_address,
     .help = "PostgreSQL: URL or key=value text"},
    {.key = "DashboardRedirectURIs",
     .member = &EmbeddedIdpConfig::dashboard_redirect_uris,
     .help = "redirects of the dashboard"},
    {.key = "CLIRedirectURIs",
     .member = &EmbeddedIdpConfig::cli_redirect_uris,
     .help = "redirects of the command line"},
    {.key = "DashboardPostLogoutRedirectURIs",
     .member = &EmbeddedIdpConfig::dashboard_post_logout_redirect_uris,
     .help = "redirects after logout"},
    {.key = "GrantTypes", .member = &EmbeddedIdpConfig::grant_types, .help = "grants allowed"},
    {.key = "Owner.Email", .member = &EmbeddedIdpConfig::owner_email, .help = "first user"},
    {.key = "Owner.Hash",
     .member = &EmbeddedIdpConfig::owner_hash,
     .help = "bcrypt hash of the first user's password"},
    {.key = "Owner.Username", .member = &EmbeddedIdpConfig::owner_username, .help = "name"},
    {.key = "SignKeyRefreshEnabled",
     .member = &EmbeddedIdpConfig::sign_key_refresh_enabled,
     .help = "rotate signing keys"},
    {.key = "LocalAuthDisabled",
     .member = &EmbeddedIdpConfig::local_auth_disabled,
     .help = "no passwords of our own"},
    {.key = "MfaSessionMaxLifetime",
     .member = &EmbeddedIdpConfig::mfa_session_max_lifetime,
     .help = "longest session after a second factor"},
    {.key = "MfaSessionIdleTimeout",
     .member = &EmbeddedIdpConfig::mfa_session_idle_timeout,
     .help = "idle time after a second factor"},
    {.key = "MfaSessionRememberMe",
     .member = &EmbeddedIdpConfig::mfa_session_remember_me,
     .help = "remember the second factor"},
    {.env = "NB_IDP_SESSION_COOKIE_ENCRYPTION_KEY",
     .key = "SessionCookieEncryptionKey",
     .member = &EmbeddedIdpConfig::session_cookie_encryption_key,
     .help = "16, 24 or 32 bytes, plain or base64"},
};
constexpr Option<MgmtConfig> kOther[] = {
    {.key = "IdpManagerConfig.ManagerType",
     .member = &MgmtConfig::idp_manager_type,
     .help = "external provider whose users are listed: has no effect, which is warned of"},
    {.key = "ReverseProxy.TrustedHTTPProxies",
     .member = &MgmtConfig::trusted_http_proxies,
     .check = config::check_cidr,
     .help = "proxies to skip in X-Forwarded-For"},
    {.key = "ReverseProxy.TrustedHTTPProxiesCount",
     .member = &MgmtConfig::trusted_http_proxies_count,
     .max = 32,
     .help = "or their number"},
    {.key = "ReverseProxy.AccessLogRetentionDays",
     .member = &MgmtConfig::access_log_days,
     .min = -1,
     .max = 36'500,
     .help = "days that accesses of reverse proxies are kept; 0: 7 days, -1: for ever"},
    {.key = "ReverseProxy.TrustedPeers",
     .member = &MgmtConfig::trusted_peers,
     .check = config::check_cidr,
     .help = "who may send X-Forwarded-For; nobody unless given"},
};

/// Keys that are known and that nothing here reads.
constexpr std::pair<std::string_view, std::string_view> kAccepted[] = {
    {"Datadir", "not used: --datadir decides"},
    {"HttpConfig.Address", "not used: --port decides"},
    {"ReverseProxy.AccessLogCleanupIntervalHours", "not used: every few minutes"},
    {"AgentNetwork.PricingDefaultsFile", "not used"},
    {"IdpManagerConfig.ClientConfig.*", "external identity provider"},
    {"IdpManagerConfig.ExtraConfig.*", "external identity provider"},
    {"IdpManagerConfig.Auth0ClientCredentials.*", "external identity provider"},
    {"IdpManagerConfig.AzureClientCredentials.*", "external identity provider"},
    {"IdpManagerConfig.KeycloakClientCredentials.*", "external identity provider"},
    {"IdpManagerConfig.ZitadelClientCredentials.*", "external identity provider"},
    {"PKCEAuthorizationFlow.ProviderConfig.DeviceAuthEndpoint", "not used"},
    {"EmbeddedIdP.StaticConnectors[].*", "identity providers behind ours"},
    {"PerAccountHighestSupportedSyncMessageVersion.*",
     "account id: newest form of maps, in place of the above"},
};

}  // namespace

void add_mgmt_file_rows(config::Table& table, MgmtConfig& config) {
  table.section("management.json",
                "Keys match without regard to case, `null` leaves the default, durations are texts "
                "or whole nanoseconds, and `{{ .NAME }}` is replaced by the variable NAME, which "
                "must be set.");
  table.add(kOther, config).add(kHttp, config.http).add(kTurn, config.turn);
  table.add(kRelay, config.relay).add(kHost, config.signal, "Signal.");
  table.add(kFlow, config.device_flow, "DeviceAuthorizationFlow.");
  table.add(kFlow, config.pkce_flow, "PKCEAuthorizationFlow.");
  table.add(kIdp, config.embedded_idp, "EmbeddedIdP.");
  add_own_idp_rows(table, config.embedded_idp, {});
  table.describe("Stuns[]", kHost).describe("TURNConfig.Turns[]", kHost);
  for (const auto& [key, help] : kAccepted) table.describe_key(key, {}, help);
}

void add_own_idp_rows(config::Table& table, EmbeddedIdpConfig& config, const OwnIdpKeys& keys) {
  constexpr std::int64_t kSecond = 1'000;
  constexpr std::int64_t kMinute = 60 * kSecond;
  constexpr std::int64_t kDay = 24 * 60 * kMinute;
  const Option<EmbeddedIdpConfig> rows[] = {
      {.env = "NB_IDP_TOKEN_LIFETIME",
       .key = keys.token,
       .member = &EmbeddedIdpConfig::token_lifetime,
       .min = kMinute,
       .max = 7 * kDay,
       .help = "life of ID and access tokens; below the idle time of sessions, dashboards get new "
               "ones without a login"},
      {.env = "NB_IDP_AUTH_REQUEST_LIFETIME",
       .key = keys.request,
       .member = &EmbeddedIdpConfig::auth_request_lifetime,
       .min = kMinute,
       .max = kDay,
       .help = "time that a login may take"},
      {.env = "NB_IDP_AUTH_CODE_LIFETIME",
       .key = keys.code,
       .member = &EmbeddedIdpConfig::auth_code_lifetime,
       .min = 10 * kSecond,
       .max = 10 * kMinute,
       .help = "time from a login to its tokens"},
      {.env = "NB_IDP_DEVICE_CODE_LIFETIME",
       .key = keys.device,
       .member = &EmbeddedIdpConfig::device_code_lifetime,
       .min = kMinute,
       .max = 60 * kMinute,
       .help = "time in which a device code is to be confirmed"},
      {.env = "NB_IDP_REFRESH_TOKEN_IDLE_TIMEOUT",
       .key = keys.refresh_idle,
       .member = &EmbeddedIdpConfig::refresh_idle_timeout,
       .min = kMinute,
       .max = 366 * kDay,
       .help = "time after which an unused refresh token is refused"},
      {.env = "NB_IDP_REFRESH_TOKEN_MAX_LIFETIME",
       .key = keys.refresh_max,
       .member = &EmbeddedIdpConfig::refresh_max_lifetime,
       .min = kMinute,
       .max = 3'660 * kDay,
       .help = "time after which nothing is renewed without a login"},
      {.env = "NB_IDP_SIGNING_KEY_LIFETIME",
       .key = keys.signing_key,
       .member = &EmbeddedIdpConfig::signing_key_lifetime,
       .min = kDay,
       .max = 3'660 * kDay,
       .help = "time after which another key signs"},
      {.env = "NB_IDP_CONNECTOR_OWNER_ALLOWED",
       .key = keys.connector_owner,
       .member = &EmbeddedIdpConfig::connector_owner_allowed,
       .help = "the first login of all may be one through another provider, and then owns "
               "everything"},
  };
  table.add(rows, config);
}

Result<> read_sync_versions(const Node& file, std::string_view key, MgmtConfig& config) {
  const Node* const map = file.find_path(key);
  if (map == nullptr || map->null()) return {};
  if (!map->is_map()) return fail(Code::kInvalidArgument, "{}: must be a map", key);
  for (std::size_t i = 0; i < map->size(); ++i) {
    const std::string& text = map->at(i).text();
    if (text != "0" && text != "1") {
      return fail(Code::kInvalidArgument, "{}.{}: must be 0 or 1", key, map->key(i));
    }
    config.sync_message_version_per_account.emplace_back(map->key(i), text == "1" ? 1 : 0);
  }
  return {};
}
Result<> read_mgmt_lists(const Node& file, MgmtConfig& config) {
  NB_TRY(config::read_list(file.find("Stuns"), kHost, config.stuns, "Stuns"));
  NB_TRY(config::read_list(file.find_path("TURNConfig.Turns"), kHost, config.turn.turns,
                           "TURNConfig.Turns"));
  return read_sync_versions(file, "PerAccountHighestSupportedSyncMessageVersion", config);
}

}  // namespace nb::cmd
