// Who may do what: the one table of roles, modules and operations.
// Source   contract/rest-api.md §6; contract/rest-api.json permission_matrix.
#pragma once

#include "base/result.h"
#include "management/domain/user.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nb::management {

inline constexpr std::string_view kRoleNetworkAdmin = "network_admin";
inline constexpr std::string_view kRoleAuditor = "auditor";
inline constexpr std::string_view kRoleBillingAdmin = "billing_admin";

enum class Module : std::uint8_t {
  kAccounts,
  kDns,
  kEvents,
  kGroups,
  kIdentityProviders,
  kNameservers,
  kNetworks,
  kPats,
  kPeers,
  kPolicies,  // posture checks too
  kRemoteJobs,
  kRoutes,
  kServices,
  kSettings,
  kSetupKeys,
  kUsers,
  kInstances,  // ours: servers and their state; not among what clients are told of
};
inline constexpr std::size_t kModuleCount = 16;  // of upstream's

enum class Operation : std::uint8_t { kRead, kCreate, kUpdate, kDelete };

/// "identity_providers" and the like, as in /api/users/current.
[[nodiscard]] std::string_view module_name(Module module);
/// Every module of upstream's, in the order of their names.
[[nodiscard]] const std::array<Module, kModuleCount>& all_modules();

/// Lower-case name of a role that a request may give, whatever its case; nothing for others.
[[nodiscard]] std::optional<std::string> parse_role(std::string_view text);

/// Owner and admin.
[[nodiscard]] bool has_admin_power(std::string_view role);

/// What the table says of a role; nothing for a role without an entry (billing_admin).
[[nodiscard]] std::optional<bool> role_allows(std::string_view role, Module module,
                                              Operation operation);

/// The whole check: state of the user, account, service users' reading of upstream's modules, then
/// the table.
/// Errors   kPermissionDenied "permission denied" or "failed to validate user permissions: …".
[[nodiscard]] Result<> check_permission(const User& user, const AccountId& account, Module module,
                                        Operation operation);
/// Only the state of the user: blocked, pending.
/// Errors   kPermissionDenied "user is blocked", "user is pending approval".
[[nodiscard]] Result<> check_active(const User& user);

}  // namespace nb::management
