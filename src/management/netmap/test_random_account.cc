#include "management/netmap/test_random_account.h"

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
constexpr std::size_t kChecks = 3;
constexpr std::size_t kNetworks = 3;
constexpr std::size_t kResources = 5;
constexpr std::size_t kUsers = 5;

template <class T>
EntityChanges<T> upsert(T item) {
  EntityChanges<T> out;
  out.upserts.push_back(std::make_shared<const T>(std::move(item)));
  return out;
}

}  // namespace

std::string RandomAccount::id(const char* kind, std::size_t count) {
  // One of a dozen refers to nothing.
  return fmt::format("{}{:02}", kind, chance(0.08) ? 90 : below(std::max<std::size_t>(count, 1)));
}

RandomAccount::GroupIds RandomAccount::some_groups(std::size_t max) {
  GroupIds out;
  const std::size_t count = 1 + below(max);
  for (std::size_t i = 0; i < count; ++i)
    out.emplace_back(chance(0.1) ? "g-all" : id("g", groups_));
  return out;
}

Resource RandomAccount::some_peer() {
  return {id("p", peers_), "peer"};
}

Account RandomAccount::account() {
  Account out;
  out.id = AccountId("acc");
  out.serial = 1;
  out.network.identifier = "net";
  out.network.net = *Prefix::parse("100.64.0.0/16");
  out.network.net_v6 = *Prefix::parse("fd00:1:2:3::/64");
  auto& settings = out.settings;
  settings.peer_login_expiration_enabled = chance(0.7);
  settings.extra_peer_approval_enabled = chance(0.4);
  settings.dns_domain = chance(0.2) ? "corp.example" : "";
  settings.routing_peer_dns_resolution_enabled = chance(0.5);
  if (chance(0.8)) settings.ipv6_enabled_groups = some_groups(2);
  if (chance(0.3)) out.dns_disabled_management_groups = some_groups(2);
  return out;
}

User RandomAccount::user(std::size_t number) {
  User out;
  out.id = UserId(fmt::format("u{:02}", number));
  out.account_id = AccountId("acc");
  out.is_service_user = chance(0.1);
  out.blocked = chance(0.2);
  if (chance(0.8)) out.auto_groups = some_groups(3);
  return out;
}

Peer RandomAccount::peer(std::size_t number) {
  Peer out;
  out.id = PeerId(fmt::format("p{:02}", number));
  out.account_id = AccountId("acc");
  out.key = PeerKey(fmt::format("key-{:02}-{}", number, chance(0.1) ? "new" : ""));
  out.ip = IpAddress::v4(0x64400001U + static_cast<std::uint32_t>(number));
  if (chance(0.6)) out.ipv6 = *IpAddress::parse(fmt::format("fd00:1:2:3::{:x}", number + 1));
  out.name = out.dns_label = fmt::format("host-{}{}", number, chance(0.1) ? "-x" : "");
  if (chance(0.2)) out.extra_dns_labels = {"api", "*.apps"};
  auto& meta = out.meta;
  meta.wt_version = chance(0.8) ? one_of({"0.60.1", "0.61.0", "development"})
                                : one_of({"0.29.2", "0.47.0", "0.50.0", "0.60.0-rc1", ""});
  meta.go_os = one_of({"linux", "linux", "darwin", "windows"});
  meta.kernel_version = one_of({"6.1.0-13", "5.15.0", "10.0.19045"});
  meta.os_version = one_of({"14.2", "13.0"});
  meta.flags.server_ssh_allowed = chance(0.5);
  meta.flags.disable_ipv6 = chance(0.1);
  if (chance(0.7)) meta.capabilities.push_back(kCapabilitySourcePrefixes);
  if (chance(0.7)) meta.capabilities.push_back(kCapabilityIpv6Overlay);
  if (chance(0.5)) meta.files = {{"/bin/agent", true, chance(0.5)}};
  if (chance(0.5)) meta.network_addresses = {{*Prefix::parse("10.1.2.3/24"), "aa"}};
  if (chance(0.5)) out.location.country_code = one_of({"DE", "FR"});
  out.ssh_enabled = chance(0.4);
  out.ssh_key = chance(0.8) ? "ssh-ed25519 AAAA" : "";
  if (chance(0.6)) out.user_id = UserId(id("u", kUsers));
  out.login_expiration_enabled = chance(0.6);
  if (chance(0.9)) out.last_login = chance(0.3) ? kLongAgo : kFarAway;
  out.status.login_expired = chance(0.1);
  out.status.requires_approval = chance(0.2);
  if (chance(0.1)) {
    out.proxy_embedded = true;
    out.proxy_cluster = one_of({"eu.proxy.example", "us.proxy.example"});
    out.status.connected = chance(0.7);
    out.user_id = {};
  }
  return out;
}

Group RandomAccount::group(std::size_t number) {
  Group out;
  out.id = GroupId(fmt::format("g{:02}", number));
  out.account_id = AccountId("acc");
  out.name = fmt::format("group {}", number);
  for (std::size_t i = 0; i < peers_; ++i)
    if (chance(0.35)) out.peers.emplace_back(fmt::format("p{:02}", i));
  if (chance(0.05)) out.peers.emplace_back("p90");
  if (chance(0.3)) out.resources.push_back({id("res", kResources), "host"});
  if (chance(0.1)) out.resources.push_back({id("res", kResources), "domain"});
  return out;
}

PolicyRule RandomAccount::rule(const std::string& rule_id) {
  PolicyRule out;
  out.id = RuleId(rule_id);
  out.enabled = chance(0.9);
  out.action = chance(0.85) ? "accept" : "drop";
  out.bidirectional = chance(0.5);
  out.protocol = one_of({"all", "tcp", "tcp", "udp", "icmp", "netbird-ssh"});
  if (out.protocol == "tcp" || out.protocol == "udp" || out.protocol == "netbird-ssh") {
    if (chance(0.4))
      out.ports = {one_of({"22", "80", "443"}), one_of({"22022", "8080"})};
    else if (chance(0.5))
      out.port_ranges = {{20, 30}, {443, 443}};
  }
  if (out.protocol == "netbird-ssh") {
    if (chance(0.4)) out.authorized_groups[GroupId(id("g", groups_))] = {"root", "ubuntu"};
    if (chance(0.3)) out.authorized_groups[GroupId(id("g", groups_))] = {};
    if (chance(0.3)) out.authorized_user = id("u", kUsers);
  }
  if (chance(0.15))
    out.source_resource = some_peer();
  else
    out.sources = some_groups(3);
  if (chance(0.15))
    out.destination_resource = some_peer();
  else if (chance(0.3))
    out.destination_resource = {id("res", kResources), "host"};
  else
    out.destinations = some_groups(3);
  return out;
}

Policy RandomAccount::policy(std::size_t number) {
  Policy out;
  const std::string name = fmt::format("pol{:02}", number);
  out.id = PolicyId(name);
  out.account_id = AccountId("acc");
  out.enabled = chance(0.9);
  out.order = (order_ + 7) % 11;  // neither by id nor unique
  order_ += 3;
  if (chance(0.3)) out.source_posture_checks.emplace_back(id("chk", kChecks));
  if (chance(0.15)) out.source_posture_checks.emplace_back(id("chk", kChecks));
  const std::size_t rules = chance(0.75) ? 1 : 2;
  for (std::size_t i = 0; i < rules; ++i) {
    out.rules.push_back(rule(i == 0 ? name : name + "-more"));
    out.rules.back().policy_id = out.id;
  }
  return out;
}

PostureCheck RandomAccount::check(std::size_t number) {
  PostureCheck out;
  out.id = PostureCheckId(fmt::format("chk{:02}", number));
  out.account_id = AccountId("acc");
  switch (below(4)) {
    case 0:
      out.checks.nb_version_min = one_of({"0.60.0", "0.61.0"});
      break;
    case 1:
      out.checks.processes = {{.linux_path = "/bin/agent", .mac_path = "/mac", .windows_path = ""}};
      break;
    case 2:
      out.checks.geo_location = {.locations = {{"DE", ""}}, .action = one_of({"allow", "deny"})};
      break;
    default:
      out.checks.network_range = {.ranges = {*Prefix::parse("10.0.0.0/8")},
                                  .action = one_of({"allow", "deny"})};
  }
  return out;
}

Route RandomAccount::route(std::size_t number) {
  Route out;
  out.id = RouteId(fmt::format("rt{:02}", number));
  out.account_id = AccountId("acc");
  out.net_id = one_of({"net-a", "net-b", "net-c"});
  out.enabled = chance(0.8);
  out.metric = 9999;
  out.masquerade = chance(0.5);
  out.keep_route = chance(0.3);
  switch (below(5)) {
    case 0:
      out.network = *Prefix::parse("192.0.2.0/32");
      out.network_type = kNetworkTypeDomain;
      out.domains = {"example.com", "*.example.org"};
      break;
    case 1:
      out.network = *Prefix::parse("0.0.0.0/0");
      out.network_type = kNetworkTypeIpv4;
      out.skip_auto_apply = chance(0.5);
      break;
    case 2:
      out.network = *Prefix::parse("2001:db8::/48");
      out.network_type = kNetworkTypeIpv6;
      break;
    default:
      out.network = *Prefix::parse(one_of({"10.10.0.0/16", "10.20.0.0/16"}));
      out.network_type = kNetworkTypeIpv4;
  }
  if (chance(0.5))
    out.peer = PeerId(id("p", peers_));
  else
    out.peer_groups = some_groups(2);
  out.groups = some_groups(2);
  if (chance(0.5)) out.access_control_groups = some_groups(2);
  return out;
}

NetworkRouter RandomAccount::router(std::size_t number) {
  NetworkRouter out;
  out.id = RouterId(fmt::format("rtr{:02}", number));
  out.network_id = NetworkId(id("nw", kNetworks));
  out.account_id = AccountId("acc");
  out.enabled = chance(0.9);
  out.metric = static_cast<std::int64_t>(100 + below(3));
  out.masquerade = chance(0.5);
  out.order = (order_ += 5) % 7;
  if (chance(0.6))
    out.peer = PeerId(id("p", peers_));
  else
    out.peer_groups = some_groups(2);
  return out;
}

NetworkResource RandomAccount::resource(std::size_t number) {
  NetworkResource out;
  out.id = ResourceId(fmt::format("res{:02}", number));
  out.network_id = NetworkId(id("nw", kNetworks));
  out.account_id = AccountId("acc");
  out.name = fmt::format("resource {}", number);
  out.enabled = chance(0.9);
  if (chance(0.3)) {
    out.type = std::string(kResourceDomain);
    out.domain = "*.Svc.example.com";
  } else {
    out.type = std::string(kResourceSubnet);
    out.prefix =
        *Prefix::parse(one_of({"10.7.0.0/24", "10.8.0.1/32", "2001:db8:7::/64", "0.0.0.0/0"}));
  }
  return out;
}

NameServerGroup RandomAccount::name_servers(std::size_t number) {
  NameServerGroup out;
  out.id = NameServerGroupId(fmt::format("ns{:02}", number));
  out.account_id = AccountId("acc");
  out.enabled = chance(0.9);
  out.groups = some_groups(2);
  out.primary = chance(0.5);
  if (!out.primary) out.domains = {"corp.example", "lab.example"};
  out.search_domains_enabled = chance(0.3);
  out.name_servers.push_back({.ip = *IpAddress::parse("1.1.1.1")});
  if (chance(0.4)) out.name_servers.push_back({.ip = IpAddress::v4(0x64400001U)});
  return out;
}

DnsZone RandomAccount::zone(std::size_t number) {
  DnsZone out;
  out.id = ZoneId(fmt::format("zone{:02}", number));
  out.account_id = AccountId("acc");
  out.domain = fmt::format("zone{}.example", number);
  out.enabled = chance(0.9);
  out.enable_search_domain = chance(0.5);
  out.distribution_groups = some_groups(2);
  const std::size_t records = below(3);
  for (std::size_t i = 0; i < records; ++i) {
    DnsZoneRecord record;
    record.id = RecordId(fmt::format("rec{}", i));
    record.name = fmt::format("r{}.{}", i, out.domain);
    record.type = one_of({"A", "AAAA", "CNAME", "TXT"});
    record.content = one_of({"10.0.0.1", "other.example"});
    record.ttl = static_cast<std::int64_t>(below(2) * 300);
    out.records.push_back(std::move(record));
  }
  return out;
}

ProxyService RandomAccount::service(std::size_t number) {
  ProxyService out;
  out.id = ServiceId(fmt::format("svc{:02}", number));
  out.account_id = AccountId("acc");
  out.name = "service";
  out.proxy_cluster = one_of({"eu.proxy.example", "us.proxy.example"});
  out.domain = fmt::format("app{}.{}", number,
                           chance(0.6) ? out.proxy_cluster : std::string("custom.example"));
  out.enabled = chance(0.9);
  out.terminated = chance(0.2);
  out.mode = one_of({"http", "tcp", "udp"});
  out.is_private = chance(0.5);
  out.access_groups = some_groups(2);
  const std::size_t targets = below(3);
  for (std::size_t i = 0; i < targets; ++i) {
    ServiceTarget target;
    target.id = static_cast<std::int64_t>(i);
    target.path = chance(0.5) ? "/" : "";  // equal paths make equal rule ids
    target.port = static_cast<std::int64_t>(below(2) * 8080);
    target.protocol = one_of({"http", "https", "tcp"});
    target.enabled = chance(0.9);
    target.target_type = one_of({"peer", "host", "domain"});
    target.target_id = target.target_type == "peer" ? id("p", peers_) : id("res", kResources);
    out.targets.push_back(std::move(target));
  }
  return out;
}

namespace {

template <class Make>
auto table_of(std::size_t count, Make make) {
  std::vector<decltype(make(std::size_t{0}))> items;
  for (std::size_t i = 0; i < count; ++i) items.push_back(make(i));
  return EntityTable<decltype(make(std::size_t{0}))>(std::move(items));
}

}  // namespace

AccountSnapshotPtr RandomAccount::make() {
  auto out = std::make_shared<AccountSnapshot>();
  peers_ = 2 + below(chance(0.05) ? 88 : 12);
  groups_ = 1 + below(6);
  out->account = account();
  out->users = table_of(kUsers, [&](std::size_t i) { return user(i); });
  out->peers = table_of(peers_, [&](std::size_t i) { return peer(i); });
  std::vector<Group> groups;
  for (std::size_t i = 0; i < groups_; ++i) groups.push_back(group(i));
  Group all = group(0);
  all.id = GroupId("g-all");
  all.name = std::string(kGroupAllName);
  all.peers.clear();
  for (const Peer& member : out->peers)
    if (!member.proxy_embedded || chance(0.1)) all.peers.push_back(member.id);
  groups.push_back(std::move(all));
  out->groups = EntityTable<Group>(std::move(groups));
  out->policies = table_of(1 + below(6), [&](std::size_t i) { return policy(i); });
  out->posture_checks = table_of(below(kChecks + 1), [&](std::size_t i) { return check(i); });
  out->routes = table_of(below(5), [&](std::size_t i) { return route(i); });
  out->networks = table_of(kNetworks, [&](std::size_t i) {
    Network network;
    network.id = NetworkId(fmt::format("nw{:02}", i));
    network.account_id = AccountId("acc");
    return network;
  });
  out->routers = table_of(below(5), [&](std::size_t i) { return router(i); });
  out->resources = table_of(below(kResources), [&](std::size_t i) { return resource(i); });
  out->name_server_groups = table_of(below(3), [&](std::size_t i) { return name_servers(i); });
  out->zones = table_of(below(3), [&](std::size_t i) { return zone(i); });
  out->services = table_of(below(3), [&](std::size_t i) { return service(i); });
  if (chance(0.5)) {
    ProxyDomain domain;
    domain.id = ProxyDomainId("dom");
    domain.domain = "custom.example";
    domain.target_cluster = "eu.proxy.example";
    out->proxy_domains = EntityTable<ProxyDomain>(std::vector<ProxyDomain>{domain});
  }
  return out;
}

SnapshotDelta RandomAccount::change(const AccountSnapshot& of) {
  SnapshotDelta out;
  out.account = of.account;
  ++out.account.serial;
  const auto any = [&](const auto& table) { return below(table.size() + 1); };  // or a new one
  switch (below(16)) {
    case 0: {
      out.account = account();
      out.account.serial = of.account.serial + 1;
      break;
    }
    case 1:
      out.users = upsert(user(below(kUsers)));
      break;
    case 2:
      out.peers = upsert(peer(below(peers_ + 1)));
      break;
    case 3:
      out.peers.removed.emplace_back(id("p", peers_));
      break;
    case 4: {  // a peer comes and joins groups
      Peer joining = peer(peers_ < 89 ? peers_++ : 88);
      for (const Group& group : of.groups)
        if (chance(0.4)) {
          Group with = group;
          std::erase(with.peers, joining.id);
          with.peers.insert(std::ranges::upper_bound(with.peers, joining.id), joining.id);
          out.groups.upserts.push_back(std::make_shared<const Group>(std::move(with)));
        }
      out.peers = upsert(std::move(joining));
      break;
    }
    case 5:
      out.groups = upsert(group(below(groups_ + 1)));
      break;
    case 6:
      out.groups.removed.emplace_back(id("g", groups_));
      break;
    case 7:
    case 8:
      out.policies = upsert(policy(any(of.policies)));
      break;
    case 9:
      out.posture_checks = upsert(check(below(kChecks)));
      break;
    case 10:
      out.routes = upsert(route(any(of.routes)));
      break;
    case 11:
      out.routers = upsert(router(any(of.routers)));
      break;
    case 12:
      out.resources = upsert(resource(any(of.resources)));
      break;
    case 13:
      out.name_server_groups = upsert(name_servers(any(of.name_server_groups)));
      break;
    case 14:
      out.zones = upsert(zone(any(of.zones)));
      break;
    default:
      out.services = upsert(service(any(of.services)));
  }
  if (chance(0.2)) {  // something goes as well
    if (chance(0.5) && !of.policies.empty())
      out.policies.removed.push_back(of.policies[below(of.policies.size())].id);
    else if (!of.routes.empty())
      out.routes.removed.push_back(of.routes[below(of.routes.size())].id);
  }
  return out;
}

SnapshotDelta RandomAccount::noise(const AccountSnapshot& of) {
  SnapshotDelta out;
  out.account = of.account;
  ++out.account.serial;
  if (of.peers.empty()) return out;
  Peer peer = of.peers[below(of.peers.size())];
  peer.status.last_seen = kFarAway;
  peer.meta.hostname += "-renamed";
  peer.meta.system_serial_number = "123";
  if (!peer.proxy_embedded) peer.status.connected = !peer.status.connected;
  out.peers = upsert(std::move(peer));
  return out;
}

}  // namespace nb::netmap::test
