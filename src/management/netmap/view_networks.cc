// Routes, networks and names of a view.
#include "management/netmap/injected_policies.h"
#include "management/netmap/network_map.h"
#include "management/netmap/route_rules.h"
#include "management/netmap/row_order.h"
#include "management/netmap/same_objects.h"
#include "management/netmap/view_builder.h"
#include "management/netmap/wire.h"

#include <algorithm>
#include <set>

namespace nb::netmap {
namespace {

using management::GroupId;
using management::NetworkResource;
using management::NetworkRouter;
using management::PeerId;

constexpr std::int64_t kServiceRecordTtl = 5;

std::string record_element(const std::string& name, std::int64_t type, std::int64_t ttl,
                           const std::string& data) {
  std::string body;
  wire::put_bytes(body, 1, name);
  wire::put_number(body, 2, type);
  wire::put_bytes(body, 3, "IN");
  wire::put_number(body, 4, ttl);
  wire::put_bytes(body, 5, data);
  std::string out;
  wire::put_element(out, 2, body);
  return out;
}

std::string zone_element(const management::DnsZone& zone) {
  std::string body;
  wire::put_bytes(body, 1, absolute_name(zone.domain));
  for (const auto& record : zone.records) {
    const std::string name = absolute_name(record.name);
    if (record.type == "A") body += record_element(name, kRecordA, record.ttl, record.content);
    if (record.type == "AAAA")
      body += record_element(name, kRecordAaaa, record.ttl, record.content);
    if (record.type == "CNAME")
      body += record_element(name, kRecordCname, record.ttl, absolute_name(record.content));
  }
  wire::put_number(body, 3, zone.enable_search_domain ? 0 : 1);
  wire::put_number(body, 4, 1);
  std::string out;
  wire::put_element(out, 3, body);
  return out;
}

std::string name_server_element(const management::NameServerGroup& group) {
  std::string body;
  for (const auto& server : group.name_servers) {
    std::string entry;
    wire::put_bytes(entry, 1, server.ip.to_string());
    wire::put_number(entry, 2, server.type);
    wire::put_number(entry, 3, server.port);
    wire::put_element(body, 1, entry);
  }
  wire::put_number(body, 2, group.primary ? 1 : 0);
  for (const std::string& domain : group.domains) wire::put_element(body, 3, domain);
  wire::put_number(body, 4, group.search_domains_enabled ? 1 : 0);
  std::string out;
  wire::put_element(out, 2, body);
  return out;
}

bool same_routers(const ResourceRecord& left, const ResourceRecord& right) {
  return std::ranges::equal(left.routers, right.routers, [](const auto& a, const auto& b) {
    return a.first == b.first && same_router(*a.second, *b.second);
  });
}

bool same_access(const ResourceAccess& left, const ResourceAccess& right) {
  return left.policy == right.policy &&
         std::ranges::equal(left.rules, right.rules, [](const auto& a, const auto& b) {
           return a.rule == b.rule && a.sources == b.sources;
         });
}

}  // namespace

void ViewBuilder::build_routes() {
  for (std::size_t position = 0; position < account_.routes.size(); ++position) {
    const auto& route = account_.routes.ptr(position);
    auto made = std::make_shared<RouteRecord>();
    made->route = route;
    made->ha_id = ha_id(*route);
    made->peer = slot(route->peer);
    made->by_group = members(route->peer_groups);
    made->advertisers = made->by_group;
    if (made->peer != kNoPeer) made->advertisers.set(made->peer);
    made->advertisers &= peers_->validated;
    made->distribution = members(route->groups);
    std::shared_ptr<const RouteRecord> old;
    if (before_ != nullptr) {
      const std::size_t at = before_->snapshot_->routes.position(route->id);
      if (at != before_->snapshot_->routes.kNowhere) old = before_->routes_->routes[at];
    }
    const bool same = old != nullptr && same_route(*old->route, *route) &&
                      old->peer == made->peer && old->by_group == made->by_group &&
                      old->advertisers == made->advertisers &&
                      old->distribution == made->distribution;
    routes_->routes.push_back(same ? std::move(old) : std::move(made));
  }
}

std::vector<ResourceAccess> ViewBuilder::access_to(
    const NetworkResource& resource,
    const std::map<std::string, std::vector<std::size_t>>& by_resource,
    const std::map<GroupId, std::vector<std::size_t>>& by_group) const {
  std::set<std::size_t> leading;  // rules, in the account's order
  const auto add = [&](const auto& index, const auto& key) {
    if (const auto found = index.find(key); found != index.end())
      leading.insert(found->second.begin(), found->second.end());
  };
  add(by_resource, resource.id.value());
  if (const auto groups = groups_of_resource_.find(resource.id.value());
      groups != groups_of_resource_.end())
    for (const std::size_t position : groups->second) add(by_group, account_.groups[position].id);
  std::vector<ResourceAccess> out;
  for (const std::size_t position : leading) {
    const CompiledRulePtr& rule = rules_->rules[position];
    if (out.empty() || out.back().policy != rule->policy)
      out.push_back({.policy = rule->policy, .rules = {}, .sources = {}});
    // A peer that stands alone has to be approved and to pass as well.
    Bits sources = rule->sources & peers_->validated;
    if (names_peer(rule->rule().source_resource)) sources -= failing(*rule->policy);
    out.back().sources |= sources;
    out.back().rules.push_back({.rule = rule, .sources = std::move(sources)});
  }
  return out;
}

void ViewBuilder::build_resources() {
  if (account_.resources.empty()) return;
  std::map<std::string, std::vector<std::size_t>> by_resource;
  std::map<GroupId, std::vector<std::size_t>> by_group;
  for (std::size_t position = 0; position < rules_->rules.size(); ++position) {
    const auto& rule = rules_->rules[position]->rule();
    if (rule.destination_resource.is_set())
      by_resource[rule.destination_resource.id].push_back(position);
    for (const GroupId& id : rule.destinations) by_group[id].push_back(position);
  }
  std::map<management::NetworkId, std::map<PeerIndex, std::shared_ptr<const NetworkRouter>>>
      routers;
  for (const std::size_t position : by_order(account_.routers)) {
    const auto& router = account_.routers.ptr(position);
    if (!router->enabled) continue;
    auto& of_network = routers[router->network_id];
    if (!router->peer.empty()) {
      if (const PeerIndex peer = slot(router->peer); peer != kNoPeer) of_network[peer] = router;
      continue;
    }
    members(router->peer_groups).for_each([&](PeerIndex peer) { of_network[peer] = router; });
  }
  std::set<std::string> served;
  for (const auto& service : account_.services)
    if (service.enabled && !service.terminated)
      for (const auto& target : service.targets)
        if (target.enabled && target.target_type == management::kResourceDomain)
          served.insert(target.target_id);
  std::map<management::ResourceId, std::shared_ptr<const ResourceRecord>> old;
  if (before_ != nullptr)
    for (const auto& record : before_->resources_->resources) old[record->resource->id] = record;
  for (std::size_t position = 0; position < account_.resources.size(); ++position) {
    const auto& resource = account_.resources.ptr(position);
    if (!resource->enabled) continue;
    const auto of_network = routers.find(resource->network_id);
    if (of_network != routers.end() && resource->type == management::kResourceDomain &&
        served.contains(resource->id.value()))
      for (const auto& [peer, router] : of_network->second) resources_->must_resolve_dns.set(peer);
    ResourceRecord made{.resource = resource,
                        .access = access_to(*resource, by_resource, by_group),
                        .routers = {},
                        .router_peers = {},
                        .reaching = {}};
    if (made.access.empty()) continue;
    if (of_network != routers.end()) made.routers = of_network->second;
    for (const auto& [peer, router] : made.routers) made.router_peers.set(peer);
    made.router_peers &= peers_->validated;
    for (const auto& access : made.access) made.reaching |= access.sources;
    const auto was = old.find(resource->id);
    const bool same = was != old.end() && same_resource(*was->second->resource, *resource) &&
                      same_routers(*was->second, made) &&
                      was->second->router_peers == made.router_peers &&
                      std::ranges::equal(was->second->access, made.access, same_access);
    resources_->resources.push_back(same ? was->second
                                         : std::make_shared<const ResourceRecord>(std::move(made)));
  }
}

void ViewBuilder::build_names() {
  for (const auto& group : account_.name_server_groups) {
    if (!group.enabled) continue;
    Distributed out{
        .element = name_server_element(group), .members = members(group.groups), .servers = {}};
    for (const auto& server : group.name_servers) out.servers.push_back(server.ip.to_string());
    names_->name_servers.push_back(std::move(out));
  }
  for (const auto& zone : account_.zones)
    if (zone.enabled && !zone.records.empty())
      names_->zones.push_back({.element = zone_element(zone),
                               .members = members(zone.distribution_groups),
                               .servers = {}});
  add_service_records();
}

void ViewBuilder::add_service_records() {
  for (const auto& service : account_.services) {
    if (!service.enabled || !service.is_private) continue;
    const std::string apex = service_zone(account_, service);
    if (apex.empty()) continue;
    std::string records;
    for (const PeerIndex at : peers_->slot_of) {
      const PeerRecord& proxy = *peers_->record(at);
      // An address that does not answer would be a black hole for as long as it is cached.
      if (!proxy.proxy_connected || proxy.peer->proxy_cluster != service.proxy_cluster ||
          proxy.ip_text.empty())
        continue;
      records +=
          record_element(absolute_name(service.domain), kRecordA, kServiceRecordTtl, proxy.ip_text);
    }
    if (!records.empty())
      names_->services.push_back(
          {.apex = apex, .records = std::move(records), .members = members(service.access_groups)});
  }
}

}  // namespace nb::netmap
