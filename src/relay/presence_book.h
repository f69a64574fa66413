// What one peer wants to know of others, and what it has yet to be told. Pure.
// Source   contract/signal-relay-ops.md §3.4.5 and "Do better" (c), (d)
#pragma once

#include "relay/messages.h"

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace nb::relay {

/// Bounded by the subscriptions: of each id only the newest state waits.
class PresenceBook {
 public:
  /// False: it was there already.
  bool subscribe(const PeerId& id) { return entries_.try_emplace(id).second; }
  /// False: it was not there.
  bool unsubscribe(const PeerId& id) { return entries_.erase(id) > 0; }
  /// `order`: of the registry; what is older than the last of this id came late and is dropped.
  /// True: there is something to tell now.
  bool note(const PeerId& id, bool online, std::uint64_t order);
  /// Moves up to `ids_max` ids of one state out; empty: nothing to tell.
  struct News {
    Type type = Type::kPeersOnline;
    std::vector<PeerId> ids;
  };
  News take(std::size_t ids_max);
  [[nodiscard]] bool has_news() const { return !changed_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// Ids kept for telling; for tests.
  [[nodiscard]] std::size_t waiting() const { return changed_.size(); }
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& [id, entry] : entries_) visit(id);
  }

 private:
  enum class Untold : std::uint8_t { kNothing, kOnline, kOffline };
  struct Entry {
    std::uint64_t order = 0;
    Untold untold = Untold::kNothing;
    bool listed = false;  // in changed_
  };
  void drop_stale();
  std::unordered_map<PeerId, Entry, PeerIdHash> entries_;
  std::vector<PeerId> changed_;
};

}  // namespace nb::relay
