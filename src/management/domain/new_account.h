// What a new account consists of.
// Source   contract/network-map.md §1.3, §6.1.
#pragma once

#include "base/clock.h"
#include "management/domain/account.h"
#include "management/domain/allocation.h"
#include "management/domain/group.h"
#include "management/domain/policy.h"
#include "management/domain/user.h"

#include <functional>
#include <string>

namespace nb::management {

struct NewAccount {
  Account account;
  User owner;
  Group all;
  std::optional<Policy> default_policy;
};

struct NewAccountOptions {
  UserId owner;
  std::string owner_name{};
  std::string owner_email{};
  std::string domain{};
  std::string domain_category{};
  bool is_domain_primary = false;
  bool default_policy = true;
};

/// A random /16 of 100.64.0.0/10.
[[nodiscard]] Prefix random_network(const RandomFn& random);
/// fd + 7 random bytes, /64.
[[nodiscard]] Prefix random_network_v6(const RandomFn& random);

/// `new_id` gives a fresh xid with every call.
[[nodiscard]] NewAccount new_account(NewAccountOptions options,
                                     const std::function<std::string()>& new_id,
                                     const RandomFn& random, WallTime now);

}  // namespace nb::management
