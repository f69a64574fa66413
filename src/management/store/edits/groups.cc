#include "management/store/edits/groups.h"

#include "base/error_kinds.h"
#include "management/store/edits/group_links.h"
#include "management/store/edits/membership.h"
#include "management/store/edits/perform.h"

#include <algorithm>

namespace nb::management::work {
namespace {

Result<> check_new_name(AccountEdit& edit, const std::string& name) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT 1 FROM groups WHERE account_id = $1 AND name = $2 LIMIT 1",
                              {edit.account_id().value(), name}));
  if (rows.empty()) return {};
  return fail(Code::kAlreadyExists, "group with name {} already exists", name);
}

/// A peer that was deleted while the caller composed the list is no mistake of the caller.
Result<bool> existed_lately(AccountEdit& edit, const PeerId& peer) {
  NB_LET(const sql::Rows rows,
         edit.session().query(
             "SELECT 1 FROM nb_changes WHERE account_id = $1 AND kind = $2 AND "
             "object_id = $3 LIMIT 1",
             {edit.account_id().value(), static_cast<std::int32_t>(Kind::kPeer), peer.value()}));
  return !rows.empty();
}

Result<std::vector<PeerId>> known_peers(AccountEdit& edit, const std::vector<PeerId>& wanted) {
  NB_LET(std::vector<PeerId> held, edit.hold_peers(wanted));
  for (const PeerId& id : wanted) {
    if (std::binary_search(held.begin(), held.end(), id)) continue;
    NB_LET(const bool lately, existed_lately(edit, id));
    if (!lately) return fail(Code::kInvalidArgument, "peer with ID \"{}\" not found", id.value());
  }
  return held;
}

const NetworkResource* find_resource(const std::vector<NetworkResource>& all,
                                     const std::string& id) {
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const NetworkResource& r) { return r.id.value() == id; });
  return it == all.end() ? nullptr : &*it;
}

/// The wanted resources with their true types. One that is gone but was in the group drops out.
Result<std::vector<Resource>> known_resources(const std::vector<Resource>& wanted,
                                              const std::vector<Resource>& stored,
                                              const std::vector<NetworkResource>& all) {
  std::vector<Resource> out;
  for (const Resource& resource : wanted) {
    const auto same = [&](const Resource& other) { return other.id == resource.id; };
    if (std::any_of(out.begin(), out.end(), same)) continue;
    if (const NetworkResource* found = find_resource(all, resource.id))
      out.push_back({resource.id, found->type});
    else if (std::none_of(stored.begin(), stored.end(), same))
      return fail(Code::kInvalidArgument, "resource with ID \"{}\" not found", resource.id);
  }
  return out;
}

void resource_events(AccountEdit& edit, const Group& group, const std::vector<Resource>& before,
                     const std::vector<NetworkResource>& all) {
  const auto in = [](const std::vector<Resource>& list, const Resource& wanted) {
    return std::any_of(list.begin(), list.end(),
                       [&](const Resource& r) { return r.id == wanted.id; });
  };
  const auto report = [&](const Resource& moved, Move move) {
    if (const NetworkResource* resource = find_resource(all, moved.id)) {
      edit.changes().touched(resource->id);
      resource_event(edit, group, *resource, move);
    }
  };
  for (const Resource& r : group.resources)
    if (!in(before, r)) report(r, Move::kIn);
  for (const Resource& r : before)
    if (!in(group.resources, r)) report(r, Move::kOut);
}

Result<Group> stored_group(AccountEdit& edit, const GroupId& id) {
  NB_LET(Group group, edit.lock<Group>(id));
  if (group.is_all()) return fail(Code::kInvalidArgument, "updating group ALL is not allowed");
  return group;
}

Result<Group> new_group(AccountEdit& edit, const std::string& name) {
  NB_TRY(check_new_name(edit, name));
  Group group;
  NB_TRY(edit.identify(group));
  group.name = name;
  group.issued = kIssuedApi;
  return group;
}

/// Row and event of a name; members are the caller's.
Result<> write_group(AccountEdit& edit, const Group& before, const Group& group, bool fresh) {
  const bool renamed = before.name != group.name;
  if (fresh) edit.event(Activity::kGroupCreated, group.id.value(), {{"name", group.name}});
  if (!fresh && renamed)
    edit.event(Activity::kGroupUpdated, group.id.value(),
               {{"old_name", before.name}, {"new_name", group.name}});
  if (fresh || before.resources != group.resources) return edit.put(group, fresh);
  if (!renamed) return {};
  edit.changes().touched(group.id);
  // This column alone: the resources may be damaged, and somebody can still repair them.
  NB_TRY(edit.session().exec("UPDATE groups SET name = $2 WHERE id = $1",
                             {group.id.value(), group.name}));
  return {};
}

}  // namespace

Result<Group> perform(AccountEdit& edit, const SaveGroup& command) {
  const bool fresh = command.id.empty();
  Group before;
  if (!fresh) {
    NB_LET(before, stored_group(edit, command.id));
  }
  if (command.name.empty()) return fail(Code::kInvalidArgument, "group name shouldn't be empty");
  if (!fresh && command.name == kGroupAllName)
    return fail(Code::kInvalidArgument, "group name {} is reserved", kGroupAllName);
  Group group = before;
  if (fresh) {
    NB_LET(group, new_group(edit, command.name));
  }
  group.name = command.name;
  std::vector<NetworkResource> resources;
  if (!command.resources.empty() || !before.resources.empty()) {
    NB_LET(resources, edit.get_all<NetworkResource>());
  }
  NB_LET(group.resources, known_resources(command.resources, before.resources, resources));
  NB_LET(group.peers, known_peers(edit, without_repetitions(command.peers)));
  NB_TRY(write_group(edit, before, group, fresh));
  resource_events(edit, group, before.resources, resources);
  const auto moves = difference(before.peers, group.peers);
  NB_TRY(move_members(edit, group, moves.added, Move::kIn));
  NB_TRY(move_members(edit, group, moves.removed, Move::kOut));
  std::vector<PeerId> moved = moves.added;
  moved.insert(moved.end(), moves.removed.begin(), moves.removed.end());
  NB_TRY(members_changed(edit, {group.id}, moved));
  return group;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteGroup& command) {
  auto found = edit.lock<Group>(command.id);
  if (!found && found.error().code == Code::kNotFound) return fail(kBadRequest, found.error().text);
  NB_TRY(found);
  const Group& group = *found;
  if (group.issued == kIssuedIntegration && !edit.actor().service_user)
    return fail(kBadRequest, "only service users with admin power can delete integration group");
  if (group.is_all()) return fail(kBadRequest, "deleting group ALL is not allowed");
  NB_TRY(check_group_unlinked(edit, group));
  NB_TRY(drop_group_mentions(edit, group.id));
  NB_TRY(edit.session().exec("DELETE FROM group_peers WHERE group_id = $1", {group.id.value()}));
  NB_TRY(edit.erase<Group>(group.id));
  edit.event(Activity::kGroupDeleted, group.id.value(), {{"name", group.name}});
  return Nothing{};
}

Result<Nothing> perform(AccountEdit& edit, const ChangeGroupMember& command) {
  NB_TRY(edit.hold_groups({command.group}));
  NB_LET(const Group group, edit.get<Group>(command.group));
  if (group.is_all()) return fail(Code::kInvalidArgument, "updating group ALL is not allowed");
  NB_LET(const std::vector<PeerId> peers, edit.hold_peers({command.peer}));
  if (peers.empty()) return fail(Code::kNotFound, "peer not found: {}", command.peer.value());
  NB_TRY(move_members(edit, group, peers, command.member ? Move::kIn : Move::kOut));
  NB_TRY(members_changed(edit, {group.id}, peers));
  return Nothing{};
}

Result<Nothing> perform(AccountEdit& edit, const ChangeGroupResource& command) {
  NB_LET(Group group, edit.lock<Group>(command.group));
  NB_LET(const NetworkResource resource,
         edit.get<NetworkResource>(ResourceId(command.resource.id)));
  const std::size_t removed = std::erase_if(
      group.resources, [&](const Resource& r) { return r.id == command.resource.id; });
  if (command.member) group.resources.push_back({resource.id.value(), resource.type});
  if ((removed > 0) == command.member) return Nothing{};
  NB_TRY(edit.put(group, false));
  edit.changes().touched(resource.id);
  resource_event(edit, group, resource, command.member ? Move::kIn : Move::kOut);
  return Nothing{};
}

}  // namespace nb::management::work
