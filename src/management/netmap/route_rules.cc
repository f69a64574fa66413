#include "management/netmap/route_rules.h"

#include "management/netmap/punycode.h"

#include <charconv>
#include <utility>

namespace nb::netmap {
namespace {

using management::IpAddress;
using management::NetworkResource;
using management::NetworkRouter;
using management::Prefix;
using management::Route;

constexpr std::string_view kEverywhereV4 = "0.0.0.0/0";
constexpr std::string_view kEverywhereV6 = "::/0";
constexpr std::string_view kIpv6DefaultSuffix = "-v6-default";
constexpr std::string_view kIpv6NetSuffix = "-v6";
constexpr std::uint16_t kSshPort = 22;

/// A port 1..65535, or nothing, and then there is no rule.
std::optional<std::uint16_t> port_of(const std::string& text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
  return port;
}

void with_ports(const RuleView& resolved, const RouteRule& base, std::vector<RouteRule>& out) {
  const auto& rule = *resolved.rule;
  const auto add = [&](std::uint16_t port, management::PortRange range) {
    RouteRule made = base;
    made.port = port;
    // A range that starts or ends at 0 is none.
    if (port == 0 && range.start != 0 && range.end != 0) made.range = range;
    out.push_back(std::move(made));
  };
  for (const std::string& text : rule.ports)
    if (const auto port = port_of(text)) add(*port, {});
  if (!rule.ports.empty()) return;
  for (const auto& range : rule.port_ranges) add(0, range);
  // contract/network-map.md §1.8: netbird-ssh without ports is port 22, not any.
  if (rule.port_ranges.empty()) add(resolved.ssh ? kSshPort : 0, {});
}

}  // namespace

std::string ha_id(const Route& route) {
  std::string id = route.net_id + '|';
  if (!route.is_dynamic() || route.domains.empty()) return id + route.network.to_string();
  for (const std::string& domain : route.domains) id += domain + ", ";
  return id;
}

bool is_default_v4(const Prefix& network) {
  return network.address.is_v4() && network.length == 0;
}

MapRoute ipv6_default(MapRoute route) {
  route.id += kIpv6DefaultSuffix;
  route.net_id += kIpv6NetSuffix;
  route.network = {IpAddress::v6({}), 0};
  route.network_type = management::kNetworkTypeIpv6;
  return route;
}

MapRoute resource_route_of(const NetworkResource& resource, const NetworkRouter& router) {
  MapRoute route;
  route.id = resource.id.value();
  route.net_id = resource.name;
  route.metric = router.metric;
  route.masquerade = router.masquerade;
  route.keep_route = true;
  if (resource.type == management::kResourceDomain) {
    route.domains = {ascii_domain(resource.domain)};
    route.network_type = management::kNetworkTypeDomain;
    route.network = {IpAddress::v4(0xC0000200), 32};  // the placeholder of routes by domains
  } else {
    route.network = resource.prefix;
    route.network_type = resource.prefix.address.is_v6() ? management::kNetworkTypeIpv6
                                                         : management::kNetworkTypeIpv4;
  }
  return route;
}

RuleTarget target_of(const MapRoute& route) {
  return {.route_id = route.id,
          .network = route.network,
          .is_dynamic = route.network_type == management::kNetworkTypeDomain,
          .domains = route.domains};
}

namespace {

RouteRule base_rule(const RuleTarget& to) {
  RouteRule rule;
  rule.destination = to.network.to_string();
  rule.is_dynamic = to.is_dynamic;
  rule.domains = to.domains;
  rule.route_id = to.route_id;
  return rule;
}

/// The same rule for IPv6 sources.
RouteRule ipv6_rule(const RuleTarget& to, RouteRule rule) {
  if (is_default_v4(to.network)) {
    rule.destination = kEverywhereV6;
    rule.route_id += kIpv6DefaultSuffix;
  }
  return rule;
}

}  // namespace

void permit_everyone(const RuleTarget& to, bool ipv6, std::vector<RouteRule>& out) {
  const bool v6_network = to.network.address.is_v6();
  if (v6_network && !ipv6) return;
  RouteRule rule = base_rule(to);
  rule.sources = {std::string(v6_network ? kEverywhereV6 : kEverywhereV4)};
  out.push_back(rule);
  if (!ipv6 || !(to.is_dynamic || is_default_v4(to.network))) return;
  rule = ipv6_rule(to, std::move(rule));
  rule.sources = {std::string(kEverywhereV6)};
  out.push_back(std::move(rule));
}

void route_rules(const RuleSources& sources, const RuleView& resolved, const RuleTarget& to,
                 bool ipv6, std::vector<RouteRule>& out) {
  const bool v6_network = to.network.address.is_v6();
  if (v6_network && !ipv6) return;
  RouteRule rule = base_rule(to);
  rule.action = resolved.action;
  rule.protocol = resolved.protocol;  // netbird-ssh as tcp: agents refuse the other
  rule.policy_id = resolved.rule->policy_id.value();
  rule.sources = v6_network ? sources.v6 : sources.v4;
  with_ports(resolved, rule, out);
  if (!ipv6 || sources.v6.empty() || !(to.is_dynamic || is_default_v4(to.network))) return;
  rule = ipv6_rule(to, std::move(rule));
  rule.sources = sources.v6;
  with_ports(resolved, rule, out);
}

}  // namespace nb::netmap
