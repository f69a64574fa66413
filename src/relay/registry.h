// Which peer is connected where, and who wants to know.
// Source   contract/signal-relay-ops.md §3.4
#pragma once

#include "base/clock.h"
#include "relay/messages.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace nb::relay {

/// A connection: loop, place in the loop's table, and a number that no other connection ever has,
/// by which a stale route is known.
struct Route {
  std::uint32_t loop = 0;
  std::uint32_t slot = 0;
  std::uint64_t serial = 0;  // 0: nobody
  [[nodiscard]] bool somebody() const { return serial != 0; }
  friend bool operator==(const Route&, const Route&) = default;
};

/// A peer came or went; `watchers` are to be told. `order` grows with each change of this id.
struct Change {
  PeerId id{};
  bool online = false;
  std::uint64_t order = 0;
  std::vector<Route> watchers{};
};

/// Threads  any; ids are spread over shards with a lock each, held for a look-up.
/// Memory   an entry lives while somebody is connected under its id or watches it.
class Registry {
 public:
  struct Options {
    std::uint32_t replacements_max = 5;  // of one id …
    std::chrono::milliseconds replacement_window{10'000};
  };
  explicit Registry(Options options) : options_(options) {}

  struct Claim {
    bool refused = false;  // replaced too often
    Route displaced{};     // the connection that had the id until now
    Change change{};       // watchers to tell; none after a displacement
  };
  /// From now on `route` has `id`. The newest connection wins (§3.4.1).
  Claim claim(const PeerId& id, const Route& route, Instant now);
  /// Ends what claim() began, unless somebody else has the id by now: then nothing.
  std::optional<Change> leave(const PeerId& id, const Route& route);
  [[nodiscard]] Route find(const PeerId& id) const;
  /// Differs from an earlier answer if any route may have changed since: a route that was found
  /// after version() gave a value is good while it gives that value.
  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  /// `watcher` is told once when `id` comes online, and each time it goes offline. The answer is
  /// the state now, to be told if online.
  Change watch(const PeerId& id, const Route& watcher);
  void unwatch(const PeerId& id, const Route& watcher);
  /// Ids with an entry; for tests.
  [[nodiscard]] std::size_t size() const;

 private:
  struct Watcher {
    Route route;
    bool wants_online = true;
  };
  struct Entry {
    Route holder{};
    std::uint32_t replacements = 0;
    Instant window{};  // beginning of the one in which they are counted
    std::vector<Watcher> watchers;
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::uint64_t order = 0;  // one count for all ids here: entries come and go
    std::unordered_map<PeerId, Entry, PeerIdHash> entries;
  };
  static constexpr std::size_t kShards = 64;
  [[nodiscard]] Shard& shard_of(const PeerId& id) const { return shards_[PeerIdHash{}(id) >> 58]; }
  static_assert(kShards == 64);

  const Options options_;
  std::atomic<std::uint64_t> version_ = 1;
  mutable std::array<Shard, kShards> shards_{};
};

}  // namespace nb::relay
