#include "management/auth/proxy_sign_in.h"

#include "base/error_kinds.h"
#include "base/log_keys.h"
#include "base/strict_json.h"
#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/jose.h"
#include "crypto/session_token.h"

#include <boost/json/value.hpp>

#include <utility>

namespace nb::management::auth {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr auto kDiscoveryLife = 5min;
constexpr std::size_t kCodeMax = 4'096;
constexpr const char* kScopes = "openid profile email";

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string without_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

/// Adds to the query of a URL whose fragment, if any, is dropped.
std::string with_query(std::string url,
                       const std::vector<std::pair<std::string, std::string>>& fields) {
  url.erase(std::min(url.find('#'), url.size()));
  const char separator = url.find('?') == std::string::npos ? '?' : '&';
  return url + separator + net::form_encode(fields);
}

/// Sessions travel over TLS only, however the visitor came.
std::string as_https(const std::string& url) {
  return "https" + url.substr(url.find("://"));
}

std::string why_denied(const Error& error) {
  if (error.text == "pending_approval")
    return "Your account is pending approval by an administrator";
  if (error.text == "user_blocked") return "Your account is blocked";
  return "Service configuration error";
}

}  // namespace

Result<ProviderEndpoints> read_discovery(std::string_view text, std::string_view issuer) {
  const auto parsed = parse_strict_json(text);
  if (!parsed || !parsed->is_object())
    return fail(Code::kInvalidArgument, "the discovery document is no JSON object");
  const json::object& document = parsed->get_object();
  if (without_slash(text_of(document, "issuer")) != without_slash(std::string(issuer)))
    return fail(Code::kInvalidArgument, "the discovery document is another issuer's");
  ProviderEndpoints out{text_of(document, "authorization_endpoint"),
                        text_of(document, "token_endpoint")};
  for (const std::string* const url : {&out.authorization, &out.token}) {
    const auto known = parse_url(*url);
    if (!known || (known->scheme != "https" && known->scheme != "http") || known->host.empty())
      return fail(Code::kInvalidArgument, "the discovery document lacks an endpoint");
  }
  return out;
}

Result<std::string> read_id_token(std::string_view text) {
  const auto parsed = parse_strict_json(text);
  if (!parsed || !parsed->is_object())
    return fail(Code::kInvalidArgument, "the token endpoint's answer is no JSON object");
  std::string token = text_of(parsed->get_object(), "id_token");
  if (token.empty()) return fail(Code::kInvalidArgument, "the answer has no ID token");
  return token;
}

Task<ProviderEndpoints> ProxySignIn::endpoints(Instant deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (found_ && found_->until > ports_.clock.now()) co_return found_->endpoints;
  }
  const auto rules = rules_.known();
  if (!rules)
    co_return fail(Code::kFailedPrecondition, "create OIDC provider: {}", rules.error().text);
  net::HttpClientRequest request;
  request.url = without_slash((*rules)->issuer) + "/.well-known/openid-configuration";
  request.timeout = std::chrono::ceil<std::chrono::milliseconds>(deadline - ports_.clock.now());
  const auto answer = co_await ports_.client->send(std::move(request));
  if (!answer)
    co_return fail(Code::kFailedPrecondition, "create OIDC provider: {}", answer.error().text);
  if (answer->status != 200)
    co_return fail(Code::kFailedPrecondition, "create OIDC provider: discovery answers {}",
                   answer->status);
  auto read = read_discovery(answer->body, (*rules)->issuer);
  if (!read)
    co_return fail(Code::kFailedPrecondition, "create OIDC provider: {}", read.error().text);
  const std::lock_guard lock(mutex_);
  found_ = std::make_shared<const Found>(Found{*read, ports_.clock.now() + kDiscoveryLife});
  co_return std::move(*read);
}

Task<std::string> ProxySignIn::begin(Instant deadline, std::string url) {
  NB_CO_LET(const ProviderEndpoints known, co_await endpoints(deadline));
  const std::string state = ports_.seals.state(url, ports_.clock.wall());
  NB_CO_LET(const std::string verifier, ports_.seals.verifier(state));
  const crypto::Digest32 sum = crypto::sha256(verifier);
  const std::vector<std::pair<std::string, std::string>> fields{
      {"client_id", options_.client_id},
      {"code_challenge", crypto::to_base64(sum, crypto::Base64::kUrlRaw)},
      {"code_challenge_method", "S256"},
      {"redirect_uri", options_.callback_url},
      {"response_type", "code"},
      {"scope", kScopes},
      {"state", state}};
  co_return with_query(known.authorization, fields);
}

Task<std::string> ProxySignIn::exchange(Instant deadline, std::string code, std::string verifier) {
  NB_CO_LET(const ProviderEndpoints known, co_await endpoints(deadline));
  const std::vector<std::pair<std::string, std::string>> fields{
      {"grant_type", "authorization_code"},
      {"client_id", options_.client_id},
      {"code", std::move(code)},
      {"redirect_uri", options_.callback_url},
      {"code_verifier", std::move(verifier)}};
  net::HttpClientRequest request;
  request.method = "POST";
  request.url = known.token;
  request.headers = {{"content-type", "application/x-www-form-urlencoded"},
                     {"accept", "application/json"}};
  request.body = net::form_encode(fields);
  request.timeout = std::chrono::ceil<std::chrono::milliseconds>(deadline - ports_.clock.now());
  const auto answer = co_await ports_.client->send(std::move(request));
  if (!answer) co_return answer.error();
  if (answer->status != 200)
    co_return fail(Code::kUnavailable, "the token endpoint answers {}", answer->status);
  co_return std::string(answer->body);
}

Task<UserId> ProxySignIn::verified(Instant deadline, std::string id_token) {
  NB_CO_LET(crypto::Jws jws, crypto::Jws::parse(id_token));
  NB_CO_LET(const crypto::PublicJwk key, co_await ports_.keys.find(deadline, jws));
  NB_CO_TRY(crypto::verify(jws, key));
  NB_CO_LET(const std::shared_ptr<const ClaimRules> rules, rules_.known());
  NB_CO_LET(const Claims claims, read_claims(std::move(jws.payload), *rules, ports_.clock.wall()));
  co_return claims.user;
}

Task<std::string> ProxySignIn::session(Instant deadline, std::string domain, UserId user) {
  NB_CO_LET(const SignedService known, co_await ports_.store.service_of_domain(deadline, domain));
  NB_CO_LET(const ProxyVisitor visitor, co_await ports_.store.visitor(deadline, std::move(user)));
  // The proxy believes the service's key alone: nobody of another account gets its signature.
  if (visitor.user.account_id != known.service.account_id)
    co_return fail(Code::kPermissionDenied, "account_mismatch");
  if (visitor.user.pending_approval) co_return fail(Code::kPermissionDenied, "pending_approval");
  if (visitor.user.blocked) co_return fail(Code::kPermissionDenied, "user_blocked");
  crypto::SessionClaims claims{.user = visitor.user.id.value(),
                               .domain = known.service.domain,
                               .method = "oidc",
                               .email = visitor.user.email};
  for (const NamedGroup& group : visitor.groups) {
    claims.groups.push_back(group.id.value());
    claims.group_names.push_back(group.name);
  }
  co_return crypto::sign_session(known.private_key, claims, ports_.clock.wall());
}

boost::asio::awaitable<ProxySignIn::Answer> ProxySignIn::finish(Instant deadline, std::string state,
                                                                std::string code) {
  const auto failed = [&](int status, const char* text, const Error& why) {
    ports_.log.info("a visitor's sign-in failed", {log::f(log::kError, why.text)});
    return Answer{.status = status, .text = text};
  };
  const auto opened = ports_.seals.open_state(state, ports_.clock.wall());
  if (!opened) co_return failed(400, "Invalid state parameter", opened.error());
  const auto verifier = ports_.seals.verifier(state);
  if (!verifier) co_return failed(400, "Invalid state parameter", verifier.error());
  std::string hash = opened->once.hash;
  const auto taken = co_await ports_.store.take_once(deadline, std::move(hash), opened->once.ends);
  if (!taken && taken.error().code == Code::kUnauthenticated)
    co_return failed(400, "Invalid state parameter", taken.error());
  if (!taken) co_return failed(503, "Please try again later", taken.error());
  const auto url = parse_url(opened->url);
  if (!url) co_return failed(400, "Invalid redirect URL", url.error());
  if (code.empty() || code.size() > kCodeMax)
    co_return failed(500, "Failed to exchange code for token",
                     fail(Code::kInvalidArgument, "the provider gave no code"));
  std::string proof = *verifier;
  const auto answer = co_await exchange(deadline, std::move(code), std::move(proof));
  if (!answer) co_return failed(500, "Failed to exchange code for token", answer.error());
  auto token = read_id_token(*answer);
  if (!token) co_return failed(401, "Failed to validate token", token.error());
  auto user = co_await verified(deadline, std::move(*token));
  if (!user) co_return failed(401, "Failed to validate token", user.error());
  std::string domain = lower(url->host);
  const auto made = co_await session(deadline, std::move(domain), std::move(*user));
  const std::string back = as_https(opened->url);
  if (made) co_return Answer{.location = with_query(back, {{"session_token", *made}})};
  ports_.log.info("a visitor got no session", {log::f(log::kError, made.error().text)});
  co_return Answer{.location = with_query(back, {{"error", "access_denied"},
                                                 {"error_description", why_denied(made.error())}})};
}

}  // namespace nb::management::auth
