// Sessions of peers that are known to exist, or to have existed, beside the streams that are open
// here: what is told of a session may come before the stream of an older one opens.
#pragma once

#include "base/clock.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

namespace nb::management::app {

/// The newest epoch heard of, for as long as an opening may take. Epochs of a peer only grow, so
/// one that is remembered too long does no harm; one that is forgotten is found when sessions are
/// compared with the database.
/// Threads  one.
class NewestEpochs {
 public:
  static constexpr auto kRemembered = std::chrono::seconds(30);
  static constexpr std::size_t kMost = 65'536;  // peers

  void note(const std::string& peer, std::int64_t epoch, Instant now) {
    Entry& entry = epochs_[peer];
    entry = {std::max(entry.epoch, epoch), now + kRemembered};
    order_.emplace_back(entry.until, peer);
    forget_old(now);
  }
  /// 0: none is known.
  [[nodiscard]] std::int64_t of(const std::string& peer) const {
    const auto found = epochs_.find(peer);
    return found == epochs_.end() ? 0 : found->second.epoch;
  }
  void forget_old(Instant now) {
    while (!order_.empty() && (order_.front().first <= now || epochs_.size() > kMost)) {
      const auto found = epochs_.find(order_.front().second);
      // Not one that was heard of again meanwhile.
      if (found != epochs_.end() && found->second.until == order_.front().first)
        epochs_.erase(found);
      order_.pop_front();
    }
  }
  [[nodiscard]] std::size_t size() const { return epochs_.size(); }

 private:
  struct Entry {
    std::int64_t epoch = 0;
    Instant until{};
  };
  std::unordered_map<std::string, Entry> epochs_;
  std::deque<std::pair<Instant, std::string>> order_;  // as they were noted
};

}  // namespace nb::management::app
