#include "management/domain/account_snapshot.h"

namespace nb::management {

AccountSnapshotPtr applied(const AccountSnapshot& base, const SnapshotDelta& delta) {
  auto out = std::make_shared<AccountSnapshot>();
  out->account = delta.account;
  out->users = base.users.with(delta.users);
  out->peers = base.peers.with(delta.peers);
  out->groups = base.groups.with(delta.groups);
  out->policies = base.policies.with(delta.policies);
  out->posture_checks = base.posture_checks.with(delta.posture_checks);
  out->routes = base.routes.with(delta.routes);
  out->networks = base.networks.with(delta.networks);
  out->routers = base.routers.with(delta.routers);
  out->resources = base.resources.with(delta.resources);
  out->name_server_groups = base.name_server_groups.with(delta.name_server_groups);
  out->zones = base.zones.with(delta.zones);
  out->services = base.services.with(delta.services);
  out->proxy_domains = base.proxy_domains.with(delta.proxy_domains);
  out->skipped_rows = base.skipped_rows;
  return out;
}

}  // namespace nb::management
