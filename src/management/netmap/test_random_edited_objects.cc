// What RandomEdits does to rules, routes, networks, names and services.
#include "management/netmap/test_random_edits.h"

#include <fmt/format.h>

#include <utility>

namespace nb::netmap::test {

using namespace management;  // NOLINT: the file's only subject

RandomEdits::Fields<PolicyRule> RandomEdits::rule_fields() {
  return {
      {"enabled", [](PolicyRule& r) { flip(r.enabled); }},
      {"action", [](PolicyRule& r) { r.action = r.action == "drop" ? "accept" : "drop"; }},
      {"direction", [](PolicyRule& r) { flip(r.bidirectional); }},
      {"protocol",
       [this](PolicyRule& r) {
         r.protocol = one_of({"all", "tcp", "udp", "icmp", "netbird-ssh", "unknown"});
       }},
      {"ports",
       [this](PolicyRule& r) {
         r.ports = {one_of({"22", "80", "22022"})};
       }},
      {"no ports", [](PolicyRule& r) { r.ports.clear(); }},
      {"ranges",
       [this](PolicyRule& r) {
         r.ports.clear();
         r.port_ranges = {{static_cast<std::uint16_t>(20 + below(4)), 23}};
       }},
      {"sources",
       [this](PolicyRule& r) {
         r.source_resource = {};
         toggle(r.sources, account_->groups);
       }},
      {"source peer",
       [this](PolicyRule& r) {
         r.sources.clear();
         r.source_resource = {any_id(account_->peers).value(), "peer"};
       }},
      {"destinations",
       [this](PolicyRule& r) {
         r.destination_resource = {};
         toggle(r.destinations, account_->groups);
       }},
      {"destination peer",
       [this](PolicyRule& r) {
         r.destinations.clear();
         r.destination_resource = {any_id(account_->peers).value(), "peer"};
       }},
      {"destination resource",
       [this](PolicyRule& r) {
         r.destinations.clear();
         r.destination_resource = {any_id(account_->resources).value(), "subnet"};
       }},
      {"authorized groups",
       [this](PolicyRule& r) {
         const GroupId group = any_id(account_->groups);
         if (r.authorized_groups.erase(group) == 0) r.authorized_groups[group] = {"root"};
       }},
      {"sources unreadable", [](PolicyRule& r) { flip(r.sources_unreadable); }},
      {"destinations unreadable", [](PolicyRule& r) { flip(r.destinations_unreadable); }},
      {"authorized user",
       [this](PolicyRule& r) { r.authorized_user = any_id(account_->users).value(); }},
  };
}

RandomEdits::Fields<Policy> RandomEdits::policy_fields() {
  return {
      {"enabled", [](Policy& p) { flip(p.enabled); }},
      {"checks", [this](Policy& p) { toggle(p.source_posture_checks, account_->posture_checks); }},
      {"order", [this](Policy& p) { p.order = static_cast<std::int64_t>(below(11)); }},
      {"one rule less",
       [](Policy& p) {
         if (p.rules.size() > 1) p.rules.pop_back();
       }},
  };
}

RandomEdits::Fields<PostureCheck> RandomEdits::check_fields() {
  return {
      {"version",
       [this](PostureCheck& c) {
         c.checks.nb_version_min = one_of({"0.50.0", "0.61.0"});
       }},
      {"no version", [](PostureCheck& c) { c.checks.nb_version_min.reset(); }},
      {"system",
       [this](PostureCheck& c) {
         OsVersionCheck check;
         check.linux_kernel = one_of({"5.0.0", "6.0.0"});
         if (chance(0.5)) check.darwin = "14.0";
         if (chance(0.5)) check.android = "13.0";
         c.checks.os_version = std::move(check);
       }},
      {"place",
       [this](PostureCheck& c) {
         c.checks.geo_location = {.locations = {{"DE", one_of({"", "Berlin"})}},
                                  .action = one_of({"allow", "deny", "unknown"})};
       }},
      {"range",
       [this](PostureCheck& c) {
         c.checks.network_range = {.ranges = {*Prefix::parse("10.0.0.0/8")},
                                   .action = one_of({"allow", "deny"})};
       }},
      {"processes",
       [this](PostureCheck& c) {
         c.checks.processes = {{.linux_path = one_of({"/bin/agent", "/bin/other"}),
                                .mac_path = "/mac",
                                .windows_path = ""}};
       }},
      {"unreadable", [](PostureCheck& c) { flip(c.checks.unreadable); }},
  };
}

RandomEdits::Fields<Route> RandomEdits::route_fields() {
  return {
      {"enabled", [](Route& r) { flip(r.enabled); }},
      {"metric", [this](Route& r) { r.metric = static_cast<std::int64_t>(1 + below(9'999)); }},
      {"masquerade", [](Route& r) { flip(r.masquerade); }},
      {"keep", [](Route& r) { flip(r.keep_route); }},
      {"by hand", [](Route& r) { flip(r.skip_auto_apply); }},
      {"net id",
       [this](Route& r) {
         r.net_id = one_of({"net-a", "net-b", "net-c"});
       }},
      {"groups", [this](Route& r) { toggle(r.groups, account_->groups); }},
      {"access groups", [this](Route& r) { toggle(r.access_control_groups, account_->groups); }},
      {"peer",
       [this](Route& r) {
         r.peer_groups.clear();
         r.peer = any_id(account_->peers);
       }},
      {"peer groups",
       [this](Route& r) {
         r.peer = {};
         toggle(r.peer_groups, account_->groups);
       }},
  };
}

RandomEdits::Fields<NetworkRouter> RandomEdits::router_fields() {
  return {
      {"enabled", [](NetworkRouter& r) { flip(r.enabled); }},
      {"metric", [this](NetworkRouter& r) { r.metric = static_cast<std::int64_t>(below(4)); }},
      {"masquerade", [](NetworkRouter& r) { flip(r.masquerade); }},
      {"order", [this](NetworkRouter& r) { r.order = static_cast<std::int64_t>(below(7)); }},
      {"peer",
       [this](NetworkRouter& r) {
         r.peer_groups.clear();
         r.peer = any_id(account_->peers);
       }},
      {"peer groups",
       [this](NetworkRouter& r) {
         r.peer = {};
         toggle(r.peer_groups, account_->groups);
       }},
  };
}

RandomEdits::Fields<NetworkResource> RandomEdits::resource_fields() {
  return {
      {"enabled", [](NetworkResource& r) { flip(r.enabled); }},
      {"name", [](NetworkResource& r) { r.name += " renamed"; }},
      {"network",
       [this](NetworkResource& r) {
         r.network_id = NetworkId(one_of({"nw00", "nw01"}));
       }},
      {"prefix",
       [this](NetworkResource& r) {
         r.type = std::string(kResourceSubnet);
         r.domain.clear();
         r.prefix = *Prefix::parse(one_of({"10.7.0.0/24", "2001:db8:7::/64", "0.0.0.0/0"}));
       }},
      {"domain",
       [this](NetworkResource& r) {
         r.type = std::string(kResourceDomain);
         r.prefix = {};
         r.domain = one_of({"a.example", "*.b.example"});
       }},
  };
}

RandomEdits::Fields<NameServerGroup> RandomEdits::name_server_fields() {
  return {
      {"enabled", [](NameServerGroup& g) { flip(g.enabled); }},
      {"primary", [](NameServerGroup& g) { flip(g.primary); }},
      {"search", [](NameServerGroup& g) { flip(g.search_domains_enabled); }},
      {"groups", [this](NameServerGroup& g) { toggle(g.groups, account_->groups); }},
      {"domains",
       [this](NameServerGroup& g) {
         g.domains = {one_of({"x.example", "y.example"})};
       }},
      {"server",
       [this](NameServerGroup& g) {
         const IpAddress ip = chance(0.5) || account_->peers.empty()
                                  ? *IpAddress::parse("2001:db8::53")
                                  : account_->peers[below(account_->peers.size())].ip;
         g.name_servers = {{.ip = ip, .port = static_cast<std::int64_t>(53 + below(2))}};
       }},
  };
}

RandomEdits::Fields<DnsZone> RandomEdits::zone_fields() {
  return {
      {"enabled", [](DnsZone& z) { flip(z.enabled); }},
      {"search", [](DnsZone& z) { flip(z.enable_search_domain); }},
      {"groups", [this](DnsZone& z) { toggle(z.distribution_groups, account_->groups); }},
      {"records",
       [this](DnsZone& z) {
         if (!z.records.empty() && chance(0.3)) return z.records.pop_back();
         DnsZoneRecord record;
         record.id = RecordId("rec-more");
         record.name = fmt::format("more-{}.{}", ++moved_, z.domain);
         record.type = "A";
         record.content = "10.0.0.2";
         record.ttl = 60;
         z.records.push_back(std::move(record));
       }},
      {"ttl",
       [](DnsZone& z) {
         for (DnsZoneRecord& record : z.records) ++record.ttl;
       }},
  };
}

RandomEdits::Fields<ProxyService> RandomEdits::service_fields() {
  const auto first_target = [](auto change) {
    return [change](ProxyService& s) {
      if (!s.targets.empty()) change(s.targets.front());
    };
  };
  return {
      {"enabled", [](ProxyService& s) { flip(s.enabled); }},
      {"terminated", [](ProxyService& s) { flip(s.terminated); }},
      {"private", [](ProxyService& s) { flip(s.is_private); }},
      {"mode",
       [this](ProxyService& s) {
         s.mode = one_of({"http", "udp", "tls"});
       }},
      {"cluster",
       [this](ProxyService& s) {
         s.proxy_cluster = one_of({"eu.proxy.example", "us.proxy.example"});
       }},
      {"domain",
       [this](ProxyService& s) {
         s.domain = one_of({"x.custom.example", "y.eu.proxy.example"});
       }},
      {"groups", [this](ProxyService& s) { toggle(s.access_groups, account_->groups); }},
      {"target", first_target([](ServiceTarget& t) { flip(t.enabled); })},
      {"port", first_target([this](ServiceTarget& t) {
         t.port = static_cast<std::int64_t>(below(3) * 8'080);
       })},
      {"leads to", first_target([this](ServiceTarget& t) {
         t.target_type = one_of({"peer", "subnet", "domain"});
         t.target_id = t.target_type == "peer" ? any_id(account_->peers).value()
                                               : any_id(account_->resources).value();
       })},
  };
}

RandomEdits::Fields<ProxyDomain> RandomEdits::domain_fields() {
  return {
      {"cluster",
       [this](ProxyDomain& d) {
         d.target_cluster = one_of({"eu.proxy.example", "us.proxy.example"});
       }},
      {"domain",
       [this](ProxyDomain& d) {
         d.domain = one_of({"custom.example", "example"});
       }},
  };
}

}  // namespace nb::netmap::test
