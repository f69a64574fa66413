#include "relay/registry.h"

#include <algorithm>

namespace nb::relay {

Registry::Claim Registry::claim(const PeerId& id, const Route& route, Instant now) {
  Claim claim;
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[id];
  if (entry.holder.somebody()) {
    // Two agents that share a key displace each other for ever (§3.3 "Do better" (c)).
    if (now - entry.window >= options_.replacement_window) {
      entry.window = now;
      entry.replacements = 0;
    }
    if (entry.replacements >= options_.replacements_max) {
      claim.refused = true;
      return claim;
    }
    ++entry.replacements;
    claim.displaced = entry.holder;
    entry.holder = route;
    version_.fetch_add(1, std::memory_order_release);
    return claim;
  }
  entry.holder = route;
  version_.fetch_add(1, std::memory_order_release);
  claim.change = {.id = id, .online = true, .order = ++shard.order};
  for (Watcher& watcher : entry.watchers) {
    if (!watcher.wants_online) continue;
    watcher.wants_online = false;
    claim.change.watchers.push_back(watcher.route);
  }
  return claim;
}

std::optional<Change> Registry::leave(const PeerId& id, const Route& route) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(id);
  if (found == shard.entries.end() || found->second.holder != route) return std::nullopt;
  Change change{.id = id, .online = false, .order = ++shard.order};
  for (const Watcher& watcher : found->second.watchers) change.watchers.push_back(watcher.route);
  if (found->second.watchers.empty()) {
    shard.entries.erase(found);
  } else {
    found->second.holder = {};
  }
  version_.fetch_add(1, std::memory_order_release);
  return change;
}

Route Registry::find(const PeerId& id) const {
  const Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(id);
  return found == shard.entries.end() ? Route{} : found->second.holder;
}

Change Registry::watch(const PeerId& id, const Route& watcher) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[id];
  const auto known = std::find_if(entry.watchers.begin(), entry.watchers.end(),
                                  [&](const Watcher& each) { return each.route == watcher; });
  if (known == entry.watchers.end()) {
    entry.watchers.push_back({watcher});
  } else {
    known->wants_online = true;
  }
  return {.id = id, .online = entry.holder.somebody(), .order = ++shard.order};
}

void Registry::unwatch(const PeerId& id, const Route& watcher) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(id);
  if (found == shard.entries.end()) return;
  auto& watchers = found->second.watchers;
  const auto known = std::find_if(watchers.begin(), watchers.end(),
                                  [&](const Watcher& each) { return each.route == watcher; });
  if (known == watchers.end()) return;
  *known = watchers.back();
  watchers.pop_back();
  if (watchers.empty() && !found->second.holder.somebody()) shard.entries.erase(found);
}

std::size_t Registry::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    size += shard.entries.size();
  }
  return size;
}

}  // namespace nb::relay
