#include "management/netmap/policies_in_force.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace nb::netmap {
namespace {

using management::AccountSnapshot;
using management::EntityTable;
using management::Group;
using management::GroupId;
using management::NetworkResource;
using management::Policy;
using management::PolicyRule;
using management::PostureCheck;
using management::PostureCheckId;
using management::ResourceId;
using management::RuleId;

Group group_of(const std::string& id, const std::string& resource = {}) {
  Group out;
  out.id = GroupId(id);
  out.name = id;
  if (!resource.empty()) out.resources = {{resource, "host"}};
  return out;
}

NetworkResource resource_of(const std::string& id) {
  NetworkResource out;
  out.id = ResourceId(id);
  out.type = "host";
  return out;
}

PostureCheck check_of(const std::string& id, bool unreadable) {
  PostureCheck out;
  out.id = PostureCheckId(id);
  out.checks.unreadable = unreadable;
  return out;
}

PolicyRule rule_of(const std::string& action) {
  PolicyRule out;
  out.id = RuleId(action);
  out.enabled = true;
  out.action = action;
  out.sources = {GroupId("a")};
  out.destinations = {GroupId("b")};
  return out;
}

/// A policy that lets in and drops, in an account of three groups and two resources.
struct Account {
  Account() {
    policy.id = management::PolicyId("p");
    policy.enabled = true;
    policy.rules = {rule_of("accept"), rule_of("drop")};
  }
  [[nodiscard]] std::vector<std::shared_ptr<const Policy>> in_force() {
    snapshot.groups = EntityTable<Group>({group_of("a"), group_of("b"), group_of("c", "grouped")});
    snapshot.resources =
        EntityTable<NetworkResource>({resource_of("grouped"), resource_of("single")});
    snapshot.posture_checks =
        EntityTable<PostureCheck>({check_of("broken", true), check_of("fine", false)});
    snapshot.policies = EntityTable<Policy>({policy});
    return policies_in_force(snapshot);
  }
  Policy policy;
  AccountSnapshot snapshot;
};

std::vector<GroupId> ids(std::initializer_list<const char*> texts) {
  std::vector<GroupId> out;
  for (const char* const text : texts) out.emplace_back(text);
  return out;
}

TEST(PoliciesInForce, AreTheStoredObjectsWhereNothingIsDamaged) {
  Account account;
  account.policy.source_posture_checks = {PostureCheckId("fine")};
  const auto found = account.in_force();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], account.snapshot.policies.ptr(0));
  account.policy.enabled = false;
  EXPECT_TRUE(account.in_force().empty());
}

TEST(PoliciesInForce, UnderACheckThatCannotBeReadLetNothingInAndDropForAll) {
  Account account;
  account.policy.source_posture_checks = {PostureCheckId("broken"), PostureCheckId("fine")};
  const auto found = account.in_force();
  ASSERT_EQ(found.size(), 1U);
  // Who fails the other check was never meant to be dropped.
  EXPECT_EQ(found[0]->source_posture_checks, std::vector{PostureCheckId("fine")});
  ASSERT_EQ(found[0]->rules.size(), 2U);
  EXPECT_FALSE(found[0]->rules[0].enabled);
  EXPECT_TRUE(found[0]->rules[1].enabled);
}

TEST(PoliciesInForce, DropFromEverybodyWhereSourcesAreUnknown) {
  Account account;
  for (PolicyRule& rule : account.policy.rules) rule.sources_unreadable = true;
  account.policy.rules[1].source_resource = {"somebody", "peer"};
  const auto found = account.in_force();
  const std::vector<PolicyRule>& rules = found.at(0)->rules;
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].sources, ids({"a"})) << "what lets in is off when it is read";
  EXPECT_EQ(rules[1].sources, ids({"a", "b", "c"}));
  EXPECT_FALSE(rules[1].source_resource.is_set());
  EXPECT_EQ(rules[1].destinations, ids({"b"}));
}

TEST(PoliciesInForce, DropToEveryoneAndEverythingWhereDestinationsAreUnknown) {
  Account account;
  account.policy.rules[1].destinations_unreadable = true;
  account.policy.rules[1].destination_resource = {"grouped", "host"};
  const auto found = account.in_force();
  const std::vector<PolicyRule>& rules = found.at(0)->rules;
  ASSERT_EQ(rules.size(), 3U);
  EXPECT_EQ(rules[1].destinations, ids({"a", "b", "c"}));
  EXPECT_FALSE(rules[1].destination_resource.is_set());
  EXPECT_TRUE(rules[2].destinations.empty());
  EXPECT_EQ(rules[2].destination_resource.id, "single");
  EXPECT_EQ(rules[2].sources, ids({"a"}));
}

}  // namespace
}  // namespace nb::netmap
