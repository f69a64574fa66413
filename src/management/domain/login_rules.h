// When a peer's login has ended.
// Source   contract/management-grpc.md §5.2.2, network-map.md §5.
#pragma once

#include "base/clock.h"
#include "management/domain/account.h"
#include "management/domain/peer.h"

#include <optional>

namespace nb::management {

/// The moment a user's peer has to log in again; nothing when it never has to.
[[nodiscard]] std::optional<WallTime> login_deadline(const Peer& peer,
                                                     const AccountSettings& settings);

/// Stored as expired, or past its deadline. Setup-key peers never expire.
[[nodiscard]] bool login_expired(const Peer& peer, const AccountSettings& settings, WallTime now);

}  // namespace nb::management
