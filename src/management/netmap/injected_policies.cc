#include "management/netmap/injected_policies.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace nb::netmap {
namespace {

using management::AccountSnapshot;
using management::GroupId;
using management::Peer;
using management::Policy;
using management::PolicyRule;
using management::ProxyService;
using management::ServiceTarget;
using PolicyPtr = std::shared_ptr<const Policy>;

std::optional<std::uint16_t> target_port(const ServiceTarget& target) {
  if (target.port > 0 && target.port <= 65535) return static_cast<std::uint16_t>(target.port);
  if (target.port != 0) return std::nullopt;
  if (target.protocol == "https" || target.protocol == "tls") return 443;
  if (target.protocol == "http") return 80;
  return std::nullopt;
}

/// One rule that carries the policy's id.
std::shared_ptr<Policy> one_rule_policy(const std::string& id) {
  auto policy = std::make_shared<Policy>();
  policy->id = management::PolicyId(id);
  policy->public_id = management::PublicId(id);  // no row that it could be the id of
  policy->enabled = true;
  PolicyRule rule;
  rule.id = management::RuleId(id);
  rule.policy_id = policy->id;
  rule.enabled = true;
  rule.action = std::string(management::kActionAccept);
  rule.protocol = std::string(management::kProtocolTcp);
  policy->rules.push_back(std::move(rule));
  return policy;
}

PolicyPtr target_policy(const ProxyService& service, const ServiceTarget& target, const Peer& proxy,
                        std::uint16_t port) {
  auto policy = one_rule_policy("proxy-access-" + service.id.value() + '-' + proxy.id.value() +
                                '-' + target.path);
  PolicyRule& rule = policy->rules.front();
  rule.source_resource = {proxy.id.value(), std::string(management::kResourcePeer)};
  rule.destination_resource = {target.target_id, target.target_type};
  if (service.mode == "udp") rule.protocol = std::string(management::kProtocolUdp);
  rule.port_ranges = {{port, port}};
  return policy;
}

PolicyPtr access_policy(const ProxyService& service, const Peer& proxy,
                        const std::vector<GroupId>& sources) {
  auto policy = one_rule_policy("private-access-" + service.id.value() + '-' + proxy.id.value());
  PolicyRule& rule = policy->rules.front();
  rule.sources = sources;
  rule.destination_resource = {proxy.id.value(), std::string(management::kResourcePeer)};
  rule.port_ranges = {{80, 80}, {443, 443}};
  return policy;
}

bool lies_in(std::string_view domain, std::string_view zone) {
  if (zone.empty() || !domain.ends_with(zone)) return false;
  return domain.size() == zone.size() || domain[domain.size() - zone.size() - 1] == '.';
}

}  // namespace

std::vector<PolicyPtr> injected_policies(const AccountSnapshot& account) {
  std::vector<PolicyPtr> out;
  if (account.services.empty()) return out;
  std::vector<const Peer*> proxies;
  for (const Peer& peer : account.peers)
    if (peer.proxy_embedded) proxies.push_back(&peer);
  for (const ProxyService& service : account.services) {
    if (!service.enabled) continue;
    const auto each_proxy = [&](auto visit) {
      for (const Peer* const peer : proxies)
        if (peer->proxy_cluster == service.proxy_cluster) visit(*peer);
    };
    for (const ServiceTarget& target : service.targets) {
      const auto port = target_port(target);
      if (!target.enabled || !port) continue;
      each_proxy(
          [&](const Peer& proxy) { out.push_back(target_policy(service, target, proxy, *port)); });
    }
    if (!service.is_private) continue;
    std::vector<GroupId> sources;
    for (const GroupId& id : service.access_groups)
      if (account.group(id) != nullptr) sources.push_back(id);
    if (sources.empty()) continue;
    each_proxy([&](const Peer& proxy) { out.push_back(access_policy(service, proxy, sources)); });
  }
  return out;
}

std::string service_zone(const AccountSnapshot& account, const ProxyService& service) {
  if (lies_in(service.domain, service.proxy_cluster)) return service.proxy_cluster;
  std::string zone;
  for (const auto& custom : account.proxy_domains)
    if (custom.target_cluster == service.proxy_cluster && lies_in(service.domain, custom.domain) &&
        custom.domain.size() > zone.size())
      zone = custom.domain;
  return zone;
}

}  // namespace nb::netmap
