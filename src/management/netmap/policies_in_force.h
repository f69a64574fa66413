// The policies that maps are made of.
#pragma once

#include "management/domain/account_snapshot.h"

#include <memory>
#include <vector>

namespace nb::netmap {

/// Enabled ones: the account's own by (order, id), then the injected ones. Where the database is
/// damaged they let in nobody who might not be meant and drop everybody who might be (decision
/// 0130): under a posture check that cannot be read nothing is let in, and it spares nobody from
/// being dropped; a side of a rule that drops, where not all of it could be read, is everybody and
/// everything.
[[nodiscard]] std::vector<std::shared_ptr<const management::Policy>> policies_in_force(
    const management::AccountSnapshot& account);

}  // namespace nb::netmap
