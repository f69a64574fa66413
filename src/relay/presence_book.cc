#include "relay/presence_book.h"

#include <utility>

namespace nb::relay {

namespace {
constexpr std::size_t kSlack = 64;
}

bool PresenceBook::note(const PeerId& id, bool online, std::uint64_t order) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || order <= found->second.order) return false;
  Entry& entry = found->second;
  entry.order = order;
  entry.untold = online ? Untold::kOnline : Untold::kOffline;
  if (!entry.listed) {
    entry.listed = true;
    changed_.push_back(id);
    if (changed_.size() > 2 * entries_.size() + kSlack) drop_stale();
  }
  return true;
}

/// Who subscribes and unsubscribes by turns without reading leaves ids behind.
void PresenceBook::drop_stale() {
  std::vector<PeerId> kept;
  for (const PeerId& id : changed_) {
    const auto found = entries_.find(id);
    if (found == entries_.end() || !found->second.listed) continue;
    found->second.listed = false;  // a second time in the list counts as stale
    kept.push_back(id);
  }
  for (const PeerId& id : kept) entries_.find(id)->second.listed = true;
  changed_ = std::move(kept);
}

PresenceBook::News PresenceBook::take(std::size_t ids_max) {
  News news;
  std::vector<PeerId> rest;
  Untold state = Untold::kNothing;
  for (const PeerId& id : changed_) {
    const auto found = entries_.find(id);
    if (found == entries_.end() || !found->second.listed) continue;  // unsubscribed since
    Entry& entry = found->second;
    if (entry.untold == Untold::kNothing) {
      entry.listed = false;
      continue;
    }
    if (state == Untold::kNothing) state = entry.untold;
    if (entry.untold != state || news.ids.size() == ids_max) {
      rest.push_back(id);
      continue;
    }
    news.ids.push_back(id);
    entry.untold = Untold::kNothing;
    entry.listed = false;
  }
  changed_ = std::move(rest);
  news.type = state == Untold::kOffline ? Type::kPeersOffline : Type::kPeersOnline;
  return news;
}

}  // namespace nb::relay
