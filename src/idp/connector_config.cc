#include "idp/connector_config.h"

#include "base/strict_json.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <array>

namespace nb::idp {
namespace {
namespace json = boost::json;

struct Kind {
  std::string_view type;
  std::string_view issuer;       // fixed
  std::string_view extra_scope;  // besides openid profile email
  bool groups;
  bool user_info;
  std::string_view user_id_claim;
  std::string_view email_claim;
};
constexpr std::array<Kind, 10> kKinds = {{
    {"oidc", "", "", true, false, "sub", "email"},
    {"zitadel", "", "", true, true, "sub", "email"},
    {"entra", "", "", true, false, "oid", "preferred_username"},
    {"google", "https://accounts.google.com", "", false, false, "sub", "email"},
    {"okta", "", "groups", true, false, "sub", "email"},
    {"pocketid", "", "groups", true, false, "sub", "email"},
    {"microsoft", "https://login.microsoftonline.com/common/v2.0", "", false, false, "id", "email"},
    {"authentik", "", "", true, false, "sub", "email"},
    {"keycloak", "", "", true, false, "sub", "email"},
    {"adfs", "", "allatclaims", true, false, "sub", "email"},
}};

const Kind* kind_of(std::string_view type) {
  for (const Kind& kind : kKinds)
    if (kind.type == type) return &kind;
  return nullptr;
}

std::vector<std::string> scopes_of(const Kind& kind) {
  if (kind.type == "microsoft") return {"user.read"};
  std::vector<std::string> scopes = {"openid", "profile", "email"};
  if (!kind.extra_scope.empty()) scopes.emplace_back(kind.extra_scope);
  return scopes;
}

std::string text_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool flag_at(const json::object& object, std::string_view name, bool otherwise) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_bool() ? value->get_bool() : otherwise;
}

}  // namespace

Result<ConnectorConfig> ConnectorConfig::parse(const Connector& connector) {
  const Kind* kind = kind_of(connector.type);
  if (kind == nullptr)
    return fail(Code::kInvalidArgument, "connector: type '{}' is not known", connector.type);
  NB_LET(const json::value value, parse_strict_json(connector.config));
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::kInvalidArgument, "connector: not an object");
  ConnectorConfig config;
  config.id = connector.id;
  config.type = connector.type;
  config.name = connector.name;
  config.issuer = kind->issuer.empty() ? text_at(*object, "issuer") : std::string(kind->issuer);
  config.client_id = text_at(*object, "clientID");
  config.client_secret = Secret(text_at(*object, "clientSecret"));
  if (config.client_id.empty() || config.issuer.empty())
    return fail(Code::kInvalidArgument, "connector: without issuer or client id");
  config.scopes = scopes_of(*kind);
  if (const auto* scopes = object->if_contains("scopes");
      scopes != nullptr && scopes->is_array() && !scopes->get_array().empty()) {
    config.scopes.clear();
    for (const auto& scope : scopes->get_array())
      if (scope.is_string()) config.scopes.emplace_back(scope.get_string());
  }
  config.groups = flag_at(*object, "insecureEnableGroups", kind->groups);
  config.user_info = flag_at(*object, "getUserInfo", kind->user_info);
  config.user_id_claim = kind->user_id_claim;
  config.email_claim = kind->email_claim;
  if (std::string key = text_at(*object, "userIDKey"); !key.empty()) config.user_id_claim = key;
  config.mapping_wins = flag_at(*object, "overrideClaimMapping", false);
  const auto* mapping = object->if_contains("claimMapping");
  if (mapping != nullptr && mapping->is_object()) {
    if (std::string key = text_at(mapping->get_object(), "email"); !key.empty())
      config.email_claim = key;
    if (std::string key = text_at(mapping->get_object(), "groups"); !key.empty())
      config.groups_claim = key;
  }
  return config;
}

bool is_connector_type(std::string_view type) {
  return kind_of(type) != nullptr;
}

std::string_view fixed_issuer(std::string_view type) {
  const Kind* kind = kind_of(type);
  return kind == nullptr ? std::string_view() : kind->issuer;
}

std::string connector_json(std::string_view type, std::string_view issuer,
                           std::string_view client_id, const Secret& client_secret,
                           std::string_view redirect_uri) {
  const Kind* kind = kind_of(type);
  json::object object;
  object["clientID"] = client_id;
  object["clientSecret"] = client_secret.reveal();
  object["redirectURI"] = redirect_uri;
  if (kind != nullptr && kind->issuer.empty()) object["issuer"] = issuer;
  if (kind == nullptr || kind->type == "microsoft") return json::serialize(object);
  const auto scopes = scopes_of(*kind);
  object["scopes"] = json::array(scopes.begin(), scopes.end());
  if (kind->groups) object["insecureEnableGroups"] = true;
  object["insecureSkipEmailVerified"] = true;
  if (kind->user_info) object["getUserInfo"] = true;
  if (kind->user_id_claim != "sub") object["userIDKey"] = kind->user_id_claim;
  if (kind->email_claim != "email")
    object["claimMapping"] = json::object{{"email", kind->email_claim}};
  return json::serialize(object);
}

Secret stored_secret(const Connector& connector) {
  const auto value = parse_strict_json(connector.config);
  const auto* object = value ? value->if_object() : nullptr;
  return Secret(object == nullptr ? std::string() : text_at(*object, "clientSecret"));
}

}  // namespace nb::idp
