// Taking a peer out of its account, with everything that names it. Private to store/.
#pragma once

#include "management/store/change_log.h"

namespace nb::management::work {

/// Errors   kFailedPrecondition: the peer of a network router, or the target of a service.
Result<> check_unlinked(Session& session, const Peer& peer);
/// Deletes the peer's row, memberships, sessions, routes, and policies that have it as a side, and
/// says so in `changes`. The peer's row has to be locked. Events and serial are the caller's.
/// Second   the groups it was in.
Result<std::vector<GroupId>> remove_peer(Session& session, const Peer& peer, Changes& changes);

}  // namespace nb::management::work
