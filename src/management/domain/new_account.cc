#include "management/domain/new_account.h"

#include <array>
#include <utility>

namespace nb::management {

Prefix random_network(const RandomFn& random) {
  const auto second = static_cast<std::uint32_t>(64 + random() % 64);
  return {IpAddress::v4(100U << 24 | second << 16), 16};
}

Prefix random_network_v6(const RandomFn& random) {
  std::array<std::uint8_t, 16> bytes{};
  bytes.at(0) = 0xfd;
  std::uint64_t bits = random();
  for (std::size_t i = 1; i < 8; ++i, bits >>= 8) bytes.at(i) = static_cast<std::uint8_t>(bits);
  return {IpAddress::v6(bytes), 64};
}

NewAccount new_account(NewAccountOptions options, const std::function<std::string()>& new_id,
                       const RandomFn& random, WallTime now) {
  NewAccount out;
  Account& account = out.account;
  account.id = AccountId(new_id());
  account.created_by = options.owner;
  account.created_at = now;
  account.domain = std::move(options.domain);
  account.domain_category = std::move(options.domain_category);
  account.is_domain_primary = options.is_domain_primary;
  account.network.identifier = new_id();
  account.network.net = random_network(random);
  account.network.net_v6 = random_network_v6(random);

  out.owner.id = std::move(options.owner);
  out.owner.account_id = account.id;
  out.owner.role = kRoleOwner;
  out.owner.issued = kIssuedApi;
  out.owner.created_at = now;
  out.owner.name = std::move(options.owner_name);
  out.owner.email = std::move(options.owner_email);

  out.all.id = GroupId(new_id());
  out.all.account_id = account.id;
  out.all.public_id = PublicId(new_id());
  out.all.name = kGroupAllName;
  out.all.issued = kIssuedApi;
  account.settings.ipv6_enabled_groups = {out.all.id};

  if (!options.default_policy) return out;
  Policy policy;
  policy.id = PolicyId(new_id());
  policy.public_id = PublicId(new_id());
  policy.account_id = account.id;
  policy.name = "Default";
  // Upstream's tools compare this text; contract/network-map.md §6.1.
  policy.description = "This is a default rule that allows connections between all the resources";
  policy.enabled = true;
  PolicyRule rule;
  rule.id = RuleId(policy.id.value());
  rule.policy_id = policy.id;
  rule.name = policy.name;
  rule.description = policy.description;
  rule.enabled = true;
  rule.action = kActionAccept;
  rule.sources = {out.all.id};
  rule.destinations = {out.all.id};
  rule.bidirectional = true;
  rule.protocol = kProtocolAll;
  policy.rules.push_back(std::move(rule));
  out.default_policy = std::move(policy);
  return out;
}

}  // namespace nb::management
