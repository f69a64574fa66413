#include "management/rest/handlers.h"

#include "management/rest/list_tag.h"

namespace nb::management::rest {

Task<Reply> polled(const Services& services, Call call, std::vector<Wanted> wanted, MakeList make) {
  const ListTag tag(call, services.version + "\n" + services.dns_domain);
  const WallTime now = services.clock.wall();
  Catalog::Known known = [tag, now](std::string_view stamp) {
    return !tag.known(stamp, now).empty();
  };
  auto parts = co_await services.catalog.parts_unless(call.deadline, call.account_id(),
                                                      std::move(wanted), std::move(known));
  if (!parts) co_return std::move(parts).error();
  if (parts->account == nullptr)
    co_return Reply{.cacheable = true, .etag = tag.known(parts->stamp, now)};
  auto reply = make(call, *parts->account);
  if (!reply) co_return std::move(reply).error();
  if (!parts->stamp.empty()) reply->etag = tag.of(parts->stamp, reply->changes_at);
  co_return reply;
}

Result<bool> sees_all(const Call& call, Module module) {
  const auto allowed = check_permission(call.user(), call.account_id(), module, Operation::kRead);
  if (allowed) return true;
  // A role that may not read the module sees its own; a blocked user sees nothing.
  if (role_allows(call.user().role, module, Operation::kRead) == false && !call.user().blocked)
    return false;
  return allowed.error();
}

std::optional<std::vector<std::string>> only(std::string id) {
  std::vector<std::string> out;
  out.push_back(std::move(id));
  return out;
}

RouteTable all_routes(const Services& services) {
  RouteTable table;
  add_instance(table, services);
  add_accounts(table, services);
  add_ha_status(table, services);
  add_users(table, services);
  add_tokens(table, services);
  add_invites(table, services);
  add_peers(table, services);
  add_jobs(table, services);
  add_setup_keys(table, services);
  add_groups(table, services);
  add_policies(table, services);
  add_posture_checks(table, services);
  add_routes(table, services);
  add_networks(table, services);
  add_dns(table, services);
  add_events(table, services);
  add_locations(table, services);
  add_identity_providers(table, services);
  add_proxies(table, services);
  add_proxy_services(table, services);
  add_reference(table);
  return table;
}

}  // namespace nb::management::rest
