#include "management/rest/handlers.h"

#include <algorithm>
#include <initializer_list>

namespace nb::management::rest {
namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

std::string range_text(const Prefix& prefix) {
  return prefix.is_set() ? prefix.to_string() : std::string();
}

void write_settings(JsonWriter& json, const Services& services, const Account& account) {
  const AccountSettings& s = account.settings;
  json.object("settings", [&] {
    json.field("peer_login_expiration_enabled", s.peer_login_expiration_enabled);
    json.field("peer_login_expiration", duration_cast<seconds>(s.peer_login_expiration).count());
    json.field("peer_inactivity_expiration_enabled", s.peer_inactivity_expiration_enabled);
    json.field("peer_inactivity_expiration",
               duration_cast<seconds>(s.peer_inactivity_expiration).count());
    json.field("regular_users_view_blocked", s.regular_users_view_blocked);
    json.field("groups_propagation_enabled", s.groups_propagation_enabled);
    json.field("jwt_groups_enabled", s.jwt_groups_enabled);
    json.field("jwt_groups_claim_name", s.jwt_groups_claim_name);
    json.list("jwt_allow_groups", s.jwt_allow_groups);
    json.field("routing_peer_dns_resolution_enabled", s.routing_peer_dns_resolution_enabled);
    json.field("dns_domain", s.dns_domain);
    json.optional("network_range", range_text(effective_range(account)));
    json.optional("network_range_v6", range_text(effective_range_v6(account)));
    json.field("peer_expose_enabled", s.peer_expose_enabled);
    json.list("peer_expose_groups", s.peer_expose_groups);
    // Terraform reads it without asking whether it is there.
    json.object("extra", [&] {
      json.field("peer_approval_enabled", s.extra_peer_approval_enabled);
      json.field("user_approval_required", s.extra_user_approval_required);
      json.field("network_traffic_logs_enabled", false);
      json.list("network_traffic_logs_groups", std::vector<std::string>());
      json.field("network_traffic_packet_counter_enabled", false);
    });
    json.field("lazy_connection_enabled", s.lazy_connection_enabled);
    json.field("auto_update_version", s.auto_update_version);
    json.field("auto_update_always", s.auto_update_always);
    json.field("metrics_push_enabled", s.metrics_push_enabled);
    json.field("agent_network_only", s.agent_network_only);
    if (!s.dashboard_features.empty() && s.dashboard_features != "null") {
      json.key("dashboard_features");
      json.raw(s.dashboard_features);
    }
    json.field("embedded_idp_enabled", services.provider != nullptr);
    json.field("local_auth_disabled",
               services.provider != nullptr && services.provider->local_auth_disabled());
    json.field("local_mfa_enabled", s.local_mfa_enabled);
    json.list("ipv6_enabled_groups", s.ipv6_enabled_groups);
  });
}

void write_account(JsonWriter& json, const Services& services, const AccountState& state) {
  const Account& account = state.account;
  json.object([&] {
    json.field("id", account.id);
    write_settings(json, services, account);
    json.field("domain", account.domain);
    json.field("domain_category", account.domain_category);
    json.time("created_at", account.created_at);
    json.field("created_by", account.created_by);
    json.object("onboarding", [&] {
      json.field("signup_form_pending", state.onboarding.signup_form_pending);
      json.field("onboarding_flow_pending", state.onboarding.flow_pending);
    });
  });
}

Task<Reply> list(const Services& services, Call call) {
  auto state = co_await execute(services, call, GetAccount{});
  if (!state) co_return std::move(state).error();
  co_return reply_with([&](JsonWriter& json) {
    const std::vector<const AccountState*> one(1, &*state);
    json.array(one, [&](const AccountState* account) { write_account(json, services, *account); });
  });
}

/// Of members that are shown and cannot be changed here: their type counts all the same.
void expect_flags(const JsonObject& body, std::initializer_list<std::string_view> names) {
  bool flag = false;
  for (const std::string_view name : names) body.read(name, flag);
}

void decode_settings(const JsonObject& body, SettingsDraft& draft) {
  AccountSettings& out = draft.values;
  const auto duration = [&](std::string_view name) {
    // Beyond what nanoseconds can count the check of the range refuses it anyway.
    constexpr std::int64_t kMost = 1'000'000'000;
    return seconds(std::clamp(body.integer(name), -kMost, kMost));
  };
  out.peer_login_expiration_enabled = body.flag("peer_login_expiration_enabled");
  out.peer_login_expiration = duration("peer_login_expiration");
  out.peer_inactivity_expiration_enabled = body.flag("peer_inactivity_expiration_enabled");
  out.peer_inactivity_expiration = duration("peer_inactivity_expiration");
  out.regular_users_view_blocked = body.flag("regular_users_view_blocked");
  out.groups_propagation_enabled = body.flag("groups_propagation_enabled");
  out.jwt_groups_enabled = body.flag("jwt_groups_enabled");
  out.jwt_groups_claim_name = body.text("jwt_groups_claim_name");
  out.jwt_allow_groups.clear();
  body.read("jwt_allow_groups", out.jwt_allow_groups);
  out.routing_peer_dns_resolution_enabled = body.flag("routing_peer_dns_resolution_enabled");
  out.dns_domain = body.text("dns_domain");
  body.read("network_range", draft.network_range);
  body.read("network_range_v6", draft.network_range_v6);
  out.peer_expose_enabled = body.flag("peer_expose_enabled");
  out.peer_expose_groups = body.ids<GroupId>("peer_expose_groups");
  out.lazy_connection_enabled = body.flag("lazy_connection_enabled");
  out.auto_update_version = body.text("auto_update_version");
  out.agent_network_only = body.flag("agent_network_only");
  expect_flags(body, {"embedded_idp_enabled", "local_auth_disabled"});
  body.read("auto_update_always", draft.auto_update_always);
  body.read("metrics_push_enabled", draft.metrics_push_enabled);
  body.read("local_mfa_enabled", draft.local_mfa_enabled);
  if (body.has("ipv6_enabled_groups"))
    draft.ipv6_enabled_groups = body.ids<GroupId>("ipv6_enabled_groups");
  if (const auto features = body.object("dashboard_features")) {
    draft.dashboard_features = body.raw("dashboard_features");
    draft.dashboard_agent_network = features->flag("agent_network");
  }
  if (const auto extra = body.object("extra")) {
    draft.has_extra = true;
    out.extra_peer_approval_enabled = extra->flag("peer_approval_enabled");
    out.extra_user_approval_required = extra->flag("user_approval_required");
    expect_flags(*extra,
                 {"network_traffic_logs_enabled", "network_traffic_packet_counter_enabled"});
    std::vector<std::string> groups;
    extra->read("network_traffic_logs_groups", groups);
  }
}

Task<Reply> update(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  UpdateSettings command;
  if (const auto settings = body->object("settings")) decode_settings(*settings, command.draft);
  if (const auto onboarding = body->object("onboarding"))
    command.draft.onboarding = OnboardingFlags{onboarding->flag("onboarding_flow_pending"),
                                               onboarding->flag("signup_form_pending")};
  if (const auto done = body->done(); !done) co_return done.error();
  if (call.params[0] != call.account_id().value())
    co_return fail(Code::kPermissionDenied,
                   "failed to validate user permissions: user is not part of this account");
  auto state = co_await execute(services, call, std::move(command));
  if (!state) co_return std::move(state).error();
  co_return reply_with([&](JsonWriter& json) { write_account(json, services, *state); });
}

Task<Reply> remove(const Services& services, Call call) {
  if (const auto active = check_active(call.user()); !active) co_return active.error();
  AccountId id(call.params[0]);
  auto done = co_await services.people.remove_account(call.deadline, call.actor(), std::move(id));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_accounts(RouteTable& table, const Services& services) {
  table.add("GET", "/api/accounts",
            {{Module::kAccounts, Operation::kRead}, {Module::kSettings, Operation::kRead}},
            handled(services, list));
  table.add("PUT", "/api/accounts/{accountId}", {{Module::kSettings, Operation::kUpdate}},
            handled(services, update));
  // Whose account it is is asked by the use case, which has words of its own for that.
  table.add("DELETE", "/api/accounts/{accountId}", Access::kSigned, handled(services, remove));
}

}  // namespace nb::management::rest
