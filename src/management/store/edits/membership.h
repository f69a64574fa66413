// Who and what is in a group, with everything that follows from it. Private to store/.
#pragma once

#include "management/store/edits/account_edit.h"

#include <vector>

namespace nb::management::work {

/// A peer or resource in or out.
enum class Move : bool { kOut, kIn };

/// Puts peers into a group or takes them out, row by row, and records an event for each that moved.
/// `peers` exist and are held. IPv6 addresses are the caller's next step.
Result<> move_members(AccountEdit& edit, const Group& group, const std::vector<PeerId>& peers,
                      Move move);

/// Gives an IPv6 address to those of `peers` that belong to a group with IPv6 and have none in the
/// account's net, and takes it from those that do not. Null: all peers of the account.
Result<> reconcile_ipv6(AccountEdit& edit, const std::vector<PeerId>* peers);
/// The same with settings that are about to be stored.
Result<> reconcile_ipv6(AccountEdit& edit, const std::vector<PeerId>* peers, const Prefix& net,
                        const std::vector<GroupId>& enabled);
/// reconcile_ipv6() if one of `groups` is a group with IPv6.
Result<> members_changed(AccountEdit& edit, const std::vector<GroupId>& groups,
                         const std::vector<PeerId>& peers);

/// Puts a resource into exactly these groups, which are held; records events.
Result<> place_resource(AccountEdit& edit, const NetworkResource& resource,
                        const std::vector<GroupId>& groups);

/// Moves all peers of a user with a change of the user's auto groups.
Result<> move_user_peers(AccountEdit& edit, const UserId& user,
                         const ListDifference<GroupId>& groups);

/// The event of a resource that joins or leaves a group.
void resource_event(AccountEdit& edit, const Group& group, const NetworkResource& resource,
                    Move move);

}  // namespace nb::management::work
