#include "management/domain/permissions.h"

#include <algorithm>

namespace nb::management {
namespace {

constexpr std::uint8_t kR = 1;
constexpr std::uint8_t kC = 2;
constexpr std::uint8_t kU = 4;
constexpr std::uint8_t kD = 8;
constexpr std::uint8_t kAll = kR | kC | kU | kD;

struct Row {
  Module module;
  std::string_view name;
  // by role
  std::uint8_t admin;
  std::uint8_t network_admin;
  std::uint8_t auditor;
};

// The owner may do everything, the plain user nothing.
constexpr std::array<Row, kModuleCount + 1> kTable{{
    {Module::kAccounts, "accounts", kR, kR, kR},
    {Module::kDns, "dns", kAll, kAll, kR},
    {Module::kEvents, "events", kAll, kR, kR},
    {Module::kGroups, "groups", kAll, kAll, kR},
    {Module::kIdentityProviders, "identity_providers", kAll, kR, kR},
    {Module::kNameservers, "nameservers", kAll, kAll, kR},
    {Module::kNetworks, "networks", kAll, kAll, kR},
    {Module::kPats, "pats", kAll, kAll, kR},
    {Module::kPeers, "peers", kAll, kR, kR},
    {Module::kPolicies, "policies", kAll, kAll, kR},
    {Module::kRemoteJobs, "remote_jobs", kAll, 0, kR},
    {Module::kRoutes, "routes", kAll, kAll, kR},
    {Module::kServices, "services", kAll, 0, kR},
    {Module::kSettings, "settings", kAll, kR, kR},
    {Module::kSetupKeys, "setup_keys", kAll, kR, kR},
    {Module::kUsers, "users", kAll, kR, kR},
    {Module::kInstances, "instances", 0, 0, 0},
}};

constexpr std::uint8_t bit(Operation operation) {
  switch (operation) {
    case Operation::kRead:
      return kR;
    case Operation::kCreate:
      return kC;
    case Operation::kUpdate:
      return kU;
    case Operation::kDelete:
      return kD;
  }
  return 0;
}

const Row& row(Module module) {
  return kTable.at(static_cast<std::size_t>(module));
}

}  // namespace

std::string_view module_name(Module module) {
  return row(module).name;
}

const std::array<Module, kModuleCount>& all_modules() {
  static const auto kModules = [] {
    std::array<Module, kModuleCount> out{};
    std::transform(kTable.begin(), kTable.begin() + kModuleCount, out.begin(),
                   [](const Row& entry) { return entry.module; });
    return out;
  }();
  return kModules;
}

std::optional<std::string> parse_role(std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const std::string_view known :
       {kRoleOwner, kRoleAdmin, kRoleUser, kRoleBillingAdmin, kRoleAuditor, kRoleNetworkAdmin})
    if (name == known) return name;
  return {};
}

bool has_admin_power(std::string_view role) {
  return role == kRoleOwner || role == kRoleAdmin;
}

std::optional<bool> role_allows(std::string_view role, Module module, Operation operation) {
  const Row& entry = row(module);
  if (role == kRoleOwner) return true;
  if (role == kRoleAdmin) return (entry.admin & bit(operation)) != 0;
  if (role == kRoleNetworkAdmin) return (entry.network_admin & bit(operation)) != 0;
  if (role == kRoleAuditor) return (entry.auditor & bit(operation)) != 0;
  if (role == kRoleUser) return false;
  return {};
}

Result<> check_active(const User& user) {
  if (!user.blocked) return {};
  return fail(Code::kPermissionDenied,
              user.pending_approval ? "user is pending approval" : "user is blocked");
}

Result<> check_permission(const User& user, const AccountId& account, Module module,
                          Operation operation) {
  constexpr std::string_view kFailed = "failed to validate user permissions";
  if (const auto active = check_active(user); !active)
    return fail(Code::kPermissionDenied, "{}: {}", kFailed, active.error().text);
  if (user.account_id != account)
    return fail(Code::kPermissionDenied, "{}: user is not part of this account", kFailed);
  if (user.is_service_user && operation == Operation::kRead && module != Module::kInstances)
    return {};
  const auto allowed = role_allows(user.role, module, operation);
  if (!allowed)
    return fail(Code::kPermissionDenied, "{}: user role: {} not found", kFailed, user.role);
  if (!*allowed) return fail(Code::kPermissionDenied, "permission denied");
  return {};
}

}  // namespace nb::management
