// Everything of one account at one serial, read in one transaction; never changes again.
#pragma once

#include "management/domain/account.h"
#include "management/domain/dns.h"
#include "management/domain/entity_table.h"
#include "management/domain/group.h"
#include "management/domain/network.h"
#include "management/domain/peer.h"
#include "management/domain/policy.h"
#include "management/domain/posture_check.h"
#include "management/domain/proxy_service.h"
#include "management/domain/route.h"
#include "management/domain/user.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>

namespace nb::management {

/// Input of netmap/. `account.serial` is the serial of every map made from it.
/// Order    every table by id, which for ids made by a server is the order of creation.
struct AccountSnapshot {
  Account account;
  EntityTable<User> users;
  EntityTable<Peer> peers;
  EntityTable<Group> groups;
  EntityTable<Policy> policies;
  EntityTable<PostureCheck> posture_checks;
  EntityTable<Route> routes;
  EntityTable<Network> networks;
  EntityTable<NetworkRouter> routers;
  EntityTable<NetworkResource> resources;
  EntityTable<NameServerGroup> name_server_groups;
  EntityTable<DnsZone> zones;
  EntityTable<ProxyService> services;
  EntityTable<ProxyDomain> proxy_domains;
  /// Rows that no official server could have written and that were left out; see the log.
  std::size_t skipped_rows = 0;

  [[nodiscard]] const Peer* peer(const PeerId& id) const { return peers.find(id); }
  [[nodiscard]] const Group* group(const GroupId& id) const { return groups.find(id); }
  [[nodiscard]] const User* user(const UserId& id) const { return users.find(id); }
  /// Null only in a damaged database.
  [[nodiscard]] const Group* all_group() const {
    const auto it =
        std::find_if(groups.begin(), groups.end(), [](const Group& g) { return g.is_all(); });
    return it == groups.end() ? nullptr : &*it;
  }
};

using AccountSnapshotPtr = std::shared_ptr<const AccountSnapshot>;

/// What changed in an account since some serial: whole objects, as they are at `account.serial`.
/// A group whose members changed, a zone whose records changed, a policy whose rules changed, a
/// service whose targets changed comes as a whole.
struct SnapshotDelta {
  Account account;
  EntityChanges<User> users;
  EntityChanges<Peer> peers;
  EntityChanges<Group> groups;
  EntityChanges<Policy> policies;
  EntityChanges<PostureCheck> posture_checks;
  EntityChanges<Route> routes;
  EntityChanges<Network> networks;
  EntityChanges<NetworkRouter> routers;
  EntityChanges<NetworkResource> resources;
  EntityChanges<NameServerGroup> name_server_groups;
  EntityChanges<DnsZone> zones;
  EntityChanges<ProxyService> services;
  EntityChanges<ProxyDomain> proxy_domains;
};

/// The snapshot after `delta`; everything unchanged is shared with `base`.
[[nodiscard]] AccountSnapshotPtr applied(const AccountSnapshot& base, const SnapshotDelta& delta);

}  // namespace nb::management
