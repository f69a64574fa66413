#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kUsers;
// contract/rest-api.md §5.1: these need no credentials, so one address gets few tries.
constexpr RateLimit kPublicLimit{.per_second = 10.0 / 60, .burst = 5};

boost::asio::awaitable<bool> within_limit(const Services& services, std::string client) {
  return services.limiter.take("invite:" + client, kPublicLimit);
}

Error too_many() {
  return fail(Code::kResourceExhausted, "rate limit exceeded, please try again later");
}

void write_invite(JsonWriter& json, const UserInvite& invite, WallTime now,
                  std::string_view token = {}) {
  json.object([&] {
    json.field("id", invite.id);
    json.field("email", invite.email);
    json.field("name", invite.name);
    json.field("role", invite.role);
    json.list("auto_groups", invite.auto_groups);
    json.time("expires_at", invite.expires_at);
    json.time("created_at", invite.created_at);
    json.field("expired", invite.expired_at(now));
    json.optional("invite_token", token);
  });
}

Task<Reply> list(const Services& services, Call call) {
  if (const auto possible = services.people.check_invites(); !possible) co_return possible.error();
  auto invites = co_await execute(services, call, ListInvites{});
  if (!invites) co_return std::move(invites).error();
  const WallTime now = services.clock.wall();
  co_return list_reply(*invites, [now](JsonWriter& json, const UserInvite& invite) {
    write_invite(json, invite, now);
  });
}

Task<Reply> create(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  CreateInvite command;
  command.name = body->text("name");
  command.email = body->text("email");
  command.role = body->text("role");
  command.auto_groups = body->ids<GroupId>("auto_groups");
  command.expires_in_seconds = body->integer("expires_in");
  if (const auto done = body->done(); !done) co_return done.error();
  auto made = co_await services.people.invite(call.deadline, call.actor(), std::move(command));
  if (!made) co_return std::move(made).error();
  co_return reply_with([&](JsonWriter& json) {
    write_invite(json, made->invite, services.clock.wall(), made->plain.reveal());
  });
}

Task<Reply> regenerate(const Services& services, Call call) {
  RegenerateInvite command{InviteId(call.params[0])};
  if (!call.body.empty()) {
    const auto body = call.json();
    if (!body) co_return body.error();
    command.expires_in_seconds = body->integer("expires_in");
    if (const auto done = body->done(); !done) co_return done.error();
  }
  auto made =
      co_await services.people.regenerate_invite(call.deadline, call.actor(), std::move(command));
  if (!made) co_return std::move(made).error();
  co_return reply_with([&](JsonWriter& json) {
    json.object([&] {
      json.field("invite_token", made->plain.reveal());
      json.time("invite_expires_at", made->invite.expires_at);
    });
  });
}

Task<Reply> remove(const Services& services, Call call) {
  if (const auto possible = services.people.check_invites(); !possible) co_return possible.error();
  DeleteInvite command{InviteId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

Task<Reply> show(const Services& services, Call call) {
  if (!co_await within_limit(services, call.client_ip)) co_return too_many();
  auto found = co_await services.people.find_invite(call.deadline, call.params[0]);
  if (!found) co_return std::move(found).error();
  co_return reply_with([&](JsonWriter& json) {
    json.object([&] {
      json.field("email", found->invite.email);
      json.field("name", found->invite.name);
      json.time("expires_at", found->invite.expires_at);
      json.field("valid", found->valid);
      json.field("invited_by", found->invited_by);
    });
  });
}

Task<Reply> accept(const Services& services, Call call) {
  if (!co_await within_limit(services, call.client_ip)) co_return too_many();
  const auto body = call.json();
  if (!body) co_return body.error();
  Secret password(body->text("password"));
  if (const auto done = body->done(); !done) co_return done.error();
  auto user =
      co_await services.people.accept_invite(call.deadline, call.params[0], std::move(password));
  if (!user) co_return std::move(user).error();
  co_return reply_with(
      [&](JsonWriter& json) { json.object([&] { json.field("success", true); }); });
}

}  // namespace

void add_invites(RouteTable& table, const Services& services) {
  const std::string all = "/api/users/invites";
  table.add("GET", all, {{kModule, Operation::kRead}}, handled(services, list));
  table.add("POST", all, {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("DELETE", all + "/{inviteId}", {{kModule, Operation::kDelete}},
            handled(services, remove));
  table.add("POST", all + "/{inviteId}/regenerate", {{kModule, Operation::kUpdate}},
            handled(services, regenerate));
  table.add("GET", all + "/{token}", Access::kPublic, handled(services, show));
  table.add("POST", all + "/{token}/accept", Access::kPublic, handled(services, accept));
}

}  // namespace nb::management::rest
