#include "management/rest/handlers.h"
#include "management/store/idna.h"

namespace nb::management::rest {
namespace {

constexpr Need kReads{Module::kRoutes, Operation::kRead};

std::vector<Wanted> routes(std::optional<std::vector<std::string>> ids = {}) {
  return {{Part::kRoutes, std::move(ids)}};
}

std::string_view type_text(const nb::management::Route& route) {
  switch (route.network_type) {
    case kNetworkTypeIpv4:
      return "IPv4";
    case kNetworkTypeIpv6:
      return "IPv6";
    case kNetworkTypeDomain:
      return "Domain";
    default:
      return "Invalid";
  }
}

/// What is empty here must be left out: an empty list breaks the plans of Terraform.
void write_route(JsonWriter& json, const nb::management::Route& route) {
  json.object([&] {
    json.field("id", route.id);
    json.field("description", route.description);
    json.field("network_id", route.net_id);
    json.field("enabled", route.enabled);
    json.field("peer", route.peer);
    if (!route.peer_groups.empty()) json.list("peer_groups", route.peer_groups);
    json.field("network", route.network.to_string());
    json.field("network_type", type_text(route));
    if (!route.domains.empty())
      json.array("domains", route.domains,
                 [&](const std::string& domain) { json.text(idna_to_unicode(domain)); });
    json.field("metric", route.metric);
    json.field("masquerade", route.masquerade);
    json.list("groups", route.groups);
    json.field("keep_route", route.keep_route);
    if (!route.access_control_groups.empty())
      json.list("access_control_groups", route.access_control_groups);
    json.field("skip_auto_apply", route.skip_auto_apply);
  });
}

Task<Reply> list(const Services& services, Call call) {
  return polled(services, std::move(call), routes(),
                [](const Call& /*call*/, const AccountSnapshot& account) -> Result<Reply> {
                  return list_reply(account.routes, write_route);
                });
}

Task<Reply> get(const Services& services, Call call) {
  const RouteId id(call.params[0]);
  auto account = co_await read(services, call, routes(only(id.value())));
  if (!account) co_return std::move(account).error();
  const auto* route = (*account)->routes.find(id);
  if (route == nullptr) co_return unknown("route", id.value());
  co_return reply_with([&](JsonWriter& json) { write_route(json, *route); });
}

Result<SaveRoute> decode(const Call& call) {
  NB_LET(const JsonObject body, call.json());
  SaveRoute command;
  RouteDraft& draft = command.draft;
  body.read("network", draft.network);
  body.read("domains", draft.domains);
  if (body.has("peer")) draft.peer = PeerId(body.text("peer"));
  if (body.has("peer_groups")) draft.peer_groups = body.ids<GroupId>("peer_groups");
  draft.net_id = body.text("network_id");
  draft.description = body.text("description");
  draft.keep_route = body.flag("keep_route");
  draft.masquerade = body.flag("masquerade");
  draft.metric = body.integer("metric");
  draft.enabled = body.flag("enabled");
  draft.groups = body.ids<GroupId>("groups");
  draft.access_control_groups = body.ids<GroupId>("access_control_groups");
  draft.skip_auto_apply = body.flag("skip_auto_apply");
  NB_TRY(body.done());
  return command;
}

Task<Reply> save(const Services& services, const Call& call, SaveRoute command) {
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return reply_with([&](JsonWriter& json) { write_route(json, *saved); });
}

Task<Reply> create(const Services& services, Call call) {
  auto command = decode(call);
  if (!command) co_return std::move(command).error();
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> replace(const Services& services, Call call) {
  auto command = decode(call);
  if (!command) co_return std::move(command).error();
  command->id = RouteId(call.params[0]);
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> remove(const Services& services, Call call) {
  DeleteRoute command{RouteId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_routes(RouteTable& table, const Services& services) {
  constexpr auto kModule = Module::kRoutes;
  table.add("GET", "/api/routes", {kReads}, handled(services, list));
  table.add("POST", "/api/routes", {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("GET", "/api/routes/{routeId}", {kReads}, handled(services, get));
  table.add("PUT", "/api/routes/{routeId}", {kReads, {kModule, Operation::kUpdate}},
            handled(services, replace));
  table.add("DELETE", "/api/routes/{routeId}", {{kModule, Operation::kDelete}},
            handled(services, remove));
}

}  // namespace nb::management::rest
