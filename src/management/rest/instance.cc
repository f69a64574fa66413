#include "management/rest/handlers.h"
#include "management/rest/releases.h"

namespace nb::management::rest {
namespace {

// A stranger's guesses at the first set-up are not to be many.
constexpr RateLimit kSetUpLimit{.per_second = 1, .burst = 30};

Task<Reply> status(const Services& services, Call call) {
  const auto required = co_await services.people.set_up_required(call.deadline);
  if (!required) co_return fail(Code::kInternal, "failed to check instance status");
  co_return reply_with(
      [&](JsonWriter& json) { json.object([&] { json.field("setup_required", *required); }); });
}

Task<Reply> set_up(const Services& services, Call call) {
  if (!co_await services.limiter.take("setup:" + call.client_ip, kSetUpLimit))
    co_return fail(Code::kResourceExhausted, "rate limit exceeded, please try again later");
  const auto malformed = fail(Code::kOutOfRange, "invalid request body");
  const auto body = call.json();
  if (!body) co_return malformed;
  app::FirstOwner owner;
  owner.email = body->text("email");
  owner.name = body->text("name");
  owner.password = Secret(body->text("password"));
  owner.with_token = body->flag("create_pat") && services.setup_token_enabled;
  owner.token_days = body->integer("pat_expire_in", 1);
  owner.address = call.client_ip;
  if (!body->done()) co_return malformed;
  auto done = co_await services.people.set_up(call.deadline, std::move(owner));
  if (!done) co_return std::move(done).error();
  Reply reply = reply_with([&](JsonWriter& json) {
    json.object([&] {
      json.field("user_id", done->user);
      json.field("email", done->email);
      json.optional("personal_access_token", done->token.reveal());
    });
  });
  reply.headers.emplace_back("cache-control", "no-store");
  co_return reply;
}

Task<Reply> version(const Services& services, Call /*call*/) {
  const NewestReleases newest =
      services.releases == nullptr ? NewestReleases{} : services.releases->newest();
  co_return reply_with([&](JsonWriter& json) {
    json.object([&] {
      json.field("management_current_version", services.version);
      json.optional("management_available_version", newest.management);
      json.optional("dashboard_available_version", newest.dashboard);
      json.field("management_update_available", is_update(newest.management, services.version));
    });
  });
}

}  // namespace

void add_instance(RouteTable& table, const Services& services) {
  table.add("GET", "/api/instance", Access::kPublic, handled(services, status));
  table.add("POST", "/api/setup", Access::kPublic, handled(services, set_up));
  table.add("GET", "/api/instance/version", Access::kSigned, handled(services, version));
}

}  // namespace nb::management::rest
