// Moving an account to another IPv4 network. Private to store/.
#pragma once

#include "management/store/change_log.h"

#include <cstddef>

namespace nb::management::work {

/// Gives every peer of the account an address in `net`; peers whose address lies there already keep
/// it. Stores `net` as the account's network and names account and peers in `changes`; settings,
/// events and the serial are the caller's.
///
/// Holds the account's row from here on, so that no registration can commit with an address of the
/// old network: it finds the network changed and starts again. The caller holds no other account's
/// rows, and has not locked this one's yet (peers come first).
/// Errors   kFailedPrecondition "network <net> is out of IPs".
/// Returns  how many peers moved.
Result<std::size_t> change_range(Session& session, const Context& context, Prefix net,
                                 Changes& changes);

/// For a transaction that has made or moved peers by what it read of an account, and holds the
/// account's row by now: it starts again if the account has other networks since, gives IPv6
/// addresses to other groups, or has begun or ceased to ask for approval.
Result<> require_unchanged(Session& session, const Account& seen);

/// Ends the transaction in a way that makes Database::run repeat it, as after a serialization
/// failure: what it was based on has been changed by others. `reason`: words without quotes.
Result<> start_again(Session& session, std::string_view reason);

}  // namespace nb::management::work
