#include "idp/upstream.h"

#include "base/log_keys.h"
#include "base/strict_json.h"
#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "idp/forms.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>

namespace nb::idp {
namespace {
namespace json = boost::json;
using namespace std::chrono_literals;

constexpr auto kDiscoveryLife = 1h;
constexpr auto kKeysLife = 1h;
constexpr auto kKeysCooldown = 30s;
constexpr auto kLeeway = 60s;
constexpr auto kTimeout = 10s;
constexpr std::size_t kEntriesMax = 256;
constexpr std::string_view kGraphMe =
    "https://graph.microsoft.com/v1.0/me?%24select=id,displayName,userPrincipalName";

std::string text_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool list_has(const json::object& object, std::string_view name, std::string_view item) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_array()) return false;
  return std::any_of(value->get_array().begin(), value->get_array().end(), [&](const auto& entry) {
    return entry.is_string() && entry.get_string() == item;
  });
}

std::optional<std::int64_t> seconds_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  if (value->is_double() && value->get_double() > 0 && value->get_double() < 1e12)
    return static_cast<std::int64_t>(value->get_double());
  return std::nullopt;
}

Error refused(std::string_view what) {
  return fail(Code::kUnauthenticated, "identity provider: {}", what);
}

bool audience_is(const json::object& claims, std::string_view client) {
  const auto* audience = claims.if_contains("aud");
  if (audience == nullptr) return false;
  if (audience->is_string()) return audience->get_string() == client;
  if (!list_has(claims, "aud", client)) return false;
  // Several audiences: the token must have been made for us.
  const std::string party = text_at(claims, "azp");
  return party.empty() ? audience->get_array().size() == 1 : party == client;
}

void fill_profile(const ConnectorConfig& config, const json::object& claims, Identity& identity) {
  const auto pick = [&](std::string_view standard, std::string_view mapped) {
    const bool mapping_first = config.mapping_wins && claims.contains(mapped);
    return mapping_first || !claims.contains(standard) ? mapped : standard;
  };
  identity.email = text_at(claims, pick("email", config.email_claim));
  const auto* verified = claims.if_contains("email_verified");
  identity.email_verified = verified != nullptr && verified->is_bool() && verified->get_bool();
  identity.preferred_username = text_at(claims, "preferred_username");
  identity.name = text_at(claims, "name");
  if (identity.name.empty()) identity.name = identity.preferred_username;
  if (identity.name.empty()) identity.name = identity.email;
  const auto* groups =
      config.groups ? claims.if_contains(pick("groups", config.groups_claim)) : nullptr;
  if (groups == nullptr) return;
  if (groups->is_string()) identity.groups.emplace_back(groups->get_string());
  if (groups->is_array())
    for (const auto& group : groups->get_array())
      if (group.is_string() && identity.groups.size() < 1'000)
        identity.groups.emplace_back(group.get_string());
}

}  // namespace

Result<Discovery> parse_discovery(std::string_view text, std::string_view issuer) {
  NB_LET(const json::value value, parse_strict_json(text));
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::kInvalidArgument, "discovery: not an object");
  Discovery found;
  found.issuer = text_at(*object, "issuer");
  if (found.issuer != issuer)
    return fail(Code::kInvalidArgument, "discovery: the provider calls itself by another issuer");
  found.authorization_endpoint = text_at(*object, "authorization_endpoint");
  found.token_endpoint = text_at(*object, "token_endpoint");
  found.jwks_uri = text_at(*object, "jwks_uri");
  found.userinfo_endpoint = text_at(*object, "userinfo_endpoint");
  found.end_session_endpoint = text_at(*object, "end_session_endpoint");
  found.pkce = list_has(*object, "code_challenge_methods_supported", "S256");
  // OpenID Connect Discovery §3: client_secret_basic if the list is left out.
  found.basic_auth =
      !object->contains("token_endpoint_auth_methods_supported") ||
      list_has(*object, "token_endpoint_auth_methods_supported", "client_secret_basic");
  const auto* iss = object->if_contains("authorization_response_iss_parameter_supported");
  found.sends_iss = iss != nullptr && iss->is_bool() && iss->get_bool();
  if (found.authorization_endpoint.empty() || found.token_endpoint.empty() ||
      found.jwks_uri.empty())
    return fail(Code::kInvalidArgument, "discovery: an endpoint is missing");
  return found;
}

Result<Identity> identity_of(const ConnectorConfig& config, std::string_view claims_json,
                             std::string_view nonce, WallTime now) {
  const auto value = parse_strict_json(claims_json);
  const auto* claims = value ? value->if_object() : nullptr;
  if (claims == nullptr) return refused("ID token without claims");
  if (text_at(*claims, "iss") != config.issuer) return refused("ID token of another issuer");
  if (!audience_is(*claims, config.client_id)) return refused("ID token for somebody else");
  if (!crypto::equal_secrets(text_at(*claims, "nonce"), nonce))
    return refused("ID token of another login");
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const auto expires = seconds_at(*claims, "exp");
  if (!expires || *expires + std::chrono::seconds(kLeeway).count() <= seconds)
    return refused("ID token has expired");
  const auto issued = seconds_at(*claims, "iat");
  if (!issued || *issued - std::chrono::seconds(kLeeway).count() > seconds)
    return refused("ID token of the future");
  Identity identity;
  identity.subject = {text_at(*claims, config.user_id_claim), config.id};
  if (identity.subject.user_id.empty() || !clean(identity.subject.user_id, 255))
    return refused("ID token without user id");
  fill_profile(config, *claims, identity);
  return identity;
}

bool Upstream::allowed(const IpAddress& address) const {
  if (allow_local_) return true;
  // Providers in private networks are common; what must not be reached is this machine and the
  // metadata services of clouds (T23).
  static const auto kRefused = [] {
    std::vector<IpPrefix> prefixes;
    for (const auto* text :
         {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32", "224.0.0.0/3",
          "::/128", "::1/128", "::/96", "64:ff9b::/96", "fe80::/10", "fd00:ec2::/32", "ff00::/8"})
      if (auto prefix = IpPrefix::parse(text)) prefixes.push_back(*prefix);
    return prefixes;
  }();
  return !contains(kRefused, address);
}

Result<> Upstream::check_url(std::string_view text) const {
  NB_LET(const Url url, parse_url(text));
  if (url.scheme == "https" || (allow_local_ && url.scheme == "http")) return {};
  return fail(Code::kInvalidArgument, "provider's address must begin with https://");
}

boost::asio::awaitable<Result<std::string>> Upstream::get(std::string url, std::string bearer) {
  NB_CO_TRY(check_url(url));
  net::HttpClientRequest request;
  request.url = std::move(url);
  request.timeout = kTimeout;
  request.headers.emplace_back("Accept", "application/json");
  if (!bearer.empty()) request.headers.emplace_back("Authorization", "Bearer " + bearer);
  request.allow = [this](const IpAddress& address) { return allowed(address); };
  NB_CO_LET(net::HttpClientResponse response, co_await client_->send(std::move(request)));
  if (response.status != 200)
    co_return fail(Code::kUnavailable, "provider answered with status {}", response.status);
  co_return std::move(response.body);
}

boost::asio::awaitable<Result<Discovery>> Upstream::discover(std::string issuer) {
  std::string base = issuer;
  while (base.ends_with('/')) base.pop_back();
  NB_CO_LET(const std::string text, co_await get(base + "/.well-known/openid-configuration", ""));
  NB_CO_LET(Discovery found, parse_discovery(text, issuer));
  for (const std::string* url :
       {&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri})
    NB_CO_TRY(check_url(*url));
  co_return found;
}

boost::asio::awaitable<Result<Discovery>> Upstream::known(std::string issuer) {
  std::optional<Discovery> old;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(issuer); found != entries_.end()) {
      if (clock_.now() - found->second.fetched < kDiscoveryLife) co_return found->second.discovery;
      old = found->second.discovery;
    }
  }
  auto fresh = co_await discover(issuer);
  if (!fresh) {
    // A provider that answers logins but not discovery just now is still of use.
    if (old) co_return *std::move(old);
    co_return std::move(fresh).error();
  }
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kEntriesMax) entries_.clear();
  Entry& entry = entries_[issuer];
  entry.discovery = *fresh;
  entry.fetched = clock_.now();
  co_return *std::move(fresh);
}

boost::asio::awaitable<Result<crypto::JwkSet>> Upstream::keys_for(std::string issuer,
                                                                  std::string url,
                                                                  crypto::Jws jws) {
  {
    const std::lock_guard lock(mutex_);
    const Entry& entry = entries_[issuer];
    if (entry.keys_fetched) {
      const auto age = clock_.now() - *entry.keys_fetched;
      const bool has = entry.keys.find(jws) != nullptr;
      if ((has && age < kKeysLife) || (!has && age < kKeysCooldown)) co_return entry.keys;
    }
  }
  NB_CO_LET(const std::string text, co_await get(std::move(url), ""));
  NB_CO_LET(crypto::JwkSet keys, crypto::JwkSet::parse(text));
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[issuer];
  entry.keys = keys;
  entry.keys_fetched = clock_.now();
  co_return keys;
}

boost::asio::awaitable<Result<std::string>> Upstream::authorization_url(ConnectorConfig config,
                                                                        UpstreamFlow flow) {
  std::vector<std::pair<std::string, std::string>> query = {
      {"client_id", config.client_id},
      {"redirect_uri", flow.redirect_uri},
      {"response_type", "code"},
      {"state", flow.state},
  };
  std::string scopes;
  for (const std::string& scope : config.scopes) scopes += (scopes.empty() ? "" : " ") + scope;
  query.emplace_back("scope", scopes);
  if (!flow.login_hint.empty()) query.emplace_back("login_hint", flow.login_hint);
  if (!flow.prompt.empty()) query.emplace_back("prompt", flow.prompt);
  const std::string challenge =
      crypto::to_base64(crypto::sha256(flow.verifier), crypto::Base64::kUrlRaw);
  const auto add_pkce = [&] {
    query.emplace_back("code_challenge", challenge);
    query.emplace_back("code_challenge_method", "S256");
  };
  if (config.is_graph()) {
    add_pkce();
    co_return add_query("https://login.microsoftonline.com/common/oauth2/v2.0/authorize", query);
  }
  NB_CO_LET(const Discovery discovery, co_await known(config.issuer));
  query.emplace_back("nonce", flow.nonce);
  if (discovery.pkce) add_pkce();
  co_return add_query(discovery.authorization_endpoint, query);
}

boost::asio::awaitable<Result<std::string>> Upstream::exchange(ConnectorConfig config,
                                                               Discovery discovery,
                                                               UpstreamFlow flow,
                                                               std::string code) {
  std::vector<std::pair<std::string, std::string>> form = {{"grant_type", "authorization_code"},
                                                           {"code", std::move(code)},
                                                           {"redirect_uri", flow.redirect_uri}};
  if (discovery.pkce) form.emplace_back("code_verifier", flow.verifier);
  net::HttpClientRequest request;
  request.method = "POST";
  request.url = discovery.token_endpoint;
  request.timeout = kTimeout;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                     {"Accept", "application/json"}};
  const std::string secret(config.client_secret.reveal());
  if (discovery.basic_auth && !secret.empty()) {
    const std::string pair = net::url_encode(config.client_id) + ":" + net::url_encode(secret);
    request.headers.emplace_back("Authorization", "Basic " + crypto::to_base64(pair));
  } else {
    form.emplace_back("client_id", config.client_id);
    if (!secret.empty()) form.emplace_back("client_secret", secret);
  }
  request.body = net::form_encode(form);
  request.allow = [this](const IpAddress& address) { return allowed(address); };
  NB_CO_TRY(check_url(request.url));
  NB_CO_LET(net::HttpClientResponse response, co_await client_->send(std::move(request)));
  if (response.status != 200) co_return refused("the code was not accepted");
  co_return std::move(response.body);
}

boost::asio::awaitable<Result<UpstreamLogin>> Upstream::finish_graph(ConnectorConfig config,
                                                                     std::string answer) {
  const auto token = parse_strict_json(answer);
  const auto* object = token ? token->if_object() : nullptr;
  const std::string access = object == nullptr ? "" : text_at(*object, "access_token");
  if (access.empty() || !clean(access, 16 * 1024)) co_return refused("no access token");
  NB_CO_LET(const std::string text, co_await get(std::string(kGraphMe), access));
  const auto value = parse_strict_json(text);
  const auto* me = value ? value->if_object() : nullptr;
  if (me == nullptr) co_return refused("Graph answered something else");
  UpstreamLogin login;
  Identity& identity = login.identity;
  identity.subject = {text_at(*me, "id"), config.id};
  if (identity.subject.user_id.empty()) co_return refused("Graph gave no user id");
  identity.email = text_at(*me, "userPrincipalName");  // as Dex has it in existing installations
  identity.email_verified = true;
  identity.preferred_username = text_at(*me, "userPrincipalName");
  identity.name = text_at(*me, "displayName");
  if (identity.name.empty()) identity.name = identity.email;
  co_return login;
}

boost::asio::awaitable<Result<UpstreamLogin>> Upstream::finish(ConnectorConfig config,
                                                               UpstreamFlow flow, std::string code,
                                                               std::string issuer_answered) {
  Discovery discovery;
  if (config.is_graph()) {
    discovery.token_endpoint = "https://login.microsoftonline.com/common/oauth2/v2.0/token";
    discovery.pkce = true;
    discovery.basic_auth = false;
    NB_CO_LET(std::string answer, co_await exchange(config, discovery, flow, std::move(code)));
    co_return co_await finish_graph(std::move(config), std::move(answer));
  }
  NB_CO_LET(discovery, co_await known(config.issuer));
  // RFC 9207: an answer that names another issuer is a mix-up.
  if (!issuer_answered.empty() ? issuer_answered != config.issuer : discovery.sends_iss)
    co_return refused("the answer is of another issuer");
  NB_CO_LET(const std::string answer, co_await exchange(config, discovery, flow, std::move(code)));
  const auto value = parse_strict_json(answer);
  const auto* object = value ? value->if_object() : nullptr;
  if (object == nullptr) co_return refused("the token answer is not JSON");
  UpstreamLogin login;
  login.id_token = text_at(*object, "id_token");
  const auto jws = crypto::Jws::parse(login.id_token);
  if (!jws) co_return refused("no ID token");
  NB_CO_LET(const crypto::JwkSet keys, co_await keys_for(config.issuer, discovery.jwks_uri, *jws));
  const crypto::PublicJwk* key = keys.find(*jws);
  if (key == nullptr) co_return refused("ID token with an unknown key");
  NB_CO_TRY(crypto::verify(*jws, *key));
  NB_CO_LET(login.identity, identity_of(config, jws->payload, flow.nonce, clock_.wall()));
  if (!config.user_info || discovery.userinfo_endpoint.empty()) co_return login;
  const auto info = co_await get(discovery.userinfo_endpoint, text_at(*object, "access_token"));
  const auto parsed = parse_strict_json(info ? std::string_view(*info) : std::string_view());
  const auto* claims = parsed ? parsed->if_object() : nullptr;
  const auto token_claims = parse_strict_json(jws->payload);
  // OpenID Connect Core §5.3.4: userinfo of somebody else must not be used.
  if (claims == nullptr || !token_claims ||
      text_at(*claims, "sub") != text_at(token_claims->get_object(), "sub"))
    co_return refused("userinfo is missing or of somebody else");
  fill_profile(config, *claims, login.identity);
  co_return login;
}

boost::asio::awaitable<Result<std::string>> Upstream::end_session_endpoint(ConnectorConfig config) {
  if (config.is_graph()) co_return std::string();
  NB_CO_LET(Discovery discovery, co_await known(config.issuer));
  co_return std::move(discovery.end_session_endpoint);
}

}  // namespace nb::idp
