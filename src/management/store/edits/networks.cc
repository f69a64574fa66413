#include "management/store/edits/networks.h"

#include "base/error_kinds.h"
#include "management/domain/route_draft.h"
#include "management/store/edits/membership.h"
#include "management/store/edits/perform.h"
#include "management/store/idna.h"

#include <algorithm>

namespace nb::management::work {
namespace {

EventMeta router_meta(const NetworkRouter& router, const Network& network) {
  std::vector<std::string> groups;
  for (const GroupId& id : router.peer_groups) groups.push_back(id.value());
  return {{"network_name", network.name},
          {"network_id", network.id.value()},
          {"peer", router.peer.value()},
          {"peer_groups", groups}};
}

EventMeta resource_meta(const NetworkResource& resource, const Network& network) {
  return {{"name", resource.name},
          {"type", resource.type},
          {"network_name", network.name},
          {"network_id", network.id.value()}};
}

/// The network that the path of a request names.
Result<Network> network_of(AccountEdit& edit, const NetworkId& id) {
  auto network = edit.get<Network>(id);
  if (!network && network.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "failed to get network: {}", network.error().text);
  return network;
}

Result<> check_unused(AccountEdit& edit, const NetworkResource& resource) {
  NB_LET(const sql::Rows rows,
         edit.session().query(
             "SELECT service_id FROM targets WHERE account_id = $1 AND target_id = $2 LIMIT 1",
             {edit.account_id().value(), resource.id.value()}));
  if (rows.empty()) return {};
  return fail(Code::kFailedPrecondition, "resource {} is in use by proxy {}", resource.id.value(),
              rows[0].text(0));
}

Result<> delete_router(AccountEdit& edit, const NetworkRouter& router, const Network& network) {
  edit.event(Activity::kNetworkRouterDeleted, router.id.value(), router_meta(router, network));
  return edit.erase<NetworkRouter>(router.id);
}

Result<> delete_resource(AccountEdit& edit, const NetworkResource& resource,
                         const Network& network) {
  NB_TRY(check_unused(edit, resource));
  NB_TRY(place_resource(edit, resource, {}));
  edit.event(Activity::kNetworkResourceDeleted, resource.id.value(),
             resource_meta(resource, network));
  return edit.erase<NetworkResource>(resource.id);
}

Result<> check_router_references(AccountEdit& edit, const NetworkRouter& router) {
  NB_TRY(edit.require_groups(router.peer_groups));
  if (router.peer.empty()) return {};
  NB_LET(const std::vector<PeerId> peers, edit.hold_peers({router.peer}));
  if (peers.empty())
    return fail(Code::kInvalidArgument, "peer with ID {} not found", router.peer.value());
  return {};
}

Result<> check_name_free(AccountEdit& edit, const NetworkResource& resource, bool fresh) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT 1 FROM network_resources WHERE account_id = $1 AND name = $2 "
                              "AND id <> $3 LIMIT 1",
                              {edit.account_id().value(), resource.name, resource.id.value()}));
  if (rows.empty()) return {};
  if (!fresh)
    return fail(Code::kInvalidArgument,
                "failed to update network resource: new resource name already exists");
  return fail(Code::kInvalidArgument,
              "failed to create network resource: resource with name {} already exists",
              resource.name);
}

Result<> check_groups(AccountEdit& edit, const std::vector<GroupId>& groups) {
  NB_LET(const HeldGroups held, edit.hold_groups(groups));
  for (const GroupId& id : groups) {
    const auto it = held.find(id);
    if (it == held.end()) return fail(Code::kNotFound, "group: {} not found", id.value());
  }
  return {};
}

}  // namespace

Result<Network> perform(AccountEdit& edit, const SaveNetwork& command) {
  if (command.name.empty()) return fail(Code::kInvalidArgument, "network name shouldn't be empty");
  Network network;
  network.id = command.id;
  network.name = command.name;
  network.description = command.description;
  NB_LET(const std::optional<Network> stored, edit.identify(network));
  if (edit.is_stored(stored, network)) return network;
  NB_TRY(edit.put(network, !stored));
  edit.event(stored ? Activity::kNetworkUpdated : Activity::kNetworkCreated, network.id.value(),
             {{"name", network.name}});
  return network;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteNetwork& command) {
  NB_LET(const Network network, network_of(edit, command.id));
  NB_LET(const std::vector<NetworkResource> resources, edit.get_all<NetworkResource>());
  NB_LET(const std::vector<NetworkRouter> routers, edit.get_all<NetworkRouter>());
  for (const NetworkResource& resource : resources)
    if (resource.network_id == network.id) NB_TRY(delete_resource(edit, resource, network));
  for (const NetworkRouter& router : routers)
    if (router.network_id == network.id) NB_TRY(delete_router(edit, router, network));
  NB_TRY(edit.erase<Network>(network.id));
  edit.event(Activity::kNetworkDeleted, network.id.value(), {{"name", network.name}});
  return Nothing{};
}

Result<NetworkRouter> perform(AccountEdit& edit, const SaveRouter& command) {
  NB_LET(NetworkRouter router, router_of(command.draft));
  NB_LET(const Network network, network_of(edit, command.network));
  router.id = command.id;
  router.network_id = network.id;
  NB_LET(const std::optional<NetworkRouter> stored, edit.identify(router));
  if (stored && stored->network_id != network.id)
    return fail(kBadRequest, "router {} is not part of the network {}", router.id.value(),
                network.id.value());
  if (!stored) router.enabled = true;  // whatever the request says, as clients know it
  NB_TRY(check_router_references(edit, router));
  if (edit.is_stored(stored, router)) return router;
  NB_TRY(edit.put(router, !stored));
  edit.event(stored ? Activity::kNetworkRouterUpdated : Activity::kNetworkRouterCreated,
             router.id.value(), router_meta(router, network));
  return router;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteRouter& command) {
  NB_LET(const Network network, network_of(edit, command.network));
  NB_LET(const NetworkRouter router, edit.get<NetworkRouter>(command.id));
  if (router.network_id != network.id)
    return fail(kBadRequest, "router {} is not part of the network {}", router.id.value(),
                network.id.value());
  NB_TRY(delete_router(edit, router, network));
  return Nothing{};
}

Result<NetworkResource> perform(AccountEdit& edit, const SaveResource& command) {
  NB_LET(NetworkResource resource, resource_of(command.draft, idna_to_ascii));
  NB_LET(const Network network, network_of(edit, command.network));
  resource.id = command.id;
  resource.network_id = network.id;
  NB_LET(const std::optional<NetworkResource> stored, edit.identify(resource));
  if (stored && stored->network_id != network.id)
    return fail(Code::kNotFound, "network resource: {} not found", resource.id.value());
  if (!stored || stored->name != resource.name || stored->prefix != resource.prefix)
    NB_TRY(check_name_unreserved(resource.name, resource.prefix));
  NB_TRY(check_name_free(edit, resource, !stored));
  NB_TRY(check_groups(edit, command.draft.groups));
  if (!edit.is_stored(stored, resource)) {
    NB_TRY(edit.put(resource, !stored));
    edit.event(stored ? Activity::kNetworkResourceUpdated : Activity::kNetworkResourceCreated,
               resource.id.value(), resource_meta(resource, network));
  }
  NB_TRY(place_resource(edit, resource, command.draft.groups));
  return resource;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteResource& command) {
  NB_LET(const Network network, network_of(edit, command.network));
  NB_LET(const NetworkResource resource, edit.get<NetworkResource>(command.id));
  if (resource.network_id != network.id)
    return fail(Code::kNotFound, "network resource: {} not found", resource.id.value());
  NB_TRY(delete_resource(edit, resource, network));
  return Nothing{};
}

}  // namespace nb::management::work
