#include "management/domain/permissions.h"

#include <gtest/gtest.h>

namespace nb::management {
namespace {

User a_user(std::string_view role) {
  User user;
  user.id = UserId("u");
  user.account_id = AccountId("a");
  user.role = role;
  return user;
}

std::string denial(const User& user, Module module, Operation operation) {
  const auto result = check_permission(user, AccountId("a"), module, operation);
  return result ? std::string() : result.error().text;
}

TEST(Permissions, TheModulesAreNamedInOrder) {
  std::string_view before;
  for (const Module module : all_modules()) {
    EXPECT_LT(before, module_name(module));
    before = module_name(module);
  }
  EXPECT_EQ(module_name(Module::kUsers), "users");
}

TEST(Permissions, RolesFollowTheMatrix) {
  EXPECT_EQ(denial(a_user("owner"), Module::kAccounts, Operation::kDelete), "");
  EXPECT_EQ(denial(a_user("admin"), Module::kAccounts, Operation::kDelete), "permission denied");
  EXPECT_EQ(denial(a_user("admin"), Module::kSettings, Operation::kUpdate), "");
  EXPECT_EQ(denial(a_user("network_admin"), Module::kPeers, Operation::kUpdate),
            "permission denied");
  EXPECT_EQ(denial(a_user("network_admin"), Module::kRemoteJobs, Operation::kRead),
            "permission denied");
  EXPECT_EQ(denial(a_user("network_admin"), Module::kPats, Operation::kCreate), "");
  EXPECT_EQ(denial(a_user("auditor"), Module::kServices, Operation::kRead), "");
  EXPECT_EQ(denial(a_user("auditor"), Module::kGroups, Operation::kCreate), "permission denied");
  EXPECT_EQ(denial(a_user("user"), Module::kGroups, Operation::kRead), "permission denied");
}

TEST(Permissions, OnlyOwnersSeeTheServers) {
  EXPECT_EQ(denial(a_user("owner"), Module::kInstances, Operation::kRead), "");
  for (const char* role : {"admin", "network_admin", "auditor", "user"}) {
    User user = a_user(role);
    EXPECT_EQ(denial(user, Module::kInstances, Operation::kRead), "permission denied");
    user.is_service_user = true;
    EXPECT_EQ(denial(user, Module::kInstances, Operation::kRead), "permission denied");
  }
}

TEST(Permissions, AServiceUserReadsEverythingAndWritesByRole) {
  User user = a_user("user");
  user.is_service_user = true;
  EXPECT_EQ(denial(user, Module::kSettings, Operation::kRead), "");
  EXPECT_EQ(denial(user, Module::kSettings, Operation::kUpdate), "permission denied");
  user.role = "admin";
  EXPECT_EQ(denial(user, Module::kSettings, Operation::kUpdate), "");
}

TEST(Permissions, StateOfTheUserComesFirst) {
  User user = a_user("owner");
  user.blocked = true;
  EXPECT_EQ(denial(user, Module::kPeers, Operation::kRead),
            "failed to validate user permissions: user is blocked");
  user.pending_approval = true;
  EXPECT_EQ(denial(user, Module::kPeers, Operation::kRead),
            "failed to validate user permissions: user is pending approval");
  user = a_user("owner");
  user.account_id = AccountId("other");
  EXPECT_EQ(denial(user, Module::kPeers, Operation::kRead),
            "failed to validate user permissions: user is not part of this account");
  EXPECT_EQ(denial(a_user("billing_admin"), Module::kPolicies, Operation::kRead),
            "failed to validate user permissions: user role: billing_admin not found");
}

TEST(Permissions, RolesAreReadInAnyCase) {
  EXPECT_EQ(parse_role("Network_Admin"), "network_admin");
  EXPECT_EQ(parse_role("root"), std::nullopt);
  EXPECT_EQ(parse_role(""), std::nullopt);
}

}  // namespace
}  // namespace nb::management
