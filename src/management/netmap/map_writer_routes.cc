// Routes, resources and route rules of a MapWriter (contract/network-map.md §2.8, §2.10).
#include "management/netmap/map_writer.h"
#include "management/netmap/route_rules.h"
#include "management/netmap/route_wire.h"
#include "management/netmap/wire.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace nb::netmap {
namespace {

using management::GroupId;
using management::NetworkRouter;
using management::PolicyRule;

bool lists_any(const std::vector<GroupId>& list, const std::set<GroupId>& wanted) {
  return std::ranges::any_of(list, [&](const GroupId& id) { return wanted.contains(id); });
}

}  // namespace

void MapWriter::select_routes() {
  std::set<std::string> own_ha_ids;
  for (const auto& record : view_.routes_->routes) {
    const bool by_group = record->by_group.test(target_);
    const bool alone = record->peer == target_;
    const bool gets = record->route->enabled && record->distribution.test(target_);
    if (!by_group && !alone && !gets) continue;
    relevant_.push_back(record.get());
    in_zone_ |= record->advertisers;
    if (by_group) own_.push_back({record.get(), target_, true});
    if (alone) own_.push_back({record.get(), target_, false});
    if (by_group || alone) own_ha_ids.insert(record->ha_id);
  }
  std::vector<std::tuple<PeerIndex, std::size_t, bool>> foreign;
  for (std::size_t position = 0; position < relevant_.size(); ++position) {
    const RouteRecord& record = *relevant_[position];
    if (!record.route->enabled || !record.distribution.test(target_) ||
        own_ha_ids.contains(record.ha_id))
      continue;
    (record.by_group & active_).for_each([&](PeerIndex peer) {
      foreign.emplace_back(peer, position, false);
    });
    if (record.peer != kNoPeer && active_.test(record.peer))
      foreign.emplace_back(record.peer, position, true);
  }
  for (const Advertised& own : own_)
    if (own.record->route->enabled) legacy_routes_.push_back(own);
  std::ranges::sort(foreign);  // by peer, then route, a group's copy first
  for (const auto& [peer, position, alone] : foreign)
    legacy_routes_.push_back({relevant_[position], peer, !alone});
}

void MapWriter::select_resources() {
  Bits reached;
  for (const auto& record : view_.resources_->resources) {
    if (const auto own = record->routers.find(target_); own != record->routers.end()) {
      routed_.push_back(record.get());
      resource_routes_.push_back(resource_route(*record, target_, *own->second));
      reached |= record->reaching;
      continue;
    }
    if (!record->reaching.test(target_)) continue;
    for (const auto& [peer, router] : record->routers) {
      if (!record->router_peers.test(peer)) continue;
      resource_routes_.push_back(resource_route(*record, peer, *router));
      reached.set(peer);
    }
  }
  reached.reset(target_);
  active_ |= reached - standing_.offline_;
}

MapRoute MapWriter::resource_route(const ResourceRecord& record, PeerIndex peer,
                                   const NetworkRouter& router) const {
  MapRoute route = resource_route_of(*record.resource, router);
  route.id += ':' + view_.peers_->record(peer)->peer->id.value();
  route.peer = peer;
  return route;
}

MapRoute MapWriter::route_of(const Advertised& advertised) const {
  const management::Route& route = *advertised.record->route;
  const std::string& peer = view_.peers_->record(advertised.peer)->peer->id.value();
  return {.id = advertised.by_group ? route.id.value() + ':' + peer : route.id.value(),
          .net_id = route.net_id,
          .network = route.network,
          .network_type = route.network_type,
          .domains = route.domains,
          .peer = advertised.peer,
          .metric = route.metric,
          .masquerade = route.masquerade,
          .keep_route = route.keep_route,
          .skip_auto_apply = route.skip_auto_apply};
}

void MapWriter::write_routes(std::string& out) const {
  const auto write = [&](const MapRoute& route) {
    if (!form_.ipv6 && route.network.address.is_v6()) return;
    const std::string& key = view_.peers_->record(route.peer)->peer->key.value();
    wire::put_element(out, 5, encoded(route, key));
    if (form_.ipv6 && is_default_v4(route.network))
      wire::put_element(out, 5, encoded(ipv6_default(route), key));
  };
  for (const MapRoute& route : resource_routes_) write(route);
  for (const Advertised& route : legacy_routes_) write(route_of(route));
}

RuleSources MapWriter::sources_of(const Bits& peers) const {
  RuleSources out;
  peers.for_each([&](PeerIndex peer) {
    const PeerRecord& record = *view_.peers_->record(peer);
    out.v4.push_back(record.ip_text + "/32");
    if (!record.ipv6_text.empty()) out.v6.push_back(record.ipv6_text + "/128");
  });
  return out;
}

std::vector<RouteRule> MapWriter::route_rules() const {
  std::vector<RouteRule> out;
  Bits last;  // resources mostly have the same sources as the one before
  RuleSources texts;
  for (const ResourceRecord* const record : routed_) {
    const RuleTarget to = target_of(resource_route(*record, target_, *record->routers.at(target_)));
    for (const ResourceAccess& access : record->access)
      for (const ResourceRule& way : access.rules) {
        Bits sources = way.sources;
        if (!names_peer(way.rule->rule().source_resource)) sources.reset(target_);
        if (sources.none()) continue;
        if (sources != last) texts = sources_of(sources);
        last = sources;
        netmap::route_rules(texts, way.rule->view, to, form_.ipv6, out);
      }
  }
  // An IPv6 network leaves rules without sources, which resources do not send.
  std::erase_if(out, [](const RouteRule& rule) { return rule.sources.empty(); });
  for (const Advertised& own : own_)
    if (own.record->route->enabled) legacy_rules(own, out);
  return out;
}

void MapWriter::legacy_rules(const Advertised& own, std::vector<RouteRule>& out) const {
  const management::Route& route = *own.record->route;
  const RuleTarget to = target_of(route_of(own));
  if (route.access_control_groups.empty()) {
    permit_everyone(to, form_.ipv6, out);
    return;
  }
  const Horizon seen = horizon();
  const auto& table = view_.snapshot_->groups;
  const auto members = [&](const GroupId& id) {
    const std::size_t position = table.position(id);
    if (position == table.kNowhere || !seen.groups.test(static_cast<std::uint32_t>(position)))
      return Bits{};
    return view_.groups_->groups[position]->members & seen.candidates;
  };
  Bits distribution;
  for (const GroupId& id : route.groups) distribution |= members(id);
  std::set<const PolicySpan*> done;
  for (const GroupId& group : route.access_control_groups)
    for (const PolicySpan& span : view_.rules_->policies) {
      const bool leads_there = std::ranges::any_of(span.policy->rules, [&](const PolicyRule& rule) {
        return std::ranges::find(rule.destinations, group) != rule.destinations.end();
      });
      if (!leads_there || !seen.policies.contains(span.policy.get()) || !done.insert(&span).second)
        continue;
      for (std::size_t i = 0; i < span.count; ++i) {
        const CompiledRule& rule = *view_.rules_->rules[span.first + i];
        Bits sources;
        for (const GroupId& id : rule.rule().sources) sources |= members(id);
        sources.reset(target_);
        sources -= failing_checks(*span.policy);
        if (names_peer(rule.rule().source_resource)) sources |= rule.sources & seen.candidates;
        netmap::route_rules(sources_of(sources & distribution), rule.view, to, form_.ipv6, out);
      }
    }
}

Bits MapWriter::failing_checks(const management::Policy& policy) const {
  Bits out;
  const auto& table = view_.snapshot_->posture_checks;
  for (const auto& id : policy.source_posture_checks)
    if (const std::size_t position = table.position(id); position != table.kNowhere)
      out |= view_.checks_->checks[position]->failing;
  return out;
}

MapWriter::Horizon MapWriter::horizon() const {
  Horizon out;
  const auto& table = view_.snapshot_->groups;
  const auto know = [&](const std::vector<GroupId>& list) {
    for (const GroupId& id : list)
      if (const std::size_t position = table.position(id); position != table.kNowhere)
        out.groups.set(static_cast<std::uint32_t>(position));
  };
  out.candidates = standing_.connected_;
  out.candidates.set(target_);
  for (std::size_t position = 0; position < table.size(); ++position)
    if (view_.groups_->groups[position]->members.test(target_))
      out.groups.set(static_cast<std::uint32_t>(position));
  std::set<GroupId> acl_groups;
  for (const RouteRecord* const record : relevant_) {
    const auto& route = *record->route;
    out.candidates |= record->advertisers;
    know(route.peer_groups);
    know(route.groups);
    if (!route.enabled) continue;
    know(route.access_control_groups);
    acl_groups.insert(route.access_control_groups.begin(), route.access_control_groups.end());
  }
  for (const CompiledRulePtr& compiled : view_.rules_->rules) {
    const auto& rule = compiled->rule();
    const bool source = compiled->sources.test(target_);
    const bool destination = compiled->destinations.test(target_);
    const bool acl = lists_any(rule.destinations, acl_groups);
    if (source || destination || acl) out.policies.insert(compiled->policy.get());
    if (source || acl) know(rule.destinations);
    if (destination || acl) know(rule.sources);
  }
  for (const auto& record : view_.resources_->resources) {
    bool selected = record->routers.contains(target_);
    for (const ResourceAccess& access : record->access) {
      if (selected)
        out.candidates |= access.sources;
      else if (access.sources.test(target_))
        selected = true;  // policies that follow are selected as a whole
      else
        continue;
      for (const PolicyRule& rule : access.policy->rules) {
        know(rule.sources);
        know(rule.destinations);
      }
    }
    if (selected) out.candidates |= record->router_peers;
  }
  return out;
}

}  // namespace nb::netmap
