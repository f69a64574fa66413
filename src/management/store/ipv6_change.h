// Who has an IPv6 address, after groups, members or the network have changed. Private to store/.
// Source   contract/network-map.md §4.2.
#pragma once

#include "management/store/change_log.h"

#include <vector>

namespace nb::management::work {

/// What decides: the account's network, and the groups whose members have addresses of it.
struct Ipv6Rules {
  const Prefix& net;
  const std::vector<GroupId>& enabled_groups;
};

/// An address of the net that nobody of the account has; unset: it is used up.
Result<IpAddress> free_ipv6(Session& session, const Context& context, const AccountId& account,
                            const Prefix& net);

/// Gives an address to those of `peers` that belong to a group with IPv6 and have none in the net,
/// and takes it from those that do not; names them in `changes`. Null: all peers of the account.
Result<> reconcile_ipv6(Session& session, const Context& context, const std::vector<PeerId>* peers,
                        const Ipv6Rules& rules, Changes& changes);

}  // namespace nb::management::work
