// Deleting a peer because somebody asked for it. Private to store/.
#pragma once

#include "management/store/edits/account_edit.h"

namespace nb::management::work {

/// With events, policies and the end of its streams. The peer is locked.
/// Errors   kFailedPrecondition: others need the peer.
Result<> delete_peer(AccountEdit& edit, const Peer& peer);

/// The user's peers log in again or never: expired, with events and the end of their streams.
Result<> expire_peers_of(AccountEdit& edit, const UserId& user, std::string_view reason);

}  // namespace nb::management::work
