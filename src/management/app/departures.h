// Peers whose streams have ended and who are not marked disconnected yet.
//
// An agent whose link flaps is back within a second or two, and its next session takes the place of
// the last one in the database: marking it disconnected in between would be a transaction that
// changes nothing for long. So the mark waits a little, and who is back by then needs none
// (decision 0129).
#pragma once

#include "management/domain/ids.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace nb::management::app {

/// Thread-safe.
class Departures {
 public:
  class Departure {
   public:
    Departure(PeerId peer, std::int64_t epoch) : peer_(std::move(peer)), epoch_(epoch) {}
    /// A newer session has taken its place: there is nothing to mark.
    [[nodiscard]] bool over() const { return over_.load(std::memory_order_relaxed); }

   private:
    friend class Departures;
    const PeerId peer_;
    const std::int64_t epoch_;
    std::atomic<bool> over_{false};
  };
  using Ptr = std::shared_ptr<Departure>;

  /// The stream of this session has ended. Until forget().
  [[nodiscard]] Ptr left(const PeerId& peer, std::int64_t epoch) {
    auto made = std::make_shared<Departure>(peer, epoch);
    const std::lock_guard lock(mutex_);
    Ptr& newest = newest_[peer.value()];
    if (newest && newest->epoch_ > epoch) {
      made->over_ = true;
      return made;
    }
    if (newest) newest->over_ = true;
    newest = made;
    return made;
  }
  /// A session of the peer has begun, as the database says: older ones are over.
  void began(const PeerId& peer, std::int64_t epoch) {
    const std::lock_guard lock(mutex_);
    const auto found = newest_.find(peer.value());
    if (found == newest_.end() || found->second->epoch_ >= epoch) return;
    found->second->over_ = true;
    newest_.erase(found);
  }
  /// It is marked, or need not be.
  void forget(const Ptr& departure) {
    const std::lock_guard lock(mutex_);
    const auto found = newest_.find(departure->peer_.value());
    if (found != newest_.end() && found->second == departure) newest_.erase(found);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, Ptr> newest_;  // as many as streams have just ended
};

}  // namespace nb::management::app
