// Which peers had a session of this process not long ago.
//
// They are let in by one transaction that writes; whoever is refused, or not known at all, must not
// cost more than a read.
#pragma once

#include "base/lru_cache.h"
#include "management/domain/ids.h"

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>

namespace nb::management::app {

/// Thread-safe. Remembers hashes only: a stranger whose key has the hash of another goes the
/// shorter way to the same answer.
class WelcomePeers {
 public:
  [[nodiscard]] bool contains(const PeerKey& key) {
    const std::lock_guard lock(mutex_);
    return seen_.find(hash(key)) != nullptr;
  }
  void remember(const PeerKey& key) {
    const std::lock_guard lock(mutex_);
    seen_.put(hash(key), true);
  }
  void forget(const PeerKey& key) {
    const std::lock_guard lock(mutex_);
    seen_.erase(hash(key));
  }

 private:
  static constexpr std::size_t kPeersMax = 16'384;
  static std::size_t hash(const PeerKey& key) { return std::hash<std::string>{}(key.value()); }

  std::mutex mutex_;
  LruCache<std::size_t, bool> seen_{kPeersMax};
};

}  // namespace nb::management::app
