// Routes, network resources and what routing peers let through (contract/network-map.md §2.8,
// §2.10).
#include "management/netmap/network_map.h"
#include "management/netmap/route_rules.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nb::netmap {
namespace {

using management::GroupId;
using management::NetworkResource;
using management::NetworkRouter;
using management::PeerId;
using management::Route;

class Routing {
 public:
  Routing(const Selection& selection, Connections& connections, NetworkMap& map)
      : selection_(selection),
        view_(selection.view),
        connections_(connections),
        map_(map),
        ipv6_(view_.peers()[selection.target].has_ipv6) {}

  void run() {
    std::vector<MapRoute> legacy = own_routes();
    foreign_routes(legacy);
    resources();
    for (const MapRoute& route : legacy) add(route);
  }

 private:
  struct Advertised {
    MapRoute route;
    const Route* source;
  };

  /// What `peer` advertises of the routes that the target may know, each id once.
  [[nodiscard]] std::vector<Advertised> advertised_by(PeerIndex peer) const {
    std::vector<Advertised> out;
    const PeerId& id = view_.peers()[peer].peer->id;
    for (const Route* const route : selection_.routes) {
      const bool by_group = std::ranges::any_of(route->peer_groups, [&](const GroupId& group) {
        return selection_.members(group).test(peer);
      });
      if (by_group) out.push_back({route_of(*route, peer, ':' + id.value()), route});
      if (route->peer == id) out.push_back({route_of(*route, peer, {}), route});
    }
    return out;
  }

  static MapRoute route_of(const Route& route, PeerIndex peer, const std::string& suffix) {
    return {.id = route.id.value() + suffix,
            .net_id = route.net_id,
            .network = route.network,
            .network_type = route.network_type,
            .domains = route.domains,
            .peer = peer,
            .metric = route.metric,
            .masquerade = route.masquerade,
            .keep_route = route.keep_route,
            .skip_auto_apply = route.skip_auto_apply};
  }

  std::vector<MapRoute> own_routes() {
    std::vector<MapRoute> out;
    for (Advertised& own : advertised_by(selection_.target)) {
      own_ha_ids_.insert(ha_id(*own.source));
      if (!own.source->enabled) continue;
      legacy_rules(own);
      out.push_back(std::move(own.route));
    }
    return out;
  }

  void foreign_routes(std::vector<MapRoute>& out) const {
    connections_.active.for_each([&](PeerIndex peer) {
      for (Advertised& theirs : advertised_by(peer))
        if (theirs.source->enabled && view_.any_member(theirs.source->groups, selection_.target) &&
            !own_ha_ids_.contains(ha_id(*theirs.source)))
          out.push_back(std::move(theirs.route));
    });
  }

  void legacy_rules(const Advertised& own) {
    const Route& route = *own.source;
    const RuleTarget to = target_of(own.route);
    if (route.access_control_groups.empty()) {
      permit_everyone(to, ipv6_, legacy_rules_);
      return;
    }
    Bits distribution;
    for (const GroupId& id : route.groups) distribution |= selection_.members(id);
    std::set<const PolicyView*> done;  // rules are a set: once per policy is enough
    for (const GroupId& group : route.access_control_groups)
      for (const PolicyView* const policy : selection_.policies) {
        const bool leads_there = std::ranges::any_of(policy->policy->rules, [&](const auto& rule) {
          return std::ranges::find(rule.destinations, group) != rule.destinations.end();
        });
        if (!leads_there || !done.insert(policy).second) continue;
        for (const RuleView& rule : policy->rules)
          route_rules(sources_of(rule_sources(*policy, rule) & distribution), rule, to, ipv6_,
                      legacy_rules_);
      }
  }

  [[nodiscard]] RuleSources sources_of(const Bits& peers) const {
    RuleSources out;
    peers.for_each([&](PeerIndex index) {
      const management::Peer& peer = *view_.peers()[index].peer;
      out.v4.push_back(peer.ip.to_string() + "/32");
      if (peer.ipv6.is_set()) out.v6.push_back(peer.ipv6.to_string() + "/128");
    });
    return out;
  }

  /// Who a rule lets through: posture is asked of a peer that stands alone, too.
  [[nodiscard]] Bits rule_sources(const PolicyView& policy, const RuleView& resolved) const {
    const auto& rule = *resolved.rule;
    Bits sources;
    for (const GroupId& id : rule.sources) sources |= selection_.members(id);
    sources.reset(selection_.target);
    if (names_peer(rule.source_resource)) {
      const PeerIndex peer = view_.find(PeerId(rule.source_resource.id));
      if (peer != kNoPeer && selection_.candidates.test(peer)) sources.set(peer);
    }
    return selection_.without_failed(std::move(sources), *policy.policy);
  }

  void resources() {
    Bits reached;  // peers that resource routes need
    bool routes_any = false;
    for (const std::size_t position : selection_.resources) {
      const NetworkResource& resource = view_.snapshot().resources[position];
      const auto& policies = view_.resource_policies(position);
      const AccountView::Routers* const routers = view_.routers(resource.network_id);
      if (routers == nullptr) continue;
      if (const auto own = routers->find(selection_.target); own != routers->end()) {
        routes_any = true;
        own_resource(resource, *own->second, policies, reached);
        continue;
      }
      const bool reaches = std::ranges::any_of(policies, [&](const ResourcePolicy& policy) {
        return resource_sources(policy).test(selection_.target);
      });
      if (!reaches) continue;
      for (const auto& [peer, router] : *routers) {
        if (!selection_.candidates.test(peer)) continue;
        add(resource_route(resource, peer, *router));
        reached.set(peer);
      }
    }
    if (routes_any) map_.route_rules = std::move(resource_rules_);
    map_.route_rules.insert(map_.route_rules.end(), legacy_rules_.begin(), legacy_rules_.end());
    reached.reset(selection_.target);
    connections_.active |= reached - connections_.offline;
  }

  void own_resource(const NetworkResource& resource, const NetworkRouter& router,
                    const std::vector<ResourcePolicy>& policies, Bits& reached) {
    const MapRoute route = resource_route(resource, selection_.target, router);
    const RuleTarget to = target_of(route);
    for (const ResourcePolicy& policy : policies) {
      reached |= resource_sources(policy);
      for (const RuleView* const rule : policy.rules) {
        const Bits sources = rule_sources(*policy.policy, *rule);
        std::vector<RouteRule> rules;
        route_rules(sources_of(sources), *rule, to, ipv6_, rules);
        for (RouteRule& made : rules)
          if (!made.sources.empty()) resource_rules_.push_back(std::move(made));
      }
    }
    add(route);
  }

  /// Source peers of the rules of one policy that lead to the resource.
  [[nodiscard]] Bits resource_sources(const ResourcePolicy& policy) const {
    Bits out;
    for (const RuleView* const rule : policy.rules)
      out |= selection_.side(rule->rule->source_resource, rule->rule->sources);
    return selection_.without_failed(std::move(out), *policy.policy->policy);
  }

  [[nodiscard]] MapRoute resource_route(const NetworkResource& resource, PeerIndex peer,
                                        const NetworkRouter& router) const {
    MapRoute route = resource_route_of(resource, router);
    route.id += ':' + view_.peers()[peer].peer->id.value();
    route.peer = peer;
    return route;
  }

  /// Routes that the target can take, with the IPv6 companion of a default route.
  void add(const MapRoute& route) {
    if (!ipv6_ && route.network.address.is_v6()) return;
    map_.routes.push_back(route);
    if (ipv6_ && is_default_v4(route.network)) map_.routes.push_back(ipv6_default(route));
  }

  const Selection& selection_;
  const AccountView& view_;
  Connections& connections_;
  NetworkMap& map_;
  bool ipv6_;
  std::set<std::string> own_ha_ids_;
  std::vector<RouteRule> resource_rules_;
  std::vector<RouteRule> legacy_rules_;
};

}  // namespace

void add_routes(const Selection& selection, Connections& connections, NetworkMap& map) {
  Routing(selection, connections, map).run();
}

}  // namespace nb::netmap
