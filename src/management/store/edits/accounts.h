// The account itself: contract/network-map.md §1.3, rest-api.md §7.2.
#pragma once

#include "management/domain/account.h"
#include "management/domain/settings_draft.h"
#include "management/store/edits/edit.h"

namespace nb::management {

struct AccountState {
  Account account;
  OnboardingFlags onboarding;
};

struct GetAccount {
  using Answer = AccountState;
  static constexpr bool kReads = true;
};

/// Settings, addresses and onboarding in one transaction. A changed range gives every peer outside
/// of it a new address.
/// Errors   settings_of()'s; kInvalidArgument: domain of a zone, unknown IPv6 group.
struct UpdateSettings {
  using Answer = AccountState;
  SettingsDraft draft{};
};

/// Everything of the account. The answer are its users, for the identity provider.
/// Errors   kNotFound; kPermissionDenied: not its owner.
struct DeleteAccount {
  using Answer = std::vector<UserId>;
  AccountId id{};
  bool opens_logins = false;  // of its humans: IdentityStore::open_login() with the deletion
};

}  // namespace nb::management
