#include "base/strict_json.h"
#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "idp/core.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace nb::idp {
namespace {
namespace json = boost::json;

// Official agents check "iat" without leeway (contract §2.1).
constexpr std::int64_t kIssuedBack = 5;

void add_identity(json::object& claims, const Identity& identity, std::string_view scopes) {
  if (has_scope(scopes, "email") && !identity.email.empty()) {
    claims["email"] = identity.email;
    claims["email_verified"] = identity.email_verified;
  }
  if (has_scope(scopes, "profile")) {
    if (!identity.name.empty()) claims["name"] = identity.name;
    if (!identity.preferred_username.empty())
      claims["preferred_username"] = identity.preferred_username;
  }
  if (has_scope(scopes, "groups") && !identity.groups.empty())
    claims["groups"] = json::array(identity.groups.begin(), identity.groups.end());
}

std::string text_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t seconds_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

}  // namespace

bool has_scope(std::string_view scopes, std::string_view scope) {
  for (const std::string& item : split(scopes, ' '))
    if (item == scope) return true;
  return false;
}

std::string userinfo_json(const Identity& identity, std::string_view sub, std::string_view scopes) {
  json::object claims;
  claims["sub"] = sub;
  add_identity(claims, identity, scopes);
  return json::serialize(claims);
}

Task<TokenSet> mint(Core& core, Grant grant, std::string refresh_token) {
  NB_CO_LET(const std::optional<Identity> identity,
            co_await core.store.identity(core.deadline(), grant.subject));
  if (!identity) co_return fail(Code::kNotFound, "user is gone");
  NB_CO_LET(const auto keys, co_await core.keys.keys(core.deadline()));
  const std::int64_t now = wall_millis(core.clock) / 1000;
  const std::int64_t issued = now - kIssuedBack;
  json::object claims;
  claims["iss"] = core.options.issuer;
  claims["sub"] = management::encode_subject(grant.subject).value();
  claims["aud"] = grant.client_id;
  claims["iat"] = issued;
  claims["exp"] = now + core.options.lifetimes.token.count();
  claims["auth_time"] = grant.auth_time / 1000;
  add_identity(claims, *identity, grant.scopes);
  json::object access = claims;
  access["jti"] = crypto::to_base64(core.random.bytes<16>(), crypto::Base64::kUrlRaw);
  access["client_id"] = grant.client_id;
  access["scope"] = grant.scopes;
  TokenSet set;
  set.access_token = keys->signing->sign(json::serialize(access), "at+jwt");
  if (!grant.nonce.empty()) claims["nonce"] = grant.nonce;
  // OpenID Connect Core §3.1.3.6: the left half of the hash.
  const auto digest = crypto::sha256(set.access_token);
  claims["at_hash"] = crypto::to_base64(std::span(digest).first(16), crypto::Base64::kUrlRaw);
  set.id_token = keys->signing->sign(json::serialize(claims), "JWT");
  set.refresh_token = std::move(refresh_token);
  set.expires_in = core.options.lifetimes.token.count();
  core.metrics.tokens_total.Increment();
  co_return set;
}

Task<OwnToken> read_own_token(Core& core, std::string token) {
  NB_CO_LET(const crypto::Jws jws, crypto::Jws::parse(token));
  NB_CO_LET(const auto keys, co_await core.keys.keys(core.deadline()));
  const crypto::JwkSet set = keys->published(wall_millis(core.clock));
  const crypto::PublicJwk* key = set.find(jws);
  if (key == nullptr) co_return fail(Code::kUnauthenticated, "token: unknown key");
  NB_CO_TRY(crypto::verify(jws, *key));
  NB_CO_LET(const json::value value, parse_strict_json(jws.payload));
  const auto* claims = value.if_object();
  if (claims == nullptr || text_at(*claims, "iss") != core.options.issuer)
    co_return fail(Code::kUnauthenticated, "token: not of this issuer");
  OwnToken own;
  own.sub = text_at(*claims, "sub");
  const auto subject = management::decode_subject(own.sub);
  if (!subject) co_return fail(Code::kUnauthenticated, "token: no subject");
  own.subject = *subject;
  own.audience = text_at(*claims, "aud");
  own.scope = text_at(*claims, "scope");
  own.expires_at = seconds_at(*claims, "exp");
  own.issued_at = seconds_at(*claims, "iat");
  // Tokens of the imported provider name no scope: what they carry tells.
  if (own.scope.empty()) {
    own.scope = "openid";
    if (claims->contains("email")) own.scope += " email";
    if (claims->contains("name")) own.scope += " profile";
    if (claims->contains("groups")) own.scope += " groups";
  }
  co_return own;
}

}  // namespace nb::idp
