// Account settings and the rules about users.
#include "management/domain/settings_draft.h"
#include "management/domain/user_rules.h"

#include <gtest/gtest.h>

namespace nb::management {
namespace {

using namespace std::chrono_literals;

Account an_account() {
  Account account;
  account.network.net = *Prefix::parse("100.64.0.0/16");
  account.network.net_v6 = *Prefix::parse("fd00:1::/64");
  account.settings.ipv6_enabled_groups = {GroupId("all")};
  account.settings.auto_update_always = true;
  account.settings.extra_peer_approval_enabled = true;
  account.settings.jwt_groups_claim_name = "groups";
  return account;
}

SettingsDraft as_stored(const Account& account) {
  SettingsDraft draft;
  draft.values = account.settings;
  return draft;
}

std::string refused(const SettingsDraft& draft, std::size_t peers = 3) {
  const auto result = settings_of(draft, an_account(), peers);
  if (result) return "accepted";
  EXPECT_EQ(result.error().code, Code::kInvalidArgument);
  return result.error().text;
}

TEST(SettingsDraft, WhatIsLeftOutStaysOrIsCleared) {
  const Account account = an_account();
  SettingsDraft draft;
  draft.values.auto_update_always = false;
  const auto now = settings_of(draft, account, 3);
  ASSERT_TRUE(now) << now.error().text;
  EXPECT_EQ(now->ipv6_enabled_groups, account.settings.ipv6_enabled_groups);
  EXPECT_TRUE(now->auto_update_always);
  EXPECT_TRUE(now->extra_peer_approval_enabled);
  EXPECT_TRUE(now->jwt_groups_claim_name.empty());
  draft.ipv6_enabled_groups.emplace();
  draft.auto_update_always = false;
  draft.has_extra = true;
  const auto cleared = settings_of(draft, account, 3);
  ASSERT_TRUE(cleared);
  EXPECT_TRUE(cleared->ipv6_enabled_groups.empty());
  EXPECT_FALSE(cleared->auto_update_always);
  EXPECT_FALSE(cleared->extra_peer_approval_enabled);
}

TEST(SettingsDraft, LoginExpirationHasLimits) {
  auto draft = as_stored(an_account());
  draft.values.peer_login_expiration = 3599s;
  EXPECT_EQ(refused(draft), "peer login expiration can't be smaller than one hour");
  draft.values.peer_login_expiration = 15'552'001s;
  EXPECT_EQ(refused(draft), "peer login expiration can't be larger than 180 days");
  for (const auto good : {3600s, 15'552'000s}) {
    draft.values.peer_login_expiration = good;
    EXPECT_EQ(refused(draft), "accepted");
  }
}

TEST(SettingsDraft, RangesThatNoNetworkCanHave) {
  const auto range = [](const char* text, std::size_t peers = 3) {
    auto draft = as_stored(an_account());
    draft.network_range = text;
    return refused(draft, peers);
  };
  EXPECT_EQ(range("10.0.0.0/29"), "network range too small: minimum size is /28 for IPv4");
  EXPECT_EQ(range("10.0.0.0/28"), "accepted");
  EXPECT_EQ(range("10.0.0.0/28", 10),
            "network range too small: need at least 15 addresses for 10 peers + buffer, but range "
            "provides 14");
  EXPECT_EQ(range("127.0.0.0/8"), "loopback address range not allowed");
  EXPECT_EQ(range("224.0.0.0/8"), "multicast address range not allowed");
  EXPECT_EQ(range("169.254.0.0/16"), "link-local address range not allowed");
  EXPECT_EQ(range("fd00::/64"), "network range must be an IPv4 address");
  EXPECT_EQ(range("banana"), "invalid CIDR format: banana");
  EXPECT_EQ(range(""), "accepted");
  auto draft = as_stored(an_account());
  draft.network_range_v6 = "fd00::/121";
  EXPECT_EQ(refused(draft), "network range too small: minimum size is /120 for IPv6");
  draft.network_range_v6 = "fd00::/47";
  EXPECT_EQ(refused(draft), "network range too large: maximum size is /48 for IPv6");
  draft.network_range_v6 = "10.0.0.0/16";
  EXPECT_EQ(refused(draft), "network range must be an IPv6 address");
}

TEST(SettingsDraft, ARangeIsStoredWithoutHostBits) {
  auto draft = as_stored(an_account());
  draft.network_range = "10.1.2.3/16";
  EXPECT_EQ(settings_of(draft, an_account(), 3)->network_range.to_string(), "10.1.0.0/16");
}

TEST(SettingsDraft, VersionsDomainsAndExpose) {
  auto draft = as_stored(an_account());
  for (const char* good : {"", "latest", "disabled", "0.60.1", "v1.2.3-rc.1"}) {
    draft.values.auto_update_version = good;
    EXPECT_EQ(refused(draft), "accepted") << good;
  }
  for (const char* bad : {"banana", "1..2", "1.2.3.4", "1.2.", "-"}) {
    draft.values.auto_update_version = bad;
    EXPECT_EQ(refused(draft), "invalid AutoUpdateVersion") << bad;
  }
  draft = as_stored(an_account());
  draft.values.dns_domain = "*.corp";
  EXPECT_EQ(refused(draft), "invalid domain \"*.corp\" provided for DNS domain");
  draft = as_stored(an_account());
  draft.values.peer_expose_enabled = true;
  EXPECT_EQ(refused(draft), "peer expose requires at least one group");
}

TEST(SettingsDraft, DifferencesHaveEvents) {
  const Account before = an_account();
  AccountSettings after = before.settings;
  EXPECT_TRUE(settings_events(before, after).empty());
  EXPECT_FALSE(concerns_peers(before.settings, after));
  after.lazy_connection_enabled = false;
  after.peer_inactivity_expiration_enabled = true;
  after.ipv6_enabled_groups.clear();
  after.network_range = *Prefix::parse("10.0.0.0/16");
  const auto events = settings_events(before, after);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0].activity, Activity::kAccountLazyConnectionDisabled);
  EXPECT_EQ(events[1].activity, Activity::kAccountInactivityExpirationEnabled);
  EXPECT_EQ(events[2].activity, Activity::kAccountIpv6Disabled);
  EXPECT_EQ(events[3].activity, Activity::kAccountNetworkRangeUpdated);
  EXPECT_EQ(std::get<std::string>(events[3].meta[0].second), "100.64.0.0/16");
  EXPECT_TRUE(concerns_peers(before.settings, after));
  after = before.settings;
  after.network_range = before.network.net;  // what the dashboard sends back
  EXPECT_TRUE(settings_events(before, after).empty());
  after.regular_users_view_blocked = false;
  EXPECT_FALSE(concerns_peers(before.settings, after));
}

User a_user(const char* id, std::string_view role) {
  User user;
  user.id = UserId(id);
  user.account_id = AccountId("acc");
  user.role = role;
  user.issued = "api";
  return user;
}

std::string text_of(const Result<>& result) {
  return result ? "allowed" : result.error().text;
}

TEST(UserRules, ChangesOfRoleAndBlock) {
  const User owner = a_user("o", "owner");
  const User admin = a_user("a", "admin");
  const User other = a_user("u", "user");
  EXPECT_EQ(text_of(check_user_change(other, admin, {"admin", {}, false})),
            "only admins and owners can update users");
  EXPECT_EQ(text_of(check_user_change(admin, admin, {"admin", {}, true})),
            "admins can't block or unblock themselves");
  EXPECT_EQ(text_of(check_user_change(admin, admin, {"user", {}, false})),
            "admins can't change their role");
  EXPECT_EQ(text_of(check_user_change(admin, owner, {"admin", {}, false})),
            "only owners can remove owner role from their user");
  EXPECT_EQ(text_of(check_user_change(admin, owner, {"owner", {}, true})),
            "unable to block owner user");
  EXPECT_EQ(text_of(check_user_change(admin, other, {"owner", {}, false})),
            "only owners can add owner role to other users");
  EXPECT_EQ(text_of(check_user_change(owner, other, {"owner", {}, false})), "allowed");
  EXPECT_TRUE(transfers_ownership(owner, other, {"owner", {}, false}));
  EXPECT_FALSE(transfers_ownership(owner, other, {"admin", {}, false}));
  User robot = a_user("r", "user");
  robot.is_service_user = true;
  EXPECT_EQ(text_of(check_user_change(owner, robot, {"owner", {}, false})),
            "can't update a service user with owner role");
}

TEST(UserRules, DeletionAndTokens) {
  const User owner = a_user("o", "owner");
  const User admin = a_user("a", "admin");
  User robot = a_user("r", "user");
  robot.is_service_user = true;
  EXPECT_EQ(text_of(check_user_deletion(admin, admin)), "self deletion is not allowed");
  EXPECT_EQ(text_of(check_user_deletion(admin, owner)), "can't delete a user with the owner role");
  EXPECT_EQ(text_of(check_user_deletion(admin, robot)), "allowed");
  robot.non_deletable = true;
  EXPECT_FALSE(check_user_deletion(admin, robot));
  EXPECT_EQ(text_of(check_token_access(admin, admin)), "allowed");
  EXPECT_EQ(text_of(check_token_access(admin, robot)), "allowed");
  EXPECT_EQ(text_of(check_token_access(admin, owner)),
            "admin role required to perform this action");
  User stranger = a_user("s", "user");
  stranger.account_id = AccountId("other");
  EXPECT_EQ(text_of(check_token_access(admin, stranger)), "permission denied");
}

TEST(Event, EveryActivityHasCodeAndText) {
  EXPECT_EQ(activity_code(static_cast<std::int32_t>(Activity::kGroupCreated)), "group.add");
  EXPECT_EQ(activity_text(static_cast<std::int32_t>(Activity::kGroupCreated)), "Group created");
  EXPECT_EQ(activity_code(99'999), "account.delete");
  EXPECT_EQ(activity_code(138), "");
  for (std::int32_t number = 0; number <= 142; ++number)
    EXPECT_EQ(activity_code(number).empty(), number == 138) << number;
}

}  // namespace
}  // namespace nb::management
