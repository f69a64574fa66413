#include "cmd/mgmt_idp.h"

#include "base/backoff.h"
#include "base/duration.h"
#include "base/log_keys.h"
#include "cmd/mgmt_settings.h"
#include "crypto/encoding.h"
#include "idp/schema.h"
#include "net/http_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace nb::cmd {
namespace {

using namespace std::chrono_literals;
using config::Node;

// A node of the file as JSON text again; numbers and booleans are kept as written.
std::string json_text(const Node& node) {
  const auto quoted = [](std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      if (static_cast<unsigned char>(c) < 0x20)
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      else
        out += c;
    }
    return out + "\"";
  };
  switch (node.kind()) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kBool:
    case Node::Kind::kNumber:
      return node.text();
    case Node::Kind::kString:
      return quoted(node.text());
    case Node::Kind::kList:
    case Node::Kind::kMap:
      break;
  }
  std::string out;
  for (std::size_t i = 0; i < node.size(); ++i) {
    if (i > 0) out += ',';
    if (node.is_map()) out += quoted(node.key(i)) + ":";
    out += json_text(node.at(i));
  }
  return node.is_map() ? "{" + out + "}" : "[" + out + "]";
}

std::string text_of(const Node& map, std::string_view key) {
  const Node* const found = map.find(key);
  return found == nullptr || !found->scalar() ? std::string() : found->text();
}

Result<std::vector<idp::StaticConnector>> static_connectors(const Node& file) {
  std::vector<idp::StaticConnector> out;
  const Node* const list = file.find_path("EmbeddedIdP.StaticConnectors");
  if (list == nullptr || list->null()) return out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Node& item = list->at(i);
    idp::StaticConnector connector{.id = text_of(item, "id"),
                                   .type = text_of(item, "type"),
                                   .name = text_of(item, "name"),
                                   .config_json = "{}"};
    if (const Node* const details = item.find("config"))
      connector.config_json = json_text(*details);
    if (connector.id.empty() || connector.type.empty())
      return fail(Code::kInvalidArgument,
                  "EmbeddedIdP.StaticConnectors[{}]: id and type are needed", i);
    out.push_back(std::move(connector));
  }
  return out;
}

Result<> read_seconds(std::string_view key, const std::string& text, std::chrono::seconds& out) {
  if (text.empty()) return {};
  const auto time = parse_duration(text);
  if (!time || *time < 1s)
    return fail(Code::kInvalidArgument, "EmbeddedIdP.{}: not a duration of at least 1s", key);
  out = std::chrono::floor<std::chrono::seconds>(*time);
  return {};
}

// Our cookies hold random ids and need no key; a wrong one is still told, as upstream does.
Result<> check_cookie_key(const Secret& key) {
  const auto fits = [](std::size_t size) {
    return size == 0 || size == 16 || size == 24 || size == 32;
  };
  if (fits(key.reveal().size())) return {};
  using crypto::Base64;
  for (const Base64 form : {Base64::kStd, Base64::kStdRaw, Base64::kUrl, Base64::kUrlRaw})
    if (const auto raw = crypto::from_base64(key.reveal(), form);
        raw && !raw->empty() && fits(raw->size()))
      return {};
  return fail(Code::kInvalidArgument,
              "EmbeddedIdP.SessionCookieEncryptionKey: not 16, 24 or 32 bytes, plain or base64");
}

Result<sql::Dsn> idp_dsn(const MgmtConfig& config) {
  const EmbeddedIdpConfig& idp = config.embedded_idp;
  if (idp.storage_type != "postgres") return sql::Dsn::sqlite(idp.storage_file);
  const Secret& dsn = idp.storage_dsn.empty() ? config.auth_store_dsn : idp.storage_dsn;
  if (dsn.empty()) return fail(Code::kInvalidArgument, "NB_AUTH_STORE_DSN is not set");
  return sql::Dsn::postgres(dsn.reveal());
}

}  // namespace

Result<> apply_embedded_idp(MgmtConfig& config) {
  EmbeddedIdpConfig& idp = config.embedded_idp;
  if (!idp.enabled) return {};
  NB_LET(const std::string issuer, idp::normalise_issuer(idp.issuer));
  idp.issuer = issuer;
  const std::string site = issuer.substr(0, issuer.size() - std::string_view("/oauth2").size());
  HttpAuthConfig& http = config.http;
  http.auth_issuer = issuer;
  http.auth_audience = idp::kDashboardClient;
  http.auth_client_id = idp::kDashboardClient;
  http.cli_auth_audience = idp::kCliClient;
  http.extra_auth_audience.clear();
  http.auth_user_id_claim = "sub";
  http.auth_keys_location = issuer + "/keys";
  http.oidc_config_endpoint = issuer + "/.well-known/openid-configuration";
  http.idp_sign_key_refresh_enabled = true;
  http.auth_callback_url = site + "/api/reverse-proxy/callback";
  config.user_delete_from_idp = true;
  FlowConfig flow;
  flow.client_id = idp::kCliClient;
  flow.audience = idp::kCliClient;
  flow.scope = "openid profile email groups";
  flow.token_endpoint = issuer + "/token";
  config.pkce_flow = flow;
  config.pkce_flow.authorization_endpoint = issuer + "/auth";
  config.pkce_flow.redirect_urls = idp.cli_redirect_uris;
  if (config.pkce_flow.redirect_urls.empty())
    config.pkce_flow.redirect_urls = {"http://localhost:53000/", "http://localhost:54000/"};
  config.device_flow = flow;
  const auto& grants = idp.grant_types;
  const bool device =
      grants.empty() || std::any_of(grants.begin(), grants.end(), [](const auto& g) {
        return g == "device_code" || g == idp::kDeviceGrant;
      });
  config.device_flow.provider = device ? "hosted" : "none";
  config.device_flow.device_auth_endpoint = issuer + "/device/code";
  return {};
}

Result<idp::Options> idp_options(const MgmtConfig& config) {
  const EmbeddedIdpConfig& in = config.embedded_idp;
  idp::Options out;
  out.issuer = in.issuer;
  out.dashboard_redirect_uris = in.dashboard_redirect_uris;
  out.cli_redirect_uris = in.cli_redirect_uris;
  out.post_logout_redirect_uris = in.dashboard_post_logout_redirect_uris;
  out.grant_types = in.grant_types;
  out.local_auth_disabled = in.local_auth_disabled;
  out.remember_default = in.mfa_session_remember_me;
  out.lifetimes.token = in.token_lifetime;
  out.lifetimes.request = in.auth_request_lifetime;
  out.lifetimes.code = in.auth_code_lifetime;
  out.lifetimes.device = in.device_code_lifetime;
  out.lifetimes.refresh_idle = in.refresh_idle_timeout;
  out.lifetimes.refresh_max = in.refresh_max_lifetime;
  out.lifetimes.key = in.signing_key_lifetime;
  NB_TRY(read_seconds("MfaSessionMaxLifetime", in.mfa_session_max_lifetime,
                      out.lifetimes.session_max));
  NB_TRY(read_seconds("MfaSessionIdleTimeout", in.mfa_session_idle_timeout,
                      out.lifetimes.session_idle));
  NB_TRY(check_cookie_key(in.session_cookie_encryption_key));
  if (!in.owner_email.empty())
    out.owner = idp::OwnerSeed{
        .email = in.owner_email, .name = in.owner_username, .password = in.owner_hash};
  NB_LET(out.connectors, static_connectors(config.file));
  // Development and tests: a provider on this machine.
  out.allow_local_providers =
      out.issuer.starts_with("http://127.0.0.1") || out.issuer.starts_with("http://localhost");
  return out;
}

Result<sql::MigrationState> idp_schema(const MgmtConfig& config, Instant deadline,
                                       const Logger& log) {
  NB_LET(sql::Dsn dsn, idp_dsn(config));
  const std::string where = dsn.describe();
  NB_LET(const auto database,
         sql::Database::open(looked_at(std::move(dsn)), database_options(config), log));
  auto state = idp::check_schema(*database, deadline);
  if (!state)
    return fail(state.error().code, "identity provider ({}): {}", where, state.error().text);
  return state;
}

Result<std::unique_ptr<MgmtIdp>> MgmtIdp::open(const MgmtConfig& config, MgmtCore& core,
                                               idp::Hooks hooks, std::chrono::milliseconds wait,
                                               prometheus::Registry& registry, Logger log) {
  auto out = std::make_unique<MgmtIdp>();
  NB_LET(const idp::Options options, idp_options(config));
  NB_LET(sql::Dsn dsn, idp_dsn(config));
  const std::string where = dsn.describe();
  NB_LET(out->database_, sql::Database::open(std::move(dsn), database_options(config), log));
  NB_LET(auto http, net::HttpClient::create({.user_agent = "netbird-mgmt"}));
  const Instant give_up = core.clock().now() + wait;
  Backoff backoff({.first = 100ms, .most = 2s}, 1);
  for (;;) {
    auto made = idp::Provider::make({.database = *out->database_,
                                     .data_keys = {config.data_store_encryption_key},
                                     .random = core.random(),
                                     .clock = core.clock(),
                                     .http = http,
                                     .registry = registry,
                                     .hooks = hooks,
                                     .log = log},
                                    options);
    if (made) {
      out->provider_ = *std::move(made);
      return out;
    }
    const bool away =
        made.error().code == Code::kUnavailable || made.error().code == Code::kDeadlineExceeded;
    if (!away || core.clock().now() >= give_up)
      return fail(made.error().code, "identity provider ({}): {}", where, made.error().text);
    log.warn("waiting for the database of the identity provider",
             {log::f(log::kError, made.error().text)});
    std::this_thread::sleep_for(backoff.next());
  }
}

}  // namespace nb::cmd
