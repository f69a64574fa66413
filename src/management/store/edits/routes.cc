#include "management/store/edits/routes.h"

#include "management/store/edits/perform.h"
#include "management/store/idna.h"

#include <algorithm>

namespace nb::management::work {
namespace {

EventMeta route_meta(const Route& route) {
  std::vector<std::string> groups;
  for (const GroupId& id : route.peer_groups) groups.push_back(id.value());
  return {{"name", route.net_id},
          {"network_range", route.network.to_string()},
          {"domains", fmt::format("{}", fmt::join(route.domains, ", "))},
          {"peer_id", route.peer.value()},
          {"peer_groups", groups}};
}

/// Peers that serve a destination already, and the groups they serve it by.
struct Served {
  std::set<PeerId> peers;
  std::set<GroupId> groups;
};

Result<Served> already_served(AccountEdit& edit, const Route& route) {
  NB_LET(const std::vector<Route> all, edit.get_all<Route>());
  Served out;
  for (const Route& other : all) {
    if (other.id == route.id || !same_destination(other, route)) continue;
    if (!other.peer.empty()) out.peers.insert(other.peer);
    out.groups.insert(other.peer_groups.begin(), other.peer_groups.end());
  }
  NB_LET(const std::vector<Group> groups,
         edit.get_some<Group>({out.groups.begin(), out.groups.end()}));
  for (const Group& group : groups) out.peers.insert(group.peers.begin(), group.peers.end());
  return out;
}

Error taken(const Route& route, const std::string& who) {
  return fail(Code::kAlreadyExists, "failed to add route with {} - {} already has this route",
              describe_destination(route), who);
}

/// One peer must not serve one destination by two routes: agents could not tell them apart.
Result<> check_not_served(AccountEdit& edit, const Route& route) {
  NB_LET(const Served served, already_served(edit, route));
  if (!route.peer.empty() && served.peers.contains(route.peer))
    return taken(route, fmt::format("peer {}", route.peer.value()));
  NB_LET(const std::vector<Group> groups, edit.get_some<Group>(route.peer_groups));
  for (const Group& group : groups) {
    if (served.groups.contains(group.id)) return taken(route, "peer group " + group.name);
    for (const PeerId& id : group.peers) {
      if (!served.peers.contains(id)) continue;
      NB_LET(const Peer peer, edit.get<Peer>(id));
      return taken(route, fmt::format("peer {} from the group {}", peer.name, group.name));
    }
  }
  return {};
}

Result<> check_references(AccountEdit& edit, const Route& route) {
  // One statement for all lists, so that rows are locked in one order.
  std::vector<GroupId> groups = route.peer_groups;
  groups.insert(groups.end(), route.access_control_groups.begin(),
                route.access_control_groups.end());
  groups.insert(groups.end(), route.groups.begin(), route.groups.end());
  NB_TRY(edit.require_groups(groups));
  if (route.peer.empty()) return {};
  NB_LET(const std::vector<PeerId> peers, edit.hold_peers({route.peer}));
  if (peers.empty())
    return fail(Code::kInvalidArgument, "peer with ID {} not found", route.peer.value());
  return {};
}

}  // namespace

Result<Route> perform(AccountEdit& edit, const SaveRoute& command) {
  NB_LET(Route route, route_of(command.draft, idna_to_ascii));
  route.id = command.id;
  NB_LET(const std::optional<Route> stored, edit.identify(route));
  if (!stored || stored->net_id != route.net_id || stored->network != route.network)
    NB_TRY(check_name_unreserved(route.net_id, route.network));
  NB_TRY(check_references(edit, route));
  NB_TRY(check_not_served(edit, route));
  if (edit.is_stored(stored, route)) return route;
  NB_TRY(edit.put(route, !stored));
  edit.event(stored ? Activity::kRouteUpdated : Activity::kRouteCreated, route.id.value(),
             route_meta(route));
  return route;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteRoute& command) {
  auto route = edit.get<Route>(command.id);
  if (!route && route.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "failed to delete route {}: {}", command.id.value(),
                route.error().text);
  NB_TRY(route);
  NB_TRY(edit.erase<Route>(route->id));
  edit.event(Activity::kRouteDeleted, route->id.value(), route_meta(*route));
  return Nothing{};
}

}  // namespace nb::management::work
