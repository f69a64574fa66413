// Policies that nobody wrote: what the account's reverse-proxy services need to work.
// Source   contract/network-map.md §2.11.
#pragma once

#include "management/domain/account_snapshot.h"

#include <memory>
#include <string>
#include <vector>

namespace nb::netmap {

/// In the order of services, their targets and the peers of their cluster; they follow the
/// account's own policies.
[[nodiscard]] std::vector<std::shared_ptr<const management::Policy>> injected_policies(
    const management::AccountSnapshot& account);

/// The zone in which a private service's name is answered; empty when there is none.
[[nodiscard]] std::string service_zone(const management::AccountSnapshot& account,
                                       const management::ProxyService& service);

}  // namespace nb::netmap
