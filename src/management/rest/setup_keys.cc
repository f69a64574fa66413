#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kSetupKeys;

std::string_view state_of(const SetupKey& key, WallTime now) {
  if (key.expired_at(now)) return "expired";
  if (key.revoked) return "revoked";
  if (key.overused()) return "overused";
  return "valid";
}

/// `shown`: the plain key after its creation, otherwise what is kept of it.
void write_key(JsonWriter& json, const SetupKey& key, std::string_view shown, WallTime now) {
  const std::string_view state = state_of(key, now);
  json.object([&] {
    json.field("id", key.id);
    json.field("key", shown);
    json.field("name", key.name);
    json.time("expires", key.expires_at);
    json.field("type", key.type);
    json.field("valid", state == "valid");
    json.field("revoked", key.revoked);
    json.field("used_times", key.used_times);
    json.time("last_used", key.last_used);
    json.field("state", state);
    json.list("auto_groups", key.auto_groups);
    json.time("updated_at", key.updated_at);
    json.field("usage_limit", key.usage_limit);
    json.field("ephemeral", key.ephemeral);
    json.field("allow_extra_dns_labels", key.allow_extra_dns_labels);
  });
}

Reply key_reply(const Services& services, const SetupKey& key) {
  return reply_with(
      [&](JsonWriter& json) { write_key(json, key, key.key_secret, services.clock.wall()); });
}

Task<Reply> list(const Services& services, Call call) {
  auto keys = co_await services.store.setup_keys(call.deadline, call.account_id());
  if (!keys) co_return std::move(keys).error();
  const WallTime now = services.clock.wall();
  co_return list_reply(*keys, [now](JsonWriter& json, const SetupKey& key) {
    write_key(json, key, key.key_secret, now);
  });
}

Task<Reply> get(const Services& services, Call call) {
  SetupKeyId id(call.params[0]);
  auto key = co_await services.store.setup_key(call.deadline, call.account_id(), std::move(id));
  if (!key && key.error().code == Code::kNotFound) co_return unknown("setup key", call.params[0]);
  if (!key) co_return std::move(key).error();
  co_return key_reply(services, *key);
}

Task<Reply> create(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  CreateSetupKey command;
  SetupKeyRequest& request = command.request;
  request.name = body->text("name");
  request.type = body->text("type");
  request.expires_in_seconds = body->integer("expires_in");
  request.usage_limit = body->integer("usage_limit");
  request.auto_groups = body->ids<GroupId>("auto_groups");
  request.ephemeral = body->flag("ephemeral");
  request.allow_extra_dns_labels = body->flag("allow_extra_dns_labels");
  if (const auto done = body->done(); !done) co_return done.error();
  auto made = co_await execute(services, call, std::move(command));
  if (!made) co_return std::move(made).error();
  co_return reply_with([&](JsonWriter& json) {
    write_key(json, made->key, made->plain.reveal(), services.clock.wall());
  });
}

Task<Reply> replace(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  UpdateSetupKey command;
  command.id = SetupKeyId(call.params[0]);
  command.auto_groups = body->ids<GroupId>("auto_groups");
  command.revoked = body->flag("revoked");
  if (const auto done = body->done(); !done) co_return done.error();
  if (!body->has("auto_groups"))
    co_return fail(Code::kInvalidArgument, "setup key AutoGroups field is invalid");
  auto updated = co_await execute(services, call, std::move(command));
  if (!updated) co_return std::move(updated).error();
  co_return key_reply(services, *updated);
}

Task<Reply> remove(const Services& services, Call call) {
  DeleteSetupKey command{SetupKeyId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_setup_keys(RouteTable& table, const Services& services) {
  const std::string one = "/api/setup-keys/{keyId}";
  table.add("GET", "/api/setup-keys", {{kModule, Operation::kRead}}, handled(services, list));
  table.add("POST", "/api/setup-keys", {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("GET", one, {{kModule, Operation::kRead}}, handled(services, get));
  table.add("PUT", one, {{kModule, Operation::kUpdate}}, handled(services, replace));
  table.add("DELETE", one, {{kModule, Operation::kDelete}}, handled(services, remove));
}

}  // namespace nb::management::rest
