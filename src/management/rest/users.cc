#include "base/text.h"
#include "management/rest/handlers.h"

#include <algorithm>
#include <array>

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kUsers;

std::vector<Wanted> users(std::optional<std::vector<std::string>> ids = {}) {
  return {{Part::kUsers, std::move(ids)}};
}

struct UserFrame {
  const Services& services;
  const Call& call;
  std::string_view password{};
  bool with_provider = true;  // idp_id is shown in listings only
};

void write_permissions(JsonWriter& json, const Call& call) {
  const User& user = call.user();
  const bool plain = user.role == kRoleUser || user.role == kRoleBillingAdmin;
  json.object("permissions", [&] {
    json.field("is_restricted", plain && call.account().settings.regular_users_view_blocked);
    json.object("modules", [&] {
      for (const Module module : all_modules()) {
        if (!role_allows(user.role, module, Operation::kRead)) continue;  // a role without entry
        json.object(module_name(module), [&] {
          const auto field = [&](std::string_view name, Operation operation) {
            json.field(name, role_allows(user.role, module, operation).value_or(false));
          };
          field("create", Operation::kCreate);
          field("read", Operation::kRead);
          field("update", Operation::kUpdate);
          field("delete", Operation::kDelete);
        });
      }
    });
  });
}

template <class More>
void write_user(JsonWriter& json, const User& user, const UserFrame& frame, More more) {
  json.object([&] {
    json.field("id", user.id);
    json.field("email", user.email);
    json.field("name", user.is_service_user ? user.service_user_name : user.name);
    json.field("role", user.role);
    json.field("status", user.blocked ? "blocked" : "active");
    json.list("auto_groups", user.auto_groups);
    json.field("is_current", user.id == frame.call.user().id);
    json.field("is_service_user", user.is_service_user);
    json.field("is_blocked", user.blocked);
    json.field("pending_approval", user.pending_approval);
    json.time("last_login", user.last_login);
    json.field("issued", user.issued.empty() ? std::string(kIssuedApi) : user.issued);
    if (!frame.password.empty()) json.field("password", frame.password);
    if (frame.with_provider && frame.services.provider != nullptr && !user.is_service_user)
      if (const auto subject = decode_subject(user.id.value()))
        json.field("idp_id", subject->connector_id);
    more();
  });
}

void write_user(JsonWriter& json, const User& user, const UserFrame& frame) {
  write_user(json, user, frame, [] {});
}

/// Go's ParseBool.
std::optional<bool> parse_bool(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "FALSE", "false", "False"};
  if (std::find(kTrue.begin(), kTrue.end(), text) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), text) != kFalse.end()) return false;
  return {};
}

Task<Reply> list(const Services& services, Call call) {
  std::optional<bool> service_user;
  if (const auto text = call.argument("service_user"); text && !text->empty()) {
    service_user = parse_bool(*text);
    if (!service_user)
      co_return fail(Code::kInvalidArgument, "invalid service_user query parameter");
  }
  const auto all = sees_all(call, kModule);
  if (!all) co_return all.error();
  std::vector<Wanted> wanted = *all ? users() : users(only(call.user().id.value()));
  auto account = co_await read(services, call, std::move(wanted));
  if (!account) co_return std::move(account).error();
  std::vector<const User*> shown;
  for (const User& user : (*account)->users) {
    if (user.is_service_user && user.non_deletable) continue;  // the system's own
    if (service_user && user.is_service_user != *service_user) continue;
    shown.push_back(&user);
  }
  std::stable_sort(shown.begin(), shown.end(), [](const User* a, const User* b) {
    return a->created_at.value_or(WallTime{}) < b->created_at.value_or(WallTime{});
  });
  const UserFrame frame{services, call};
  co_return list_reply(shown,
                       [&](JsonWriter& json, const User* user) { write_user(json, *user, frame); });
}

Task<Reply> current(const Services& services, Call call) {
  const User& user = call.user();
  if (user.is_service_user) co_return fail(Code::kPermissionDenied, "permission denied");
  if (user.blocked)
    // Both words: dashboards choose their page by them.
    co_return fail(Code::kPermissionDenied, user.pending_approval
                                                ? "user is blocked: user is pending approval"
                                                : "user is blocked");
  const UserFrame frame{services, call};
  co_return reply_with([&](JsonWriter& json) {
    write_user(json, user, frame, [&] { write_permissions(json, call); });
  });
}

Reply user_reply(const Services& services, const Call& call, const User& user,
                 std::string_view password = {}, bool with_provider = true) {
  const UserFrame frame{services, call, password, with_provider};
  return reply_with([&](JsonWriter& json) { write_user(json, user, frame); });
}

Task<Reply> create_service_user(const Services& services, const Call& call,
                                CreateServiceUser command) {
  auto user = co_await execute(services, call, std::move(command));
  if (!user) co_return std::move(user).error();
  co_return user_reply(services, call, *user);
}

Task<Reply> create(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  const std::string role = body->text("role");
  const std::string name = body->text("name");
  auto groups = body->ids<GroupId>("auto_groups");
  const bool service_user = body->flag("is_service_user");
  app::NewPerson person{name, body->text("email"), lower(role), groups};
  if (const auto done = body->done(); !done) co_return done.error();
  const auto known = parse_role(role);
  if (!known) co_return fail(Code::kInvalidArgument, "unknown user role {}", role);
  if (service_user) {
    CreateServiceUser command{name, *known, std::move(groups)};
    co_return co_await create_service_user(services, call, std::move(command));
  }
  auto added = co_await services.people.add(call.deadline, call.actor(), std::move(person));
  if (!added) co_return std::move(added).error();
  co_return user_reply(services, call, added->user, added->password.reveal(), false);
}

Task<Reply> replace(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  UpdateUser command;
  command.id = UserId(call.params[0]);
  const std::string role = body->text("role");
  command.auto_groups = body->ids<GroupId>("auto_groups");
  command.blocked = body->flag("is_blocked");
  if (const auto done = body->done(); !done) co_return done.error();
  // The target first, then the list, then the role (contract/rest-api.md §7.3).
  auto account = co_await read(services, call, users(only(command.id.value())));
  if (!account) co_return std::move(account).error();
  if ((*account)->user(command.id) == nullptr) co_return unknown("user", call.params[0]);
  if (!body->has("auto_groups"))
    co_return fail(Code::kOutOfRange, "auto_groups field can't be absent");
  const auto known = parse_role(role);
  if (!known) co_return fail(Code::kInvalidArgument, "invalid user role");
  command.role = *known;
  auto user = co_await services.people.update(call.deadline, call.actor(), std::move(command));
  if (!user) co_return std::move(user).error();
  co_return user_reply(services, call, *user);
}

Task<Reply> remove(const Services& services, Call call) {
  UserId id(call.params[0]);
  auto done = co_await services.people.remove(call.deadline, call.actor(), std::move(id));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

Task<Reply> invite_again(const Services& services, Call call) {
  auto account = co_await read(services, call, users(only(call.params[0])));
  if (!account) co_return std::move(account).error();
  if ((*account)->user(UserId(call.params[0])) == nullptr)
    co_return unknown("user", call.params[0]);
  // Mails are sent by external providers' managers only, of which there is none.
  co_return fail(Code::kFailedPrecondition, "IdP manager must be enabled to send user invites");
}

Task<Reply> approve(const Services& services, Call call) {
  ApproveUser command{UserId(call.params[0])};
  auto user = co_await execute(services, call, std::move(command));
  if (!user) co_return std::move(user).error();
  co_return user_reply(services, call, *user);
}

Task<Reply> reject(const Services& services, Call call) {
  UserId id(call.params[0]);
  auto done = co_await services.people.reject(call.deadline, call.actor(), std::move(id));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

Task<Reply> change_password(const Services& services, Call call) {
  if (const auto active = check_active(call.user()); !active) co_return active.error();
  const auto body = call.json();
  if (!body) co_return body.error();
  PasswordChange change{.old_password = Secret(body->text("old_password")),
                        .new_password = Secret(body->text("new_password")),
                        .address = call.client_ip};
  if (const auto wrong = body->done(); !wrong) co_return wrong.error();
  UserId id(call.params[0]);
  auto done = co_await services.people.change_password(call.deadline, call.actor(), std::move(id),
                                                       std::move(change));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_users(RouteTable& table, const Services& services) {
  const std::string one = "/api/users/{userId}";
  table.add("GET", "/api/users", Access::kSigned, handled(services, list));
  table.add("GET", "/api/users/current", Access::kSigned, handled(services, current));
  table.add("POST", "/api/users", {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("PUT", one, {{kModule, Operation::kUpdate}}, handled(services, replace));
  table.add("DELETE", one, {{kModule, Operation::kDelete}}, handled(services, remove));
  table.add("POST", one + "/invite", {{kModule, Operation::kCreate}},
            handled(services, invite_again));
  table.add("POST", one + "/approve", {{kModule, Operation::kUpdate}}, handled(services, approve));
  table.add("DELETE", one + "/reject", {{kModule, Operation::kDelete}}, handled(services, reject));
  table.add("PUT", one + "/password", Access::kSigned, handled(services, change_password));
}

}  // namespace nb::management::rest
