#include "management/store/edits/group_links.h"

#include "base/error_kinds.h"

#include <algorithm>

namespace nb::management::work {
namespace {

Error linked(std::string_view kind, std::string_view name) {
  return fail(kBadRequest, "group has been linked to {}: {}", kind, name);
}

/// The first of all objects of a kind that mentions the group.
template <class T, class Mentions, class Name>
Result<> none_mentions(AccountEdit& edit, std::string_view kind, Mentions mentions, Name name) {
  NB_LET(const std::vector<T> all, edit.get_all<T>());
  const auto it = std::find_if(all.begin(), all.end(), mentions);
  if (it == all.end()) return {};
  return linked(kind, name(*it));
}

bool mentions(const Policy& policy, const GroupId& id) {
  return std::any_of(policy.rules.begin(), policy.rules.end(), [&](const PolicyRule& rule) {
    // The last authorized group cannot be dropped: a rule without any lets in every user.
    const bool only_authorized =
        rule.authorized_groups.size() == 1 && rule.authorized_groups.contains(id);
    return only_authorized || contains(rule.sources, id) || contains(rule.destinations, id);
  });
}

Result<> check_setup_keys(AccountEdit& edit, const GroupId& id) {
  NB_LET(const std::vector<SetupKey> keys,
         setup_keys(edit.session(), edit.context(), edit.account_id()));
  for (const SetupKey& key : keys)
    if (contains(key.auto_groups, id)) return linked("setup key", key.name);
  return {};
}

Result<> check_services(AccountEdit& edit, const GroupId& id) {
  ObjectReader reader(edit.session(), edit.context(), edit.account_id());
  NB_LET(const std::vector<ProxyService> services, reader.services());
  for (const ProxyService& service : services)
    if (contains(service.access_groups, id)) return linked("reverse proxy service", service.name);
  return {};
}

Result<> check_account(AccountEdit& edit, const GroupId& id) {
  NB_LET(const Account* account, edit.account());
  if (contains(account->dns_disabled_management_groups, id))
    return linked("disabled DNS management groups", id.value());
  // Upstream forgets this one, and the zones' distribution groups.
  if (contains(account->settings.ipv6_enabled_groups, id))
    return linked("settings", "IPv6 enabled groups");
  if (contains(account->settings.extra_integrated_validator_groups, id.value()))
    return linked("integrated validator", id.value());
  return {};
}

}  // namespace

Result<> check_group_unlinked(AccountEdit& edit, const Group& group) {
  const GroupId& id = group.id;
  if (!group.resources.empty()) return linked("network resource", group.resources.front().id);
  NB_TRY(none_mentions<Route>(
      edit, "route",
      [&](const Route& r) {
        return contains(r.groups, id) || contains(r.peer_groups, id) ||
               contains(r.access_control_groups, id);
      },
      [](const Route& r) { return r.net_id; }));
  NB_TRY(none_mentions<NameServerGroup>(
      edit, "name server groups", [&](const NameServerGroup& n) { return contains(n.groups, id); },
      [](const NameServerGroup& n) { return n.name; }));
  NB_TRY(none_mentions<Policy>(
      edit, "policy", [&](const Policy& p) { return mentions(p, id); },
      [](const Policy& p) { return p.name; }));
  NB_TRY(check_setup_keys(edit, id));
  NB_TRY(none_mentions<User>(
      edit, "user", [&](const User& u) { return contains(u.auto_groups, id); },
      [](const User& u) { return u.id.value(); }));
  NB_TRY(none_mentions<NetworkRouter>(
      edit, "network router", [&](const NetworkRouter& r) { return contains(r.peer_groups, id); },
      [](const NetworkRouter& r) { return r.id.value(); }));
  NB_TRY(check_services(edit, id));
  NB_TRY(none_mentions<DnsZone>(
      edit, "zone", [&](const DnsZone& z) { return contains(z.distribution_groups, id); },
      [](const DnsZone& z) { return z.name; }));
  return check_account(edit, id);
}

Result<> drop_group_mentions(AccountEdit& edit, const GroupId& group) {
  NB_LET(const std::vector<Policy> policies, edit.get_all<Policy>());
  for (const Policy& policy : policies)
    for (PolicyRule rule : policy.rules) {
      if (rule.authorized_groups.erase(group) == 0) continue;
      // This column alone: another one may be damaged and would be written as it was read.
      NB_TRY(edit.session().exec(
          "UPDATE policy_rules SET authorized_groups = $2 WHERE id = $1",
          {rule.id.value(), columns::authorized_groups(rule.authorized_groups)}));
      edit.changes().touched(policy.id);
    }
  NB_LET(const Account* account, edit.account());
  std::vector<GroupId> expose = account->settings.peer_expose_groups;
  if (std::erase(expose, group) == 0) return {};
  edit.changes().touched_account();
  NB_TRY(edit.session().exec("UPDATE accounts SET settings_peer_expose_groups = $2 WHERE id = $1",
                             {account->id.value(), columns::ids(expose)}));
  return {};
}

}  // namespace nb::management::work
