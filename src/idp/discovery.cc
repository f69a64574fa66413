#include "idp/core.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace nb::idp {
namespace json = boost::json;

Answer discovery(Core& core, HttpRequest /*request*/) {
  json::object document;
  document["issuer"] = core.options.issuer;
  document["authorization_endpoint"] = core.url("/auth");
  document["token_endpoint"] = core.url("/token");
  document["jwks_uri"] = core.url("/keys");
  document["userinfo_endpoint"] = core.url("/userinfo");
  if (core.device_flow) document["device_authorization_endpoint"] = core.url("/device/code");
  document["end_session_endpoint"] = core.url("/logout");
  document["revocation_endpoint"] = core.url("/revoke");
  document["response_types_supported"] = json::array{"code"};
  json::array grants{"authorization_code"};
  if (core.refresh_grant) grants.emplace_back("refresh_token");
  if (core.device_flow) grants.emplace_back(kDeviceGrant);
  document["grant_types_supported"] = std::move(grants);
  document["subject_types_supported"] = json::array{"public"};
  document["id_token_signing_alg_values_supported"] = json::array{"RS256"};
  document["code_challenge_methods_supported"] = json::array{"S256"};
  document["scopes_supported"] =
      json::array{"openid", "email", "groups", "profile", "offline_access"};
  document["token_endpoint_auth_methods_supported"] =
      json::array{"none", "client_secret_basic", "client_secret_post"};
  document["claims_supported"] = json::array{"iss",     "sub",
                                             "aud",     "iat",
                                             "exp",     "nonce",
                                             "at_hash", "auth_time",
                                             "email",   "email_verified",
                                             "name",    "preferred_username",
                                             "groups"};
  document["prompt_values_supported"] = json::array{"none", "login"};
  document["authorization_response_iss_parameter_supported"] = true;
  HttpResponse response = json_answer(200, json::serialize(document));
  response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "max-age=300"}};
  allow_any_origin(response);
  co_return response;
}

Answer keys_endpoint(Core& core, HttpRequest /*request*/) {
  const auto keys = co_await core.keys.keys(core.deadline());
  if (!keys) co_return failure_json(core, keys.error());
  const Millis now = wall_millis(core.clock);
  HttpResponse response = json_answer(200, (*keys)->published(now).json());
  response.headers = {
      {"Content-Type", "application/json"},
      // Verifiers use it as their clock (contract §4.2).
      {"Cache-Control", fmt::format("max-age={}, must-revalidate",
                                    (*keys)->max_age(now, core.options.lifetimes.jwks).count())}};
  allow_any_origin(response);
  co_return response;
}

}  // namespace nb::idp
