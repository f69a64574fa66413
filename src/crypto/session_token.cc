#include "crypto/session_token.h"

#include "base/strict_json.h"
#include "crypto/encoding.h"
#include "crypto/jose.h"

#include <boost/json.hpp>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <optional>

namespace nb::crypto {
namespace {

namespace json = boost::json;

constexpr std::string_view kIssuer = "netbird-management";
constexpr std::size_t kTokenMax = 16 * 1024;
constexpr std::chrono::seconds kLeeway{60};  // clocks of two instances differ

std::int64_t seconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

json::array texts(const std::vector<std::string>& values) {
  json::array out;
  for (const std::string& value : values) out.emplace_back(value);
  return out;
}

std::string text_of(const json::object& claims, std::string_view name) {
  const json::value* const value = claims.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// Nothing where it is no whole number.
std::optional<std::int64_t> number_of(const json::object& claims, std::string_view name) {
  const json::value* const value = claims.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}

bool names_audience(const json::object& claims, std::string_view domain) {
  const json::value* const audience = claims.if_contains("aud");
  if (audience == nullptr) return false;
  if (audience->is_string()) return std::string_view(audience->get_string()) == domain;
  if (!audience->is_array()) return false;
  return std::ranges::any_of(audience->get_array(), [&](const json::value& one) {
    return one.is_string() && std::string_view(one.get_string()) == domain;
  });
}

}  // namespace

Result<std::string> sign_session(const Secret& private_key, const SessionClaims& claims,
                                 WallTime now) {
  auto key = from_base64(private_key.reveal());
  if (!key || key->size() != crypto_sign_SECRETKEYBYTES)
    return fail(Code::kInternal, "the service's session key cannot be used");
  json::object payload{{"iss", std::string(kIssuer)},
                       {"sub", claims.user},
                       {"aud", json::array{json::value(claims.domain)}},
                       {"exp", seconds(now + kSessionLife)},
                       {"nbf", seconds(now)},
                       {"iat", seconds(now)},
                       {"method", claims.method}};
  if (!claims.email.empty()) payload["email"] = claims.email;
  if (!claims.groups.empty()) payload["groups"] = texts(claims.groups);
  if (!claims.group_names.empty()) payload["group_names"] = texts(claims.group_names);
  std::string token = to_base64(R"({"alg":"EdDSA","typ":"JWT"})", Base64::kUrlRaw) + "." +
                      to_base64(json::serialize(payload), Base64::kUrlRaw);
  std::array<std::uint8_t, crypto_sign_BYTES> signature{};
  crypto_sign_detached(signature.data(), nullptr, as_bytes(token).data(), token.size(),
                       as_bytes(*key).data());
  sodium_memzero(key->data(), key->size());
  return token + "." + to_base64(signature, Base64::kUrlRaw);
}

Result<std::string> session_user(std::string_view token, std::string_view public_key,
                                 std::string_view domain, WallTime now) {
  const auto key = from_base64(public_key);
  if (!key || key->size() != crypto_sign_PUBLICKEYBYTES)
    return fail(Code::kInternal, "the service's session key cannot be used");
  const auto refused = [](std::string_view why) { return fail(Code::kUnauthenticated, "{}", why); };
  if (token.size() > kTokenMax) return refused("the session token is too long");
  const auto jws = Jws::parse(token);
  if (!jws || jws->alg != JwsAlg::kEdDsa || jws->signature.size() != crypto_sign_BYTES)
    return refused("not a session token");
  if (crypto_sign_verify_detached(as_bytes(jws->signature).data(),
                                  as_bytes(jws->signing_input).data(), jws->signing_input.size(),
                                  as_bytes(*key).data()) != 0)
    return refused("the session token has another signature");
  const auto parsed = parse_strict_json(jws->payload);
  if (!parsed || !parsed->is_object()) return refused("not a session token");
  const json::object& claims = parsed->get_object();
  const auto expires = number_of(claims, "exp");
  const auto begins = number_of(claims, "nbf");
  if (!expires || *expires <= seconds(now)) return refused("the session has ended");
  if (begins && *begins > seconds(now + kLeeway)) return refused("the session has not begun");
  if (text_of(claims, "iss") != kIssuer || !names_audience(claims, domain))
    return refused("the session token is not for this domain");
  std::string user = text_of(claims, "sub");
  if (user.empty()) return refused("the session token names nobody");
  return user;
}

}  // namespace nb::crypto
