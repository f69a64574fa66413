#include "management/rest/handlers.h"

namespace nb::management::rest {

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
