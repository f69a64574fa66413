#include "management/store/dangling_ids.h"

#include <span>

namespace nb::management::work {
namespace {

class Counter {
 public:
  explicit Counter(const AccountSnapshot& account) : account_(account) {}

  void groups(const std::vector<GroupId>& ids) {
    for (const GroupId& id : ids) add(account_.group(id) != nullptr);
  }
  void peer(const PeerId& id) { add(id.empty() || account_.peer(id) != nullptr); }
  void resource(const Resource& one) {
    if (!one.is_set()) return;
    add(one.type == kResourcePeer ? account_.peer(PeerId(one.id)) != nullptr
                                  : account_.resources.find(ResourceId(one.id)) != nullptr);
  }
  void add(bool there) { count_ += there ? 0 : 1; }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  const AccountSnapshot& account_;
  std::size_t count_ = 0;
};

void count(Counter& out, const AccountSnapshot& /*all*/, const Account& account) {
  out.groups(account.dns_disabled_management_groups);
  out.groups(account.settings.ipv6_enabled_groups);
}
void count(Counter& out, const AccountSnapshot& /*all*/, const Group& group) {
  for (const Resource& one : group.resources) out.resource(one);
}
void count(Counter& out, const AccountSnapshot& all, const Policy& policy) {
  for (const PostureCheckId& id : policy.source_posture_checks)
    out.add(all.posture_checks.find(id) != nullptr);
}
void count(Counter& out, const AccountSnapshot& all, const PolicyRule& rule) {
  out.groups(rule.sources);
  out.groups(rule.destinations);
  out.resource(rule.source_resource);
  out.resource(rule.destination_resource);
  for (const auto& [group, users] : rule.authorized_groups) out.add(all.group(group) != nullptr);
  const UserId user(rule.authorized_user);
  out.add(user.empty() || all.user(user) != nullptr);
}
void count(Counter& out, const AccountSnapshot& /*all*/, const Route& route) {
  out.peer(route.peer);
  out.groups(route.peer_groups);
  out.groups(route.groups);
  out.groups(route.access_control_groups);
}
void count(Counter& out, const AccountSnapshot& all, const NetworkRouter& router) {
  out.add(all.networks.find(router.network_id) != nullptr);
  out.peer(router.peer);
  out.groups(router.peer_groups);
}
void count(Counter& out, const AccountSnapshot& all, const NetworkResource& resource) {
  out.add(all.networks.find(resource.network_id) != nullptr);
}
void count(Counter& out, const AccountSnapshot& /*all*/, const NameServerGroup& servers) {
  out.groups(servers.groups);
}
void count(Counter& out, const AccountSnapshot& /*all*/, const DnsZone& zone) {
  out.groups(zone.distribution_groups);
}

}  // namespace

std::vector<DanglingIds> dangling_ids(const AccountSnapshot& account) {
  std::vector<DanglingIds> out;
  const auto add = [&](std::string_view table, const Counter& counter) {
    if (counter.count() > 0) out.push_back({table, counter.count()});
  };
  const auto each = [&](std::string_view table, const auto& objects) {
    Counter counter(account);
    for (const auto& object : objects) count(counter, account, object);
    add(table, counter);
  };
  each("accounts", std::span(&account.account, 1));
  each("groups", account.groups);
  each("policies", account.policies);
  Counter rules(account);
  for (const Policy& policy : account.policies)
    for (const PolicyRule& rule : policy.rules) count(rules, account, rule);
  add("policy_rules", rules);
  each("routes", account.routes);
  each("network_routers", account.routers);
  each("network_resources", account.resources);
  each("name_server_groups", account.name_server_groups);
  each("zones", account.zones);
  return out;
}

}  // namespace nb::management::work
