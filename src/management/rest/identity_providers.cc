#include "base/text.h"
#include "management/rest/handlers.h"

#include <algorithm>
#include <array>

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kIdentityProviders;
constexpr std::array<std::string_view, 10> kTypes = {
    "oidc",     "zitadel",   "entra",     "google",   "okta",
    "pocketid", "microsoft", "authentik", "keycloak", "adfs"};

void write_connector(JsonWriter& json, const IdpConnector& connector) {
  json.object([&] {
    json.field("id", connector.id);
    json.field("type", connector.type);
    json.field("name", connector.name);
    json.field("issuer", connector.issuer);
    json.field("client_id", connector.client_id);
  });
}

Reply connector_reply(const IdpConnector& connector) {
  return reply_with([&](JsonWriter& json) { write_connector(json, connector); });
}

Error no_provider() {
  return fail(Code::kInternal, "there is no embedded identity provider");
}

Result<IdpConnectorChange> decode(const Call& call) {
  NB_LET(const JsonObject body, call.json());
  IdpConnectorChange change;
  change.type = body.text("type");
  change.name = body.text("name");
  change.issuer = body.text("issuer");
  change.client_id = body.text("client_id");
  change.client_secret = Secret(body.text("client_secret"));
  NB_TRY(body.done());
  const auto refuse = [](std::string_view why) {
    return fail(Code::kInvalidArgument, "identity provider {}", why);
  };
  if (change.name.empty()) return refuse("name is required");
  if (change.type.empty()) return refuse("type is required");
  if (std::find(kTypes.begin(), kTypes.end(), change.type) == kTypes.end())
    return fail(Code::kInvalidArgument, "unsupported identity provider type");
  const bool issuer_known = change.type == "google" || change.type == "microsoft";
  if (change.issuer.empty() && !issuer_known) return refuse("issuer is required");
  if (!change.issuer.empty()) {
    const auto url = parse_url(change.issuer);
    if (!url || url->host.empty() || (url->scheme != "https" && url->scheme != "http"))
      return refuse("issuer must be a valid URL");
  }
  if (change.client_id.empty()) return refuse("client ID is required");
  return change;
}

Task<Reply> list(const Services& services, Call call) {
  if (services.provider == nullptr) co_return Reply{.body = "[]"};
  auto all = co_await services.provider->connectors(call.deadline);
  if (!all) co_return std::move(all).error();
  co_return list_reply(*all, write_connector);
}

Task<Reply> get(const Services& services, Call call) {
  if (services.provider == nullptr) co_return no_provider();
  auto one = co_await services.provider->connector(call.deadline, call.params[0]);
  if (!one) co_return std::move(one).error();
  co_return connector_reply(*one);
}

Task<Reply> create(const Services& services, Call call) {
  if (services.provider == nullptr) co_return no_provider();
  auto change = decode(call);
  if (!change) co_return std::move(change).error();
  auto made =
      co_await services.people.add_connector(call.deadline, call.actor(), *std::move(change));
  if (!made) co_return std::move(made).error();
  co_return connector_reply(*made);
}

Task<Reply> replace(const Services& services, Call call) {
  if (services.provider == nullptr) co_return no_provider();
  auto change = decode(call);
  if (!change) co_return std::move(change).error();
  auto stored = co_await services.people.change_connector(call.deadline, call.actor(),
                                                          call.params[0], *std::move(change));
  if (!stored) co_return std::move(stored).error();
  co_return connector_reply(*stored);
}

Task<Reply> remove(const Services& services, Call call) {
  if (services.provider == nullptr) co_return no_provider();
  auto done =
      co_await services.people.remove_connector(call.deadline, call.actor(), call.params[0]);
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_identity_providers(RouteTable& table, const Services& services) {
  const std::string one = "/api/identity-providers/{idpId}";
  table.add("GET", "/api/identity-providers", {{kModule, Operation::kRead}},
            handled(services, list));
  table.add("POST", "/api/identity-providers", {{kModule, Operation::kCreate}},
            handled(services, create));
  table.add("GET", one, {{kModule, Operation::kRead}}, handled(services, get));
  table.add("PUT", one, {{kModule, Operation::kUpdate}}, handled(services, replace));
  table.add("DELETE", one, {{kModule, Operation::kDelete}}, handled(services, remove));
}

}  // namespace nb::management::rest
