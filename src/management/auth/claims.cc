#include "management/auth/claims.h"

#include "base/strict_json.h"

#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace nb::management::auth {
namespace {

namespace json = boost::json;

constexpr std::size_t kPayloadMax = 16 * 1024;

Error refused(std::string_view why) {
  return fail(Code::kUnauthenticated, "{}", why);
}

std::string text_of(const json::object& claims, std::string_view name) {
  const json::value* value = claims.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string().data(), value->get_string().size());
}

/// A NumericDate (RFC 7519 §2) between the years 1970 and 2200.
std::optional<WallTime> time_of(const json::object& claims, std::string_view name) {
  constexpr double kLatest = 7'258'118'400.0;
  const json::value* value = claims.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_number()) return {};
  boost::system::error_code error;
  const double seconds = value->to_number<double>(error);
  if (error || !std::isfinite(seconds) || seconds < 0 || seconds > kLatest) return {};
  return WallTime(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
}

bool present(const json::object& claims, std::string_view name) {
  return claims.if_contains({name.data(), name.size()}) != nullptr;
}

Result<> check_audience(const json::object& claims, const ClaimRules& rules) {
  const json::value* value = claims.if_contains("aud");
  const auto wanted = [&](const json::value& audience) {
    return audience.is_string() &&
           std::any_of(rules.audiences.begin(), rules.audiences.end(), [&](const auto& known) {
             return audience.get_string() == json::string_view(known);
           });
  };
  if (value == nullptr) return refused("audience is missing");
  if (value->is_array()) {
    const json::array& list = value->get_array();
    if (std::any_of(list.begin(), list.end(), wanted)) return {};
  } else if (wanted(*value)) {
    return {};
  }
  return refused("audience is not accepted here");
}

Result<WallTime> check_times(const json::object& claims, const ClaimRules& rules, WallTime now) {
  const auto expires = time_of(claims, "exp");
  if (!expires) return refused(kNoExpiration);
  if (*expires + rules.expiry_leeway <= now) return refused("token is expired");
  for (const std::string_view name : {"nbf", "iat"}) {
    if (!present(claims, name)) continue;
    const auto at = time_of(claims, name);
    if (!at) return refused("time in the token is malformed");
    if (*at > now + rules.not_before_leeway) return refused("token is not valid yet");
  }
  return *expires;
}

/// As Go's url.JoinPath puts audience and name together.
std::string own_claim(const ClaimRules& rules, std::string_view name) {
  std::string out = rules.audiences.empty() ? std::string() : rules.audiences.front();
  while (!out.empty() && out.back() == '/') out.pop_back();
  out += '/';
  return out.append(name);
}

/// The first ten characters and more of RFC 3339; UTC only, which is what our provider sends.
std::optional<WallTime> rfc3339(std::string_view text) {
  int part[6] = {};
  constexpr int kAt[6] = {0, 5, 8, 11, 14, 17};
  constexpr int kLength[6] = {4, 2, 2, 2, 2, 2};
  if (text.size() < 20 || text[10] != 'T' || text.back() != 'Z') return {};
  for (int i = 0; i < 6; ++i) {
    const char* const first = text.data() + kAt[i];
    const auto [end, error] = std::from_chars(first, first + kLength[i], part[i]);
    if (error != std::errc{} || end != first + kLength[i]) return {};
  }
  const std::chrono::year_month_day day{std::chrono::year(part[0]),
                                        std::chrono::month(static_cast<unsigned>(part[1])),
                                        std::chrono::day(static_cast<unsigned>(part[2]))};
  if (!day.ok() || part[0] < 1970 || part[3] > 23 || part[4] > 59 || part[5] > 60) return {};
  return WallTime(std::chrono::sys_days(day)) + std::chrono::hours(part[3]) +
         std::chrono::minutes(part[4]) + std::chrono::seconds(part[5]);
}

Result<json::object> parse(std::string_view payload) {
  auto value = parse_strict_json(payload, {.bytes_max = kPayloadMax, .depth_max = 16});
  if (!value || !value->is_object()) return refused("claims are malformed");
  return std::move(value->get_object());
}

}  // namespace

void LateRules::learn(ClaimRules rules) {
  auto next = std::make_shared<const ClaimRules>(std::move(rules));
  const std::lock_guard lock(mutex_);
  rules_ = std::move(next);
}

Result<std::shared_ptr<const ClaimRules>> LateRules::known() const {
  const std::lock_guard lock(mutex_);
  if (rules_->issuer.empty())
    return fail(Code::kUnavailable, "the identity provider has not been reached yet");
  return rules_;
}

Result<Claims> read_claims(std::string payload, const ClaimRules& rules, WallTime now) {
  NB_LET(const json::object claims, parse(payload));
  // An empty issuer would accept everybody's; the configuration refuses that before.
  if (rules.issuer.empty() || text_of(claims, "iss") != rules.issuer)
    return refused("issuer is not accepted here");
  NB_TRY(check_audience(claims, rules));
  Claims out;
  NB_LET(out.expires_at, check_times(claims, rules, now));
  out.user = UserId(text_of(claims, rules.user_id_claim));
  if (out.user.empty()) {
    const json::value* claim =
        claims.if_contains({rules.user_id_claim.data(), rules.user_id_claim.size()});
    if (claim != nullptr && claim->is_string()) return refused(kNoUserId);
    return refused("user id claim is missing");
  }
  out.email = text_of(claims, "email");
  out.name = text_of(claims, "name");
  out.preferred_username = text_of(claims, "preferred_username");
  out.domain = text_of(claims, own_claim(rules, "wt_account_domain"));
  out.domain_category = text_of(claims, own_claim(rules, "wt_account_domain_category"));
  out.last_login = rfc3339(text_of(claims, own_claim(rules, "nb_last_login")));
  out.issued_at = time_of(claims, "iat");
  out.auth_time = time_of(claims, "auth_time");
  out.payload = std::move(payload);
  return out;
}

std::vector<std::string> text_list(const Claims& claims, std::string_view name) {
  std::vector<std::string> out;
  const auto parsed = parse(claims.payload);
  if (!parsed) return out;
  const json::value* value = parsed->if_contains({name.data(), name.size()});
  if (value == nullptr) return out;
  const auto add = [&](const json::value& item) {
    if (!item.is_string() || item.get_string().empty()) return;
    std::string text(item.get_string().data(), item.get_string().size());
    if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  };
  if (value->is_array())
    for (const json::value& item : value->get_array()) add(item);
  else
    add(*value);
  return out;
}

}  // namespace nb::management::auth
