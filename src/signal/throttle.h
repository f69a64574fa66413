// Keys that flap between two agents. Pure; the caller brings the time.
#pragma once

#include "base/clock.h"
#include "base/lru_cache.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nb::signal {

/// Two agents that share a key displace each other about once a second for ever
/// (contract/signal-relay-ops.md §1.2). After `replacements_max` in `window` the next stream of
/// this key has to wait `delay` before it is accepted.
/// Memory   one entry per key that was replaced within the window; at most kKeysMax.
class FlapThrottle {
 public:
  struct Options {
    std::size_t replacements_max = 5;
    std::chrono::milliseconds window{10'000};
    std::chrono::milliseconds delay{5'000};
  };
  static constexpr std::size_t kKeysMax = 20'000;

  explicit FlapThrottle(Options options) : options_(options) {}

  /// How long the new stream of `peer` waits; zero for everyone who does not flap.
  [[nodiscard]] std::chrono::milliseconds delay(std::string_view peer, Instant now);
  /// A live stream of `peer` was replaced by another one, here or on another instance.
  void replaced(std::string_view peer, Instant now);
  /// True once per flapping episode: the caller logs it then.
  [[nodiscard]] bool first_notice(std::string_view peer);
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  struct Entry {
    std::vector<Instant> times;  // newest last, at most replacements_max
    bool noticed = false;
  };
  void sweep(Instant now);

  Options options_;
  std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> keys_;
  Instant swept_{};
};

}  // namespace nb::signal
