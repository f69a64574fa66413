#include "management/app/update_counters.h"

#include <algorithm>

namespace nb::management::app {
namespace {

enum Operation : std::size_t { kCreate, kUpdate, kDelete };

}  // namespace

void UpdateCounters::count(const AccountSnapshot& before, const SnapshotDelta& delta) {
  bool some = false;
  const auto add = [&](std::string_view resource, Operation operation) {
    some = true;
    const auto* const at = std::find(kResources.begin(), kResources.end(), resource);
    counts_[static_cast<std::size_t>(at - kResources.begin())][operation].fetch_add(
        1, std::memory_order_relaxed);
  };
  const auto table = [&](std::string_view resource, const auto& had, const auto& changes) {
    const auto known = [&](const auto& item) { return had.find(item->id) != nullptr; };
    if (std::any_of(changes.upserts.begin(), changes.upserts.end(), known)) add(resource, kUpdate);
    if (!std::all_of(changes.upserts.begin(), changes.upserts.end(), known)) add(resource, kCreate);
    if (!changes.removed.empty()) add(resource, kDelete);
  };
  table("user", before.users, delta.users);
  table("peer", before.peers, delta.peers);
  table("group", before.groups, delta.groups);
  table("policy", before.policies, delta.policies);
  table("posture_check", before.posture_checks, delta.posture_checks);
  table("route", before.routes, delta.routes);
  table("network", before.networks, delta.networks);
  table("network_router", before.routers, delta.routers);
  table("network_resource", before.resources, delta.resources);
  table("nameserver_group", before.name_server_groups, delta.name_server_groups);
  table("zone", before.zones, delta.zones);
  table("service", before.services, delta.services);
  // The account's own row comes with every delta.
  if (!some) add("account_settings", kUpdate);
}

}  // namespace nb::management::app
