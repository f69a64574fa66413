#include "management/netmap/view_diff.h"

#include "management/netmap/same_objects.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace nb::netmap {
namespace {

Bits everyone_on(const RouteRecord& record) {
  Bits out = record.by_group | record.distribution | record.advertisers;
  if (record.peer != kNoPeer) out.set(record.peer);
  return out;
}

Bits routers_of(const ResourceRecord& record) {
  Bits out;
  for (const auto& [peer, router] : record.routers) out.set(peer);
  return out;
}

}  // namespace

ViewDiff::ViewDiff(const MapView& before, const MapView& after) : before_(before), after_(after) {
  everyone_ = before_.globals_ != after_.globals_;
  if (everyone_) return;
  compare_peers();
  compare_groups();
  compare_acl_sources();
  compare_rules();
  compare_routes();
  compare_resources();
  compare_names();
  compare_users();
  compare_checks();
  tell_irregular();
  affected_ &= after_.peers_->present;
}

void ViewDiff::compare_peers() {
  const auto& old = before_.peers_->chunks;
  const auto& now = after_.peers_->chunks;
  for (std::size_t chunk = 0; chunk < std::max(old.size(), now.size()); ++chunk) {
    const PeerChunk* const old_chunk = chunk < old.size() ? old[chunk].get() : nullptr;
    const PeerChunk* const new_chunk = chunk < now.size() ? now[chunk].get() : nullptr;
    if (old_chunk == new_chunk) continue;
    for (std::size_t i = 0; i < PeerChunk::kPeers; ++i) {
      const PeerRecord* const was = old_chunk == nullptr ? nullptr : old_chunk->records()[i].get();
      const PeerRecord* const is = new_chunk == nullptr ? nullptr : new_chunk->records()[i].get();
      if (was == is) continue;
      const auto slot = static_cast<PeerIndex>(chunk * PeerChunk::kPeers + i);
      affected_.set(slot);
      if (was == nullptr || is == nullptr || !was->looks_like(*is)) looks_.set(slot);
    }
  }
  something_ = !affected_.none();
}

void ViewDiff::compare_groups() {
  tell(before_.groups_->without_dns ^ after_.groups_->without_dns);
  const auto& old_table = before_.snapshot_->groups;
  const auto& table = after_.snapshot_->groups;
  std::size_t j = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    while (j < old_table.size() && old_table[j].id < table[i].id)
      regrouped_ |= before_.groups_->groups[j++]->members;
    const Bits& members = after_.groups_->groups[i]->members;
    if (j == old_table.size() || old_table[j].id != table[i].id) {
      regrouped_ |= members;
      continue;
    }
    const auto& was = before_.groups_->groups[j++];
    if (was != after_.groups_->groups[i]) regrouped_ |= was->members ^ members;
  }
  for (; j < old_table.size(); ++j) regrouped_ |= before_.groups_->groups[j]->members;
  if (!regrouped_.none()) something_ = true;
}

void ViewDiff::compare_acl_sources() {
  const auto& old_table = before_.snapshot_->posture_checks;
  const auto& table = after_.snapshot_->posture_checks;
  Bits changed = looks_ | regrouped_;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const Bits& failing = after_.checks_->checks[i]->failing;
    const std::size_t was = old_table.position(table[i].id);
    changed |=
        was == old_table.kNowhere ? failing : before_.checks_->checks[was]->failing ^ failing;
  }
  for (std::size_t i = 0; i < old_table.size(); ++i)
    if (table.find(old_table[i].id) == nullptr) changed |= before_.checks_->checks[i]->failing;
  for (const MapView* const view : {&before_, &after_})
    for (const auto& record : view->routes_->routes) {
      if (!record->route->enabled || record->route->access_control_groups.empty()) continue;
      Bits routers = record->by_group;
      if (record->peer != kNoPeer) routers.set(record->peer);
      // These rules take members of every source group, also where `All` stands for a whole side,
      // but none from beyond the distribution; and only of groups that the routing peer knows.
      tell(record->distribution.intersects(changed) ? routers : routers & regrouped_);
    }
}

void ViewDiff::compare_rules() {
  // Rules are the same rule when policy, id and position within the policy are.
  using Key = std::tuple<std::string_view, std::string_view, std::ptrdiff_t>;
  const auto key = [](const CompiledRule& rule) {
    return Key(rule.policy->id.value(), rule.rule().id.value(),
               &rule.rule() - rule.policy->rules.data());
  };
  const auto& old = before_.rules_->rules;
  const auto& now = after_.rules_->rules;
  std::set<const CompiledRule*> kept;
  if (old.size() == now.size() && std::ranges::equal(old, now)) return;
  for (const auto& rule : now) kept.insert(rule.get());
  std::multimap<Key, const CompiledRule*> gone;  // injected rules may share a key
  for (const auto& rule : old)
    if (kept.erase(rule.get()) == 0) gone.emplace(key(*rule), rule.get());
  for (const auto& rule : now) {
    if (!kept.contains(rule.get())) continue;  // unchanged
    const auto was = gone.find(key(*rule));
    compare_rule(was == gone.end() ? nullptr : was->second, rule.get());
    if (was != gone.end()) gone.erase(was);
  }
  for (const auto& [id, rule] : gone) compare_rule(rule, nullptr);
}

void ViewDiff::compare_rule(const CompiledRule* before, const CompiledRule* after) {
  something_ = true;
  if (before != nullptr) tell_acl_routers(*before);
  if (after != nullptr) tell_acl_routers(*after);
  const bool same =
      before != nullptr && after != nullptr && same_rule(before->rule(), after->rule()) &&
      before->policy->order == after->policy->order && before->shares_id == after->shares_id;
  if (!same) {
    for (const CompiledRule* const rule : {before, after})
      if (rule != nullptr) tell(rule->sources | rule->destinations);
    return;
  }
  const Bits sources = before->sources | after->sources;
  const Bits destinations = before->destinations | after->destinations;
  const Bits moved_sources = before->sources ^ after->sources;
  const Bits moved_destinations = before->destinations ^ after->destinations;
  tell(moved_sources);
  tell(moved_destinations);
  if (!moved_sources.none() || looks_.intersects(sources)) tell(destinations);
  if (!moved_destinations.none() || looks_.intersects(destinations)) tell(sources);
}

void ViewDiff::tell_acl_routers(const CompiledRule& changed) {
  std::set<management::GroupId> destinations;
  for (const auto& rule : changed.policy->rules)
    destinations.insert(rule.destinations.begin(), rule.destinations.end());
  for (const MapView* const view : {&before_, &after_})
    for (const auto& record : view->routes_->routes) {
      const auto& route = *record->route;
      if (!route.enabled || std::ranges::none_of(route.access_control_groups, [&](const auto& id) {
            return destinations.contains(id);
          }))
        continue;
      tell(record->by_group);
      if (record->peer != kNoPeer) affected_.set(record->peer);
    }
}

void ViewDiff::compare_routes() {
  std::map<management::RouteId, const RouteRecord*> old;
  for (const auto& record : before_.routes_->routes) old[record->route->id] = record.get();
  for (const auto& record : after_.routes_->routes) {
    const auto was = old.find(record->route->id);
    const RouteRecord* const before = was == old.end() ? nullptr : was->second;
    if (was != old.end()) old.erase(was);
    if (before == record.get() && !looks_.intersects(record->advertisers)) continue;
    something_ = true;
    tell(everyone_on(*record));
    if (before != nullptr) tell(everyone_on(*before));
  }
  for (const auto& [id, record] : old) {
    something_ = true;
    tell(everyone_on(*record));
  }
}

void ViewDiff::compare_resources() {
  tell(before_.resources_->must_resolve_dns ^ after_.resources_->must_resolve_dns);
  std::map<management::ResourceId, const ResourceRecord*> old;
  for (const auto& record : before_.resources_->resources) old[record->resource->id] = record.get();
  const auto tell_all = [&](const ResourceRecord& record) {
    something_ = true;
    tell(routers_of(record));
    tell(record.reaching);
  };
  for (const auto& record : after_.resources_->resources) {
    const auto was = old.find(record->resource->id);
    const ResourceRecord* const before = was == old.end() ? nullptr : was->second;
    if (was != old.end()) old.erase(was);
    if (before == record.get() && !looks_.intersects(routers_of(*record)) &&
        !looks_.intersects(record->reaching))
      continue;
    tell_all(*record);
    if (before != nullptr) tell_all(*before);
  }
  for (const auto& [id, record] : old) tell_all(*record);
}

void ViewDiff::tell_difference(const ByContent& before, const ByContent& after) {
  for (const auto& [content, peers] : before) {
    const auto now = after.find(content);
    tell(now == after.end() ? peers : peers ^ now->second);
  }
  for (const auto& [content, peers] : after)
    if (!before.contains(content)) tell(peers);
}

void ViewDiff::compare_names() {
  const auto distributed = [](const std::vector<Distributed>& list) {
    ByContent out;
    for (const Distributed& item : list) {
      std::string content = item.element;
      for (const std::string& server : item.servers) content += '\n' + server;
      out[content] |= item.members;
    }
    return out;
  };
  const auto services = [](const std::vector<ServiceRecords>& list) {
    ByContent out;
    for (const ServiceRecords& item : list) out[item.apex + '\n' + item.records] |= item.members;
    return out;
  };
  const NamePart& old = *before_.names_;
  const NamePart& now = *after_.names_;
  if (old.name_servers != now.name_servers)
    tell_difference(distributed(old.name_servers), distributed(now.name_servers));
  if (old.zones != now.zones) tell_difference(distributed(old.zones), distributed(now.zones));
  if (old.services != now.services) tell_difference(services(old.services), services(now.services));
}

void ViewDiff::compare_users() {
  if (before_.users_ == after_.users_) return;
  something_ = true;  // irregular peers are let in by rules that the fast sides leave them out of
  Bits open;          // peers whose own setting has SSH on
  after_.peers_->present.for_each([&](PeerIndex slot) {
    if (after_.peers_->record(slot)->peer->ssh_enabled) open.set(slot);
  });
  for (const auto& rule : after_.rules_->rules) {
    if (rule->ssh == SshEffect::kAlways) tell(rule->destinations);
    if (rule->ssh == SshEffect::kWhereEnabled) tell(rule->destinations & open);
  }
}

void ViewDiff::compare_checks() {
  const auto lists = [](const CheckPart& part) {
    ByContent out;
    for (const CheckedPolicy& policy : part.policies)
      for (const std::size_t check : policy.checks)
        if (const auto& record = *part.checks[check]; !record.element.empty())
          out[record.check->id.value() + '\n' + record.element] |= policy.sources;
    return out;
  };
  tell_difference(lists(*before_.checks_), lists(*after_.checks_));
  for (std::size_t i = 0; i < after_.checks_->checks.size() && !something_; ++i)
    something_ = i >= before_.checks_->checks.size() ||
                 before_.checks_->checks[i] != after_.checks_->checks[i];
}

void ViewDiff::tell_irregular() {
  if (!something_ && affected_.none()) return;
  for (const MapView* const view : {&before_, &after_}) {
    tell(view->rules_->irregular);
    if (!view->rules_->direct_source_with_checks) continue;
    for (const auto& record : view->routes_->routes) {
      if (record->route->access_control_groups.empty()) continue;
      tell(record->by_group);
      if (record->peer != kNoPeer) affected_.set(record->peer);
    }
  }
}

}  // namespace nb::netmap
