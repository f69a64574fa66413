#include "management/netmap/test_random_edits.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace nb::netmap::test {

using namespace management;  // NOLINT: the file's only subject

namespace {

constexpr WallTime kLongAgo{std::chrono::sys_days{std::chrono::year(2020) / 1 / 1}};
constexpr WallTime kFarAway{std::chrono::sys_days{std::chrono::year(2099) / 1 / 1}};
constexpr std::uint32_t kFreeAddress = 0x64408000U;  // beyond those of RandomAccount

}  // namespace

template <class T>
void RandomEdits::apply(const Fields<T>& fields, T& object) {
  const Field<T>& field = fields[below(fields.size())];
  said_ += fmt::format(" {}", field.name);
  field.edit(object);
}

template <class T>
bool RandomEdits::edit(const char* kind, const EntityTable<T>& table, EntityChanges<T>& changes,
                       const Fields<T>& fields) {
  if (table.empty()) return false;
  const std::size_t position = below(table.size());
  said_ = fmt::format("{} {}", kind, table[position].id.value());
  if (chance(0.1)) {
    said_ += " removed";
    changes.removed.push_back(table[position].id);
    return true;
  }
  T object = table[position];
  apply(fields, object);
  changes.upserts.push_back(std::make_shared<const T>(std::move(object)));
  return true;
}

RandomEdits::Fields<Account> RandomEdits::account_fields() {
  return {
      {"network", [](Account& a) { a.network.net.length = a.network.net.length == 16 ? 10 : 16; }},
      {"network v6",
       [](Account& a) {
         a.network.net_v6 =
             a.network.net_v6.is_set() ? Prefix{} : *Prefix::parse("fd00:1:2:3::/64");
       }},
      {"names off",
       [this](Account& a) { toggle(a.dns_disabled_management_groups, account_->groups); }},
      {"expiration", [](Account& a) { flip(a.settings.peer_login_expiration_enabled); }},
      {"expiration after",
       [this](Account& a) {
         a.settings.peer_login_expiration = std::chrono::hours(1 + below(500'000));
       }},
      {"approval", [](Account& a) { flip(a.settings.extra_peer_approval_enabled); }},
      {"domain",
       [this](Account& a) {
         a.settings.dns_domain = one_of({"", "corp.example", "b.example"});
       }},
      {"routing dns", [](Account& a) { flip(a.settings.routing_peer_dns_resolution_enabled); }},
      {"lazy", [](Account& a) { flip(a.settings.lazy_connection_enabled); }},
      {"auto update",
       [this](Account& a) {
         a.settings.auto_update_version = one_of({"latest", "0.61.0"});
       }},
      {"auto update always", [](Account& a) { flip(a.settings.auto_update_always); }},
      {"ipv6 groups",
       [this](Account& a) { toggle(a.settings.ipv6_enabled_groups, account_->groups); }},
  };
}

RandomEdits::Fields<User> RandomEdits::user_fields() {
  return {
      {"blocked", [](User& u) { flip(u.blocked); }},
      {"service user", [](User& u) { flip(u.is_service_user); }},
      {"groups", [this](User& u) { toggle(u.auto_groups, account_->groups); }},
      {"role",
       [this](User& u) {
         u.role = one_of({"admin", "user"});
       }},
  };
}

RandomEdits::Fields<Peer> RandomEdits::peer_fields() {
  return {
      {"key", [this](Peer& p) { p.key = PeerKey(fmt::format("key-moved-{}", ++moved_)); }},
      {"ip", [this](Peer& p) { p.ip = IpAddress::v4(kFreeAddress + ++moved_); }},
      {"ipv6",
       [this](Peer& p) {
         p.ipv6 = p.ipv6.is_set() ? IpAddress{}
                                  : *IpAddress::parse(fmt::format("fd00:1:2:3::8:{:x}", ++moved_));
       }},
      {"label", [this](Peer& p) { p.dns_label = fmt::format("renamed-{}", ++moved_); }},
      {"extra labels",
       [](Peer& p) {
         if (p.extra_dns_labels.empty())
           p.extra_dns_labels = {"api"};
         else
           p.extra_dns_labels.clear();
       }},
      {"ssh", [](Peer& p) { flip(p.ssh_enabled); }},
      {"ssh key", [this](Peer& p) { p.ssh_key = fmt::format("ssh-ed25519 {}", ++moved_); }},
      {"user",
       [this](Peer& p) { p.user_id = p.user_id.empty() ? any_id(account_->users) : UserId(); }},
      {"expires", [](Peer& p) { flip(p.login_expiration_enabled); }},
      {"last login",
       [this](Peer& p) {
         if (p.last_login && chance(0.3))
           p.last_login.reset();
         else
           p.last_login = p.last_login == kLongAgo ? kFarAway : kLongAgo;
       }},
      {"expired", [](Peer& p) { flip(p.status.login_expired); }},
      {"approval", [](Peer& p) { flip(p.status.requires_approval); }},
      {"connected", [](Peer& p) { flip(p.status.connected); }},
      {"embedded",
       [this](Peer& p) {
         flip(p.proxy_embedded);
         if (p.proxy_cluster.empty()) p.proxy_cluster = one_of({"eu.proxy.example"});
       }},
      {"cluster",
       [this](Peer& p) {
         p.proxy_cluster = one_of({"eu.proxy.example", "us.proxy.example"});
       }},
  };
}

RandomEdits::Fields<Peer> RandomEdits::machine_fields() {
  const auto toggle_capability = [](Peer& p, std::int32_t capability) {
    if (std::erase(p.meta.capabilities, capability) == 0) p.meta.capabilities.push_back(capability);
  };
  return {
      {"version",
       [this](Peer& p) {
         p.meta.wt_version = one_of({"0.60.1", "0.58.9", "0.47.0", "0.29.2", "development", ""});
       }},
      {"system",
       [this](Peer& p) {
         p.meta.go_os = one_of({"linux", "darwin", "windows", "android", "ios"});
       }},
      {"kernel",
       [this](Peer& p) {
         p.meta.kernel_version = one_of({"6.1.0-13", "5.15.0"});
       }},
      {"system's version",
       [this](Peer& p) {
         p.meta.os_version = one_of({"14.2", "13.0"});
       }},
      {"server ssh", [](Peer& p) { flip(p.meta.flags.server_ssh_allowed); }},
      {"no ipv6", [](Peer& p) { flip(p.meta.flags.disable_ipv6); }},
      {"source prefixes", [=](Peer& p) { toggle_capability(p, kCapabilitySourcePrefixes); }},
      {"ipv6 overlay", [=](Peer& p) { toggle_capability(p, kCapabilityIpv6Overlay); }},
      {"form", [this](Peer& p) { p.meta.sync_message_version = static_cast<int>(below(3)); }},
      {"files",
       [this](Peer& p) {
         p.meta.files = {{"/bin/agent", true, chance(0.5)}};
       }},
      {"addresses",
       [this](Peer& p) {
         p.meta.network_addresses = {{*Prefix::parse(one_of({"10.1.2.3/24", "10.0.0.1/7"})), "aa"}};
       }},
      {"connects from",
       [this](Peer& p) {
         p.location.connection_ip = *IpAddress::parse(one_of({"10.9.9.9", "203.0.113.7"}));
       }},
      {"country",
       [this](Peer& p) {
         p.location.country_code = one_of({"", "DE", "FR"});
       }},
      {"city",
       [this](Peer& p) {
         p.location.city_name = one_of({"", "Berlin"});
       }},
  };
}

RandomEdits::Fields<Group> RandomEdits::group_fields() {
  return {
      {"members", [this](Group& g) { toggle(g.peers, account_->peers); }},
      {"name",
       [](Group& g) {
         // The one group of everybody loses its name and gets it back.
         const bool everybody = g.id == GroupId("g-all");
         g.name = everybody && !g.is_all() ? std::string(kGroupAllName) : g.name + " renamed";
       }},
      {"resources",
       [this](Group& g) {
         const Resource resource{any_id(account_->resources).value(), "host"};
         if (std::erase(g.resources, resource) == 0) g.resources.push_back(resource);
       }},
  };
}

SnapshotDelta RandomEdits::next(const AccountSnapshot& of) {
  account_ = &of;
  SnapshotDelta out;
  out.account = of.account;
  ++out.account.serial;
  const auto one_rule = [this](Policy& policy) {
    if (!policy.rules.empty()) apply(rule_fields(), policy.rules[below(policy.rules.size())]);
  };
  const auto once = [&] {
    switch (below(18)) {
      case 0:
        said_ = "account";
        apply(account_fields(), out.account);
        return true;
      case 1:
        return edit("user", of.users, out.users, user_fields());
      case 2:
      case 3:
        return edit("peer", of.peers, out.peers, peer_fields());
      case 4:
        return edit("peer", of.peers, out.peers, machine_fields());
      case 5:
      case 6:
        return edit("group", of.groups, out.groups, group_fields());
      case 7:
        return edit("policy", of.policies, out.policies, policy_fields());
      case 8:
      case 9:
        return edit("rule of", of.policies, out.policies, Fields<Policy>{{"'s", one_rule}});
      case 10:
        return edit("check", of.posture_checks, out.posture_checks, check_fields());
      case 11:
        return edit("route", of.routes, out.routes, route_fields());
      case 12:
        return edit("router", of.routers, out.routers, router_fields());
      case 13:
        return edit("resource", of.resources, out.resources, resource_fields());
      case 14:
        return edit("nameservers", of.name_server_groups, out.name_server_groups,
                    name_server_fields());
      case 15:
        return edit("zone", of.zones, out.zones, zone_fields());
      case 16:
        return edit("service", of.services, out.services, service_fields());
      default:
        return edit("custom domain", of.proxy_domains, out.proxy_domains, domain_fields());
    }
  };
  while (!once()) {
  }
  return out;
}

}  // namespace nb::netmap::test
