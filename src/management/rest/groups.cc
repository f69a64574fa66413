#include "management/rest/encode_groups.h"
#include "management/rest/handlers.h"

#include <algorithm>

namespace nb::management::rest {
namespace {

constexpr Need kReads{Module::kGroups, Operation::kRead};

std::vector<Wanted> all_groups() {
  return {{Part::kGroups}, {Part::kPeerNames}};
}

std::vector<Wanted> one_group(const std::string& id) {
  return {{Part::kGroups, only(id)}, {Part::kPeerNames}};
}

Result<Reply> groups_json(const Call& call, const AccountSnapshot& all) {
  const MemberTexts members(all);
  const auto name = call.argument("name");
  if (!name || name->empty())
    return list_reply(all.groups, [&](JsonWriter& json, const Group& group) {
      write_group(json, group, members);
    });
  // Names of groups of other origin may repeat: the one with most members.
  const Group* best = nullptr;
  for (const Group& group : all.groups)
    if (group.name == *name && (best == nullptr || group.peers.size() > best->peers.size()))
      best = &group;
  if (best == nullptr) return unknown("group", *name);
  return list_reply(std::vector<const Group*>{best}, [&](JsonWriter& json, const Group* group) {
    write_group(json, *group, members);
  });
}

Task<Reply> list(const Services& services, Call call) {
  return polled(services, std::move(call), all_groups(), groups_json);
}

Task<Reply> show(const Services& services, const Call& call, GroupId id) {
  auto account = co_await read(services, call, one_group(id.value()));
  if (!account) co_return std::move(account).error();
  const Group* group = (*account)->group(id);
  if (group == nullptr) co_return unknown("group", id.value());
  const MemberTexts members(**account);
  co_return reply_with([&](JsonWriter& json) { write_group(json, *group, members); });
}

Task<Reply> get(const Services& services, Call call) {
  GroupId id(call.params[0]);
  co_return co_await show(services, call, std::move(id));
}

Result<SaveGroup> decode(const Call& call) {
  NB_LET(const JsonObject body, call.json());
  SaveGroup command;
  command.name = body.text("name");
  command.peers = body.ids<PeerId>("peers");
  for (const JsonObject& resource : body.objects("resources"))
    command.resources.push_back({resource.text("id"), resource.text("type")});
  NB_TRY(body.done());
  return command;
}

Task<Reply> save(const Services& services, const Call& call, SaveGroup command) {
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return co_await show(services, call, saved->id);
}

Task<Reply> create(const Services& services, Call call) {
  auto command = decode(call);
  if (!command) co_return std::move(command).error();
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> replace(const Services& services, Call call) {
  // Existence and the group of everybody come before the body (contract/rest-api.md §7.8).
  GroupId id(call.params[0]);
  auto account = co_await read(services, call, one_group(id.value()));
  if (!account) co_return std::move(account).error();
  const Group* group = (*account)->group(id);
  if (group == nullptr) co_return unknown("group", id.value());
  if (group->is_all()) co_return fail(Code::kInvalidArgument, "updating group ALL is not allowed");
  auto command = decode(call);
  if (!command) co_return std::move(command).error();
  command->id = std::move(id);
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> remove(const Services& services, Call call) {
  DeleteGroup command{GroupId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_groups(RouteTable& table, const Services& services) {
  constexpr auto kModule = Module::kGroups;
  table.add("GET", "/api/groups", {kReads}, handled(services, list));
  table.add("POST", "/api/groups", {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("GET", "/api/groups/{groupId}", {kReads}, handled(services, get));
  table.add("PUT", "/api/groups/{groupId}", {kReads, {kModule, Operation::kUpdate}},
            handled(services, replace));
  table.add("DELETE", "/api/groups/{groupId}", {{kModule, Operation::kDelete}},
            handled(services, remove));
}

}  // namespace nb::management::rest
