#include "client/component_routes.h"

#include "proto/management.pb.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::client {
namespace {

namespace pb = ::management;

constexpr std::string_view kDomainPlaceholder = "192.0.2.0/32";
constexpr std::string_view kEverywhereV4 = "0.0.0.0/0";
constexpr std::string_view kEverywhereV6 = "::/0";
constexpr std::int32_t kTypeV4 = 1;
constexpr std::int32_t kTypeV6 = 2;
constexpr std::int32_t kTypeDomain = 3;

bool is_v6(std::string_view network) {
  return network.find(':') != network.npos;
}

bool is_default_v4(const std::string& network) {
  return network == kEverywhereV4;
}

class Routing {
 public:
  Routing(const ComponentPeers& peers, const ComponentPeerSet& offline, ComponentPeerSet& active,
          pb::NetworkMap& out)
      : peers_(peers), me_(peers.me()), offline_(offline), active_(active), out_(out) {
    for (const auto& rule : peers.full().policies()) rules_[rule.id()] = &rule;
  }

  void run() {
    advertised();
    resources();
    for (const pb::Route& route : routes_) add_route(route);
  }

 private:
  static bool is_dynamic(const pb::RouteRaw& route) { return route.network_type() == kTypeDomain; }

  static std::string ha_id(const pb::RouteRaw& route) {
    if (!is_dynamic(route) || route.domains().empty())
      return route.net_id() + '|' + route.network_cidr();
    std::string out = route.net_id() + '|';
    for (const std::string& domain : route.domains()) out += domain + ", ";
    return out;
  }

  struct Advertised {
    pb::Route route;
    const pb::RouteRaw* raw;
  };

  std::vector<Advertised> advertised_by(ComponentPeer index) const {
    std::vector<Advertised> out;
    const auto add = [&](const pb::RouteRaw& raw, const std::string& suffix) {
      pb::Route route;
      route.set_id(raw.id() + suffix);
      route.set_netid(raw.net_id());
      route.set_network(raw.network_cidr());
      route.set_networktype(raw.network_type());
      route.set_peer(peers_.key(index));
      route.set_metric(raw.metric());
      route.set_masquerade(raw.masquerade());
      for (const std::string& domain : raw.domains()) route.add_domains(domain);
      route.set_keeproute(raw.keep_route());
      route.set_skipautoapply(raw.skip_auto_apply());
      out.push_back({std::move(route), &raw});
    };
    for (const auto& raw : peers_.full().routes()) {
      if (std::ranges::any_of(raw.peer_group_ids(), [&](const std::string& id) {
            return peers_.group(id).contains(index);
          }))
        add(raw, ':' + peers_.key(index));
      if (raw.peer_index_set() && raw.peer_index() == index) add(raw, {});
    }
    return out;
  }

  void advertised() {
    std::set<std::string> own_ha_ids;
    for (const Advertised& own : advertised_by(me_)) {
      own_ha_ids.insert(ha_id(*own.raw));
      if (!own.raw->enabled()) continue;
      rules_of_own_route(own);
      routes_.push_back(own.route);
    }
    for (const ComponentPeer index : active_)
      for (const Advertised& theirs : advertised_by(index)) {
        const bool mine = std::ranges::any_of(theirs.raw->group_ids(), [&](const std::string& id) {
          return peers_.is_own_group(id);
        });
        if (theirs.raw->enabled() && mine && !own_ha_ids.contains(ha_id(*theirs.raw)))
          routes_.push_back(theirs.route);
      }
  }

  void add_route(const pb::Route& route) {
    if (!peers_.ipv6() && is_v6(route.network())) return;
    *out_.add_routes() = route;
    if (!peers_.ipv6() || !is_default_v4(route.network())) return;
    auto& v6 = *out_.add_routes();
    v6 = route;
    v6.set_id(route.id() + "-v6-default");
    v6.set_netid(route.netid() + "-v6");
    v6.set_network(std::string(kEverywhereV6));
    v6.set_networktype(kTypeV6);
  }

  // ---- what the receiver's own routes let through -------------------------------------------

  void rules_of_own_route(const Advertised& own) {
    const pb::RouteRaw& raw = *own.raw;
    if (raw.access_control_group_ids().empty()) return permit_everyone(own.route);
    ComponentPeerSet distribution;
    for (const std::string& id : raw.group_ids())
      distribution.insert(peers_.group(id).begin(), peers_.group(id).end());
    for (const std::string& id : raw.access_control_group_ids())
      for (const auto& rule : peers_.full().policies())
        if (std::ranges::find(rule.destination_group_ids(), id) !=
            rule.destination_group_ids().end())
          route_rules(rule, own.route, distribution, plain_rules_);
  }

  static pb::RouteFirewallRule base_rule(const pb::Route& route) {
    pb::RouteFirewallRule out;
    out.set_destination(route.network());
    out.set_isdynamic(route.networktype() == kTypeDomain);
    *out.mutable_domains() = route.domains();
    out.set_routeid(route.id());
    out.mutable_portinfo();
    return out;
  }

  static void turn_to_v6(const pb::Route& route, pb::RouteFirewallRule& rule) {
    if (!is_default_v4(route.network())) return;
    rule.set_destination(std::string(kEverywhereV6));
    rule.set_routeid(route.id() + "-v6-default");
  }

  bool has_v6_twin(const pb::Route& route) const {
    return peers_.ipv6() && !is_v6(route.network()) &&
           (route.networktype() == kTypeDomain || is_default_v4(route.network()));
  }

  void permit_everyone(const pb::Route& route) {
    if (is_v6(route.network()) && !peers_.ipv6()) return;
    pb::RouteFirewallRule rule = base_rule(route);
    rule.set_protocol(pb::ALL);
    rule.add_sourceranges(std::string(is_v6(route.network()) ? kEverywhereV6 : kEverywhereV4));
    plain_rules_.push_back(rule);
    if (!has_v6_twin(route)) return;
    turn_to_v6(route, rule);
    rule.set_sourceranges(0, std::string(kEverywhereV6));
    plain_rules_.push_back(rule);
  }

  void route_rules(const pb::PolicyCompact& policy, const pb::Route& route,
                   const ComponentPeerSet& distribution, std::vector<pb::RouteFirewallRule>& out) {
    if (is_v6(route.network()) && !peers_.ipv6()) return;
    ComponentPeerSet sources;
    for (const std::string& id : policy.source_group_ids())
      for (const ComponentPeer index : peers_.group(id))
        if (index != me_) sources.insert(index);
    if (const auto index = peers_.named_peer(policy.source_resource())) sources.insert(*index);
    std::erase_if(sources, [&](ComponentPeer index) {
      return !distribution.contains(index) || !peers_.passes(policy, index);
    });
    std::vector<std::string> v4;
    std::vector<std::string> v6;
    for (const ComponentPeer index : sources) {
      v4.push_back(peers_.address(peers_.peer(index).ip()) + "/32");
      if (peers_.has_v6(index)) v6.push_back(peers_.address(peers_.peer(index).ipv6()) + "/128");
    }
    pb::RouteFirewallRule rule = base_rule(route);
    rule.set_action(policy.action());
    rule.set_protocol(policy.protocol());
    rule.set_policyid(policy.id());
    add_ported(policy, rule, is_v6(route.network()) ? v6 : v4, out);
    if (!has_v6_twin(route) || v6.empty()) return;
    turn_to_v6(route, rule);
    add_ported(policy, rule, v6, out);
  }

  static void add_ported(const pb::PolicyCompact& policy, pb::RouteFirewallRule rule,
                         const std::vector<std::string>& sources,
                         std::vector<pb::RouteFirewallRule>& out) {
    *rule.mutable_sourceranges() = {sources.begin(), sources.end()};
    for (const std::uint32_t port : policy.ports()) {
      pb::RouteFirewallRule made = rule;
      if (port != 0) made.mutable_portinfo()->set_port(port);
      out.push_back(std::move(made));
    }
    if (!policy.ports().empty()) return;
    for (const auto& range : policy.port_ranges()) {
      pb::RouteFirewallRule made = rule;
      if (range.start() != 0 && range.end() != 0) *made.mutable_portinfo()->mutable_range() = range;
      out.push_back(std::move(made));
    }
    if (policy.port_ranges().empty()) out.push_back(std::move(rule));
  }

  // ---- networks -----------------------------------------------------------------------------

  void resources() {
    ComponentPeerSet reached;
    bool routes_any = false;
    std::vector<pb::RouteFirewallRule> resource_rules;
    std::vector<pb::Route> found;
    for (const auto& resource : peers_.full().network_resources()) {
      const auto policies = policies_to(resource);
      if (!resource.enabled() || policies.empty()) continue;
      const auto routers = routers_of(resource.network_seq());
      if (const auto own = routers.find(me_); own != routers.end()) {
        routes_any = true;
        const pb::Route route = route_to(resource, me_, *own->second);
        found.push_back(route);
        ComponentPeerSet distribution;
        for (const auto* const policy : policies) {
          const ComponentPeerSet from = sources_of(*policy);
          for (const ComponentPeer index : peers_.passing(*policy, from)) reached.insert(index);
          for (const std::string& id : policy->source_group_ids())
            distribution.insert(peers_.group(id).begin(), peers_.group(id).end());
          if (const auto index = peers_.named_peer(policy->source_resource()))
            distribution.insert(*index);
        }
        for (const auto* const policy : policies)
          route_rules(*policy, route, distribution, resource_rules);
        continue;
      }
      const bool reaches = std::ranges::any_of(policies, [&](const pb::PolicyCompact* policy) {
        return sources_of(*policy).contains(me_) && peers_.passes(*policy, me_);
      });
      if (!reaches) continue;
      for (const auto& [index, router] : routers) {
        found.push_back(route_to(resource, index, *router));
        reached.insert(index);
      }
    }
    for (const pb::Route& route : found) add_route(route);
    for (const auto& rule : resource_rules)
      if (routes_any && !rule.sourceranges().empty()) *out_.add_routesfirewallrules() = rule;
    for (const auto& rule : plain_rules_) *out_.add_routesfirewallrules() = rule;
    for (const ComponentPeer index : reached)
      if (index != me_ && !offline_.contains(index)) active_.insert(index);
  }

  std::vector<const pb::PolicyCompact*> policies_to(const pb::NetworkResourceRaw& resource) const {
    std::vector<const pb::PolicyCompact*> out;
    const auto listed = peers_.full().resource_policies_map().find(resource.id());
    if (listed == peers_.full().resource_policies_map().end()) return out;
    for (const std::string& id : listed->second.ids())
      if (const auto found = rules_.find(id); found != rules_.end()) out.push_back(found->second);
    return out;
  }

  using Routers = std::map<ComponentPeer, const pb::NetworkRouterEntry*>;
  Routers routers_of(const std::string& network) const {
    Routers out;
    const auto listed = peers_.full().routers_map().find(network);
    if (listed == peers_.full().routers_map().end()) return out;
    for (const auto& entry : listed->second.entries())
      if (entry.peer_index_set() && peers_.is_peer(entry.peer_index()))
        out[entry.peer_index()] = &entry;
    return out;
  }

  ComponentPeerSet sources_of(const pb::PolicyCompact& policy) const {
    if (const auto index = peers_.named_peer(policy.source_resource())) return {*index};
    return peers_.source_groups(policy);
  }

  pb::Route route_to(const pb::NetworkResourceRaw& resource, ComponentPeer index,
                     const pb::NetworkRouterEntry& router) const {
    pb::Route out;
    out.set_id(resource.id() + ':' + peers_.key(index));
    out.set_netid(resource.name());
    out.set_peer(peers_.key(index));
    out.set_metric(router.metric());
    out.set_masquerade(router.masquerade());
    out.set_keeproute(true);
    if (resource.type() == "domain") {
      out.add_domains(resource.domain_value());
      out.set_networktype(kTypeDomain);
      out.set_network(std::string(kDomainPlaceholder));
    } else {
      out.set_network(resource.prefix_cidr());
      out.set_networktype(is_v6(resource.prefix_cidr()) ? kTypeV6 : kTypeV4);
    }
    return out;
  }

  const ComponentPeers& peers_;
  const ComponentPeer me_;
  const ComponentPeerSet& offline_;
  ComponentPeerSet& active_;
  pb::NetworkMap& out_;
  std::map<std::string, const pb::PolicyCompact*> rules_;
  std::vector<pb::Route> routes_;
  std::vector<pb::RouteFirewallRule> plain_rules_;
};

}  // namespace

void add_routes(const ComponentPeers& peers, const ComponentPeerSet& offline,
                ComponentPeerSet& active, pb::NetworkMap& out) {
  Routing(peers, offline, active, out).run();
}

}  // namespace nb::client
