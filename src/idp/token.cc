// The token endpoint and its clients (contract/auth-idp.md §4.4).
#include "base/log_keys.h"
#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "idp/core.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <array>

namespace nb::idp {
namespace {

constexpr std::array<std::string_view, 8> kParameters = {
    "grant_type",    "code",        "redirect_uri", "code_verifier",
    "refresh_token", "device_code", "client_id",    "scope"};

HttpResponse invalid_grant(std::string_view why) {
  return oauth_error(400, "invalid_grant", why);
}

HttpResponse token_answer(const TokenSet& set) {
  boost::json::object object;
  object["access_token"] = set.access_token;
  object["token_type"] = "bearer";
  object["expires_in"] = set.expires_in;
  object["id_token"] = set.id_token;
  if (!set.refresh_token.empty()) object["refresh_token"] = set.refresh_token;
  if (!set.scope.empty()) object["scope"] = set.scope;
  HttpResponse response = json_answer(200, boost::json::serialize(object));
  allow_any_origin(response);
  return response;
}

// "<id>.<secret>": the id finds the family even if the secret is an old one.
std::string refresh_id(Core& core) {
  return crypto::to_base64(core.random.bytes<16>(), crypto::Base64::kUrlRaw);
}

Answer issue(Core& core, Grant grant) {
  std::string refresh;
  if (has_scope(grant.scopes, "offline_access") && core.refresh_grant) {
    const std::string id = refresh_id(core);
    refresh = id + "." + core.new_token();
    if (grant.family_id.empty()) grant.family_id = id;
    const auto stored =
        co_await core.store.insert_refresh(core.deadline(), id, hash_of(refresh), grant);
    if (!stored) co_return failure_json(core, stored.error());
  }
  const auto set = co_await mint(core, std::move(grant), std::move(refresh));
  if (!set && set.error().code == Code::kNotFound)
    co_return invalid_grant("the user no longer exists");
  if (!set) co_return failure_json(core, set.error());
  co_return token_answer(*set);
}

std::string challenge_of(std::string_view verifier) {
  return crypto::to_base64(crypto::sha256(verifier), crypto::Base64::kUrlRaw);
}

Answer code_grant(Core& core, const Client& client, Fields form) {
  const std::string verifier = form.get("code_verifier");
  if (verifier.size() < 43 || verifier.size() > 128)
    co_return invalid_grant("code_verifier is missing or of the wrong length");
  auto taken = co_await core.store.take_code(core.deadline(), hash_of(form.get("code")), client.id,
                                             form.get("redirect_uri"), challenge_of(verifier));
  if (!taken) co_return failure_json(core, taken.error());
  if (taken->first == CodeState::kReplayed) {
    core.metrics.replays_total.Increment();
    core.log.limited().warn("an authorization code was used twice; its refresh tokens are revoked");
  }
  if (taken->first != CodeState::kGood)
    co_return invalid_grant("the code is not valid, has expired or was already used");
  co_return co_await issue(core, std::move(taken->second));
}

// Only scopes that were granted; "openid" stays (RFC 6749 §6). Nothing: not a subset.
std::optional<std::string> narrowed(std::string_view granted, std::string_view asked) {
  std::string out;
  for (const std::string& scope : split(asked, ' ')) {
    if (!has_scope(granted, scope)) return std::nullopt;
    out += (out.empty() ? "" : " ") + scope;
  }
  if (!has_scope(out, "openid")) out += " openid";
  return out;
}

Answer refresh_grant(Core& core, const Client& client, Fields form) {
  const std::string old = form.get("refresh_token");
  const std::string id = old.substr(0, old.find('.'));
  if (id.size() != 22 || old.size() != 22 + 1 + 43 || !clean(old))
    co_return invalid_grant("the refresh token is not valid");
  const auto asked = form.find("scope");
  const bool narrows = asked && !asked->empty();
  if (narrows) {
    // Before the token is spent: what it may not have costs the client nothing. Of a token that is
    // not known the rotation tells more.
    const auto granted =
        co_await core.store.refresh_scopes(core.deadline(), id, hash_of(old), client.id);
    if (!granted) co_return failure_json(core, granted.error());
    if (*granted && !narrowed(**granted, *asked))
      co_return oauth_error(400, "invalid_scope", "scope was not granted");
  }
  const std::string fresh = id + "." + core.new_token();
  auto rotated = co_await core.store.rotate_refresh(core.deadline(), id, hash_of(old),
                                                    hash_of(fresh), client.id);
  if (!rotated) co_return failure_json(core, rotated.error());
  if (rotated->state == CodeState::kReplayed) {
    core.metrics.replays_total.Increment();
    core.log.limited().warn("a refresh token was used again; its family is revoked");
  }
  if (rotated->state != CodeState::kGood)
    co_return invalid_grant("the refresh token is not valid, has expired or was revoked");
  Grant grant = std::move(rotated->grant);
  const auto scopes = narrowed(grant.scopes, narrows ? *asked : grant.scopes);
  if (!scopes) co_return oauth_error(400, "invalid_scope", "scope was not granted");
  const bool is_narrow = narrows && *asked != grant.scopes;
  grant.scopes = *scopes;
  auto set = co_await mint(core, std::move(grant), fresh);
  if (!set && set.error().code == Code::kNotFound)
    co_return invalid_grant("the user no longer exists");
  if (!set) co_return failure_json(core, set.error());
  if (is_narrow) set->scope = *scopes;
  co_return token_answer(*set);
}

Answer device_grant(Core& core, const Client& client, Fields form) {
  const auto polled =
      co_await core.store.poll_device(core.deadline(), hash_of(form.get("device_code")), client.id);
  if (!polled) co_return failure_json(core, polled.error());
  switch (polled->state) {
    case PollState::kUnknown:
      co_return invalid_grant("the device code is not valid");
    case PollState::kPending:
      co_return oauth_error(400, "authorization_pending", "the user has not answered yet");
    case PollState::kTooFast:
      co_return oauth_error(400, "slow_down", "polled more often than the interval allows");
    case PollState::kDenied:
      co_return oauth_error(400, "access_denied", "the user denied access");
    case PollState::kExpired:
      co_return oauth_error(400, "expired_token", "the device code has expired");
    case PollState::kRedeemed:
      break;
  }
  Grant grant = polled->grant;
  grant.family_id.clear();  // a family of its own: the column holds the device code's hash
  co_return co_await issue(core, std::move(grant));
}

}  // namespace

ClientCheck authenticate_client(const Core& core, const HttpRequest& request, const Fields& form) {
  ClientCheck check;
  const auto refuse = [&](bool basic) {
    check.refusal =
        oauth_error(basic ? 401 : 400, "invalid_client", "client authentication failed");
    if (basic) check.refusal.headers.emplace_back("WWW-Authenticate", "Basic realm=\"netbird\"");
  };
  const auto basic = basic_credentials(request.header("authorization"));
  const auto in_form = form.find("client_id");
  std::string id = in_form.value_or("");
  if (!basic) {
    refuse(true);
    return check;
  }
  if (*basic) {
    // Both at once only if they say the same.
    if (in_form && !in_form->empty() && *in_form != (*basic)->id) {
      refuse(true);
      return check;
    }
    id = (*basic)->id;
  }
  // Public clients: there is no secret, so one that is sent is wrong.
  const bool secret = (*basic && !(*basic)->secret.empty()) || !form.get("client_secret").empty();
  check.client = secret ? nullptr : core.client(id);
  if (check.client == nullptr) refuse(basic->has_value());
  // Official clients probe with Basic first and repeat with the body at 401 (contract §4.4).
  if (check.client == nullptr && id.empty()) check.refusal.status = 401;
  return check;
}

Answer token_endpoint(Core& core, HttpRequest request) {
  auto form = form_of(request);
  if (!form) co_return oauth_error(400, "invalid_request", "the body is not a form");
  if (form->repeated(kParameters))
    co_return oauth_error(400, "invalid_request", "a parameter is given twice");
  const ClientCheck check = authenticate_client(core, request, *form);
  if (check.client == nullptr) co_return check.refusal;
  const std::string grant = form->get("grant_type");
  if (grant == "authorization_code") co_return co_await code_grant(core, *check.client, *form);
  if (grant == "refresh_token" && core.refresh_grant)
    co_return co_await refresh_grant(core, *check.client, *form);
  if (grant == kDeviceGrant && core.device_flow)
    co_return co_await device_grant(core, *check.client, *form);
  if (grant.empty()) co_return oauth_error(400, "invalid_request", "grant_type is missing");
  co_return oauth_error(400, "unsupported_grant_type", "this grant type is not supported");
}

Answer revoke(Core& core, HttpRequest request) {
  const auto form = form_of(request);
  if (!form) co_return oauth_error(400, "invalid_request", "the body is not a form");
  const ClientCheck check = authenticate_client(core, request, *form);
  if (check.client == nullptr) co_return check.refusal;
  const std::string token = form->get("token");
  const std::string id = token.substr(0, token.find('.'));
  // RFC 7009 §2.2: unknown tokens, and access tokens, which cannot be revoked, are fine too.
  if (id.size() == 22 && clean(token)) {
    const auto done =
        co_await core.store.revoke_refresh(core.deadline(), id, hash_of(token), check.client->id);
    if (!done) co_return failure_json(core, done.error());
  }
  HttpResponse response = json_answer(200, "{}");
  allow_any_origin(response);
  co_return response;
}

Answer userinfo(Core& core, HttpRequest request) {
  const auto refuse = [] {
    HttpResponse response = oauth_error(401, "invalid_token", "the access token is not valid");
    response.headers.emplace_back("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    response.headers.emplace_back("Access-Control-Expose-Headers", "WWW-Authenticate");
    return response;
  };
  const std::string token(bearer_token(request.header("authorization")));
  if (token.empty()) co_return refuse();
  const auto own = co_await read_own_token(core, token);
  if (!own && own.error().code == Code::kUnavailable) co_return failure_json(core, own.error());
  if (!own || own->expires_at <= wall_millis(core.clock) / 1000 ||
      core.client(own->audience) == nullptr)
    co_return refuse();
  const auto who = co_await core.store.identity(core.deadline(), own->subject);
  if (!who) co_return failure_json(core, who.error());
  const auto gone =
      co_await core.store.tombstoned(core.deadline(), own->sub, own->issued_at * 1000);
  if (!gone) co_return failure_json(core, gone.error());
  if (!*who || *gone) co_return refuse();
  HttpResponse response = json_answer(200, userinfo_json(**who, own->sub, own->scope));
  allow_any_origin(response);
  co_return response;
}

}  // namespace nb::idp
