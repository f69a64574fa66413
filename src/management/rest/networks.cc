#include "management/rest/encode_groups.h"
#include "management/rest/handlers.h"

#include <algorithm>
#include <set>

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kNetworks;
constexpr Need kReads{kModule, Operation::kRead};

std::vector<Wanted> everything() {
  return {
      {Part::kNetworks}, {Part::kRouters}, {Part::kResources}, {Part::kGroups}, {Part::kPolicies}};
}
std::vector<Wanted> routers() {
  return {{Part::kRouters}};
}
std::vector<Wanted> resources() {
  return {{Part::kResources}, {Part::kGroups}};
}

// --- networks ---------------------------------------------------------------------------------

bool has_resource(const Group& group, const std::set<std::string>& resources) {
  return std::any_of(group.resources.begin(), group.resources.end(),
                     [&](const Resource& one) { return resources.contains(one.id); });
}

/// Policies with a rule whose destination is one of the resources, or a group of theirs.
std::vector<PolicyId> policies_to(const AccountSnapshot& account,
                                  const std::set<std::string>& resources) {
  std::set<GroupId> groups;
  for (const Group& group : account.groups)
    if (has_resource(group, resources)) groups.insert(group.id);
  std::vector<PolicyId> out;
  for (const Policy& policy : account.policies) {
    const bool reaches =
        std::any_of(policy.rules.begin(), policy.rules.end(), [&](const PolicyRule& rule) {
          return resources.contains(rule.destination_resource.id) ||
                 std::any_of(rule.destinations.begin(), rule.destinations.end(),
                             [&](const GroupId& id) { return groups.contains(id); });
        });
    if (reaches) out.push_back(policy.id);
  }
  return out;
}

void write_network(JsonWriter& json, const Network& network, const AccountSnapshot& account) {
  std::vector<RouterId> own_routers;
  std::size_t routing_peers = 0;
  for (const NetworkRouter& router : account.routers) {
    if (router.network_id != network.id) continue;
    own_routers.push_back(router.id);
    if (!router.peer.empty()) ++routing_peers;
    for (const GroupId& id : router.peer_groups)
      if (const Group* group = account.group(id)) routing_peers += group->peers.size();
  }
  std::vector<ResourceId> own_resources;
  std::set<std::string> resource_ids;
  for (const NetworkResource& resource : account.resources) {
    if (resource.network_id != network.id) continue;
    own_resources.push_back(resource.id);
    resource_ids.insert(resource.id.value());
  }
  json.object([&] {
    json.field("id", network.id);
    json.field("name", network.name);
    json.field("description", network.description);
    json.list("routers", own_routers);
    json.field("routing_peers_count", routing_peers);
    json.list("resources", own_resources);
    json.list("policies", policies_to(account, resource_ids));
  });
}

Task<Reply> list_networks(const Services& services, Call call) {
  return polled(services, std::move(call), everything(),
                [](const Call& /*call*/, const AccountSnapshot& account) -> Result<Reply> {
                  return list_reply(account.networks,
                                    [&](JsonWriter& json, const Network& network) {
                                      write_network(json, network, account);
                                    });
                });
}

Task<Reply> show_network(const Services& services, const Call& call, NetworkId id) {
  auto account = co_await read(services, call, everything());
  if (!account) co_return std::move(account).error();
  const Network* network = (*account)->networks.find(id);
  if (network == nullptr) co_return unknown("network", id.value());
  co_return reply_with([&](JsonWriter& json) { write_network(json, *network, **account); });
}

Task<Reply> get_network(const Services& services, Call call) {
  NetworkId id(call.params[0]);
  co_return co_await show_network(services, call, std::move(id));
}

Task<Reply> save_network(const Services& services, const Call& call, NetworkId id) {
  const auto body = call.json();
  if (!body) co_return body.error();
  SaveNetwork command{std::move(id), body->text("name"), body->text("description")};
  if (const auto done = body->done(); !done) co_return done.error();
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return co_await show_network(services, call, saved->id);
}

Task<Reply> create_network(const Services& services, Call call) {
  co_return co_await save_network(services, call, NetworkId());
}

Task<Reply> replace_network(const Services& services, Call call) {
  NetworkId id(call.params[0]);
  co_return co_await save_network(services, call, std::move(id));
}

Task<Reply> delete_network(const Services& services, Call call) {
  DeleteNetwork command{NetworkId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

// --- routers ----------------------------------------------------------------------------------

void write_router(JsonWriter& json, const NetworkRouter& router) {
  json.object([&] {
    json.field("id", router.id);
    json.field("peer", router.peer);
    // Never an empty list: plans of Terraform break on it.
    if (!router.peer_groups.empty()) json.list("peer_groups", router.peer_groups);
    json.field("metric", router.metric);
    json.field("masquerade", router.masquerade);
    json.field("enabled", router.enabled);
  });
}

/// Of one network, or of the whole account where the path names none.
template <class T>
std::vector<const T*> of_network(const Call& call, const EntityTable<T>& table) {
  std::vector<const T*> out;
  for (const T& one : table)
    if (call.params.empty() || one.network_id.value() == call.params[0]) out.push_back(&one);
  return out;
}

Task<Reply> list_routers(const Services& services, Call call) {
  return polled(services, std::move(call), routers(),
                [](const Call& asked, const AccountSnapshot& account) -> Result<Reply> {
                  return list_reply(of_network(asked, account.routers),
                                    [](JsonWriter& json, const NetworkRouter* router) {
                                      write_router(json, *router);
                                    });
                });
}

Task<Reply> get_router(const Services& services, Call call) {
  auto account = co_await read(services, call, routers());
  if (!account) co_return std::move(account).error();
  const NetworkRouter* router = (*account)->routers.find(RouterId(call.params[1]));
  if (router == nullptr || router->network_id.value() != call.params[0])
    co_return unknown("network router", call.params[1]);
  co_return reply_with([&](JsonWriter& json) { write_router(json, *router); });
}

Result<SaveRouter> decode_router(const Call& call) {
  NB_LET(const JsonObject body, call.json());
  SaveRouter command;
  command.network = NetworkId(call.params[0]);
  command.draft.peer = PeerId(body.text("peer"));
  command.draft.peer_groups = body.ids<GroupId>("peer_groups");
  command.draft.masquerade = body.flag("masquerade");
  command.draft.metric = body.integer("metric");
  command.draft.enabled = body.flag("enabled");
  NB_TRY(body.done());
  return command;
}

Task<Reply> save_router(const Services& services, const Call& call, SaveRouter command) {
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return reply_with([&](JsonWriter& json) { write_router(json, *saved); });
}

Task<Reply> create_router(const Services& services, Call call) {
  auto command = decode_router(call);
  if (!command) co_return std::move(command).error();
  command->draft.enabled = true;  // contract/rest-api.md §7.11: whatever the request says
  co_return co_await save_router(services, call, *std::move(command));
}

Task<Reply> replace_router(const Services& services, Call call) {
  auto command = decode_router(call);
  if (!command) co_return std::move(command).error();
  command->id = RouterId(call.params[1]);
  co_return co_await save_router(services, call, *std::move(command));
}

Task<Reply> delete_router(const Services& services, Call call) {
  DeleteRouter command{NetworkId(call.params[0]), RouterId(call.params[1])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

// --- resources --------------------------------------------------------------------------------

void write_resource(JsonWriter& json, const NetworkResource& resource,
                    const AccountSnapshot& account, const GroupTexts& texts) {
  std::vector<GroupId> groups;
  for (const Group& group : account.groups)
    for (const Resource& one : group.resources)
      if (one.id == resource.id.value()) groups.push_back(group.id);
  json.object([&] {
    json.field("id", resource.id);
    json.field("type", resource.type);
    texts.write(json, "groups", groups);
    json.field("name", resource.name);
    json.field("description", resource.description);
    json.field("address", address_of(resource));
    json.field("enabled", resource.enabled);
  });
}

Task<Reply> list_resources(const Services& services, Call call) {
  return polled(services, std::move(call), resources(),
                [](const Call& asked, const AccountSnapshot& account) -> Result<Reply> {
                  const GroupTexts texts(account);
                  return list_reply(of_network(asked, account.resources),
                                    [&](JsonWriter& json, const NetworkResource* resource) {
                                      write_resource(json, *resource, account, texts);
                                    });
                });
}

Task<Reply> show_resource(const Services& services, const Call& call, ResourceId id) {
  auto account = co_await read(services, call, resources());
  if (!account) co_return std::move(account).error();
  const NetworkResource* resource = (*account)->resources.find(id);
  if (resource == nullptr || resource->network_id.value() != call.params[0])
    co_return unknown("network resource", id.value());
  const GroupTexts texts(**account);
  co_return reply_with(
      [&](JsonWriter& json) { write_resource(json, *resource, **account, texts); });
}

Task<Reply> get_resource(const Services& services, Call call) {
  ResourceId id(call.params[1]);
  co_return co_await show_resource(services, call, std::move(id));
}

Task<Reply> save_resource(const Services& services, const Call& call, ResourceId id) {
  const auto body = call.json();
  if (!body) co_return body.error();
  SaveResource command;
  command.network = NetworkId(call.params[0]);
  command.id = std::move(id);
  command.draft.name = body->text("name");
  command.draft.description = body->text("description");
  command.draft.address = body->text("address");
  command.draft.enabled = body->flag("enabled");
  command.draft.groups = body->ids<GroupId>("groups");
  if (const auto done = body->done(); !done) co_return done.error();
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return co_await show_resource(services, call, saved->id);
}

Task<Reply> create_resource(const Services& services, Call call) {
  co_return co_await save_resource(services, call, ResourceId());
}

Task<Reply> replace_resource(const Services& services, Call call) {
  ResourceId id(call.params[1]);
  co_return co_await save_resource(services, call, std::move(id));
}

Task<Reply> delete_resource(const Services& services, Call call) {
  DeleteResource command{NetworkId(call.params[0]), ResourceId(call.params[1])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_networks(RouteTable& table, const Services& services) {
  const Need creates{kModule, Operation::kCreate};
  const Need updates{kModule, Operation::kUpdate};
  const Need deletes{kModule, Operation::kDelete};
  const std::string network = "/api/networks/{networkId}";
  table.add("GET", "/api/networks", {kReads}, handled(services, list_networks));
  table.add("POST", "/api/networks", {creates}, handled(services, create_network));
  table.add("GET", "/api/networks/routers", {kReads}, handled(services, list_routers));
  table.add("GET", "/api/networks/resources", {kReads}, handled(services, list_resources));
  table.add("GET", network, {kReads}, handled(services, get_network));
  table.add("PUT", network, {updates}, handled(services, replace_network));
  table.add("DELETE", network, {deletes}, handled(services, delete_network));

  table.add("GET", network + "/routers", {kReads}, handled(services, list_routers));
  table.add("POST", network + "/routers", {creates}, handled(services, create_router));
  const std::string router = network + "/routers/{routerId}";
  table.add("GET", router, {kReads}, handled(services, get_router));
  table.add("PUT", router, {updates}, handled(services, replace_router));
  table.add("DELETE", router, {deletes}, handled(services, delete_router));

  table.add("GET", network + "/resources", {kReads}, handled(services, list_resources));
  table.add("POST", network + "/resources", {creates}, handled(services, create_resource));
  const std::string resource = network + "/resources/{resourceId}";
  table.add("GET", resource, {kReads}, handled(services, get_resource));
  table.add("PUT", resource, {updates}, handled(services, replace_resource));
  table.add("DELETE", resource, {deletes}, handled(services, delete_resource));
}

}  // namespace nb::management::rest
