// Whose streams an account's state does not allow: what a lost message would have said.
#pragma once

#include "management/domain/account_snapshot.h"

#include <string>
#include <vector>

namespace nb::management::app {

/// Of a peer of the account: its login has not expired, its user is not blocked. As
/// Store::reassert() judges, which has the last word.
[[nodiscard]] bool may_have_stream(const AccountSnapshot& account, const Peer& peer);

/// Ids of peers that were allowed a stream by `before` and are not by `after`, or are not there any
/// more. Cheap where the two share their objects (applied()).
[[nodiscard]] std::vector<std::string> lost_rights(const AccountSnapshot& before,
                                                   const AccountSnapshot& after);

}  // namespace nb::management::app
