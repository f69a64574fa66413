#include "signal/throttle.h"

#include <utility>

namespace nb::signal {

std::chrono::milliseconds FlapThrottle::delay(std::string_view peer, Instant now) {
  const auto found = keys_.find(peer);
  if (found == keys_.end()) return {};
  const Entry& entry = found->second;
  if (entry.times.size() < options_.replacements_max) return {};
  if (now - entry.times.front() >= options_.window) return {};
  return options_.delay;
}

void FlapThrottle::replaced(std::string_view peer, Instant now) {
  if (now - swept_ >= options_.window || keys_.size() >= kKeysMax) sweep(now);
  auto found = keys_.find(peer);
  if (found == keys_.end()) {
    if (keys_.size() >= kKeysMax) return;  // a flood of keys is the rate limiter's matter
    found = keys_.emplace(std::string(peer), Entry{}).first;
  }
  Entry& entry = found->second;
  if (!entry.times.empty() && now - entry.times.back() >= options_.window + options_.delay)
    entry = Entry{};  // a new episode
  if (entry.times.size() == options_.replacements_max) entry.times.erase(entry.times.begin());
  entry.times.push_back(now);
}

bool FlapThrottle::first_notice(std::string_view peer) {
  const auto found = keys_.find(peer);
  return found != keys_.end() && !std::exchange(found->second.noticed, true);
}

void FlapThrottle::sweep(Instant now) {
  swept_ = now;
  std::erase_if(keys_, [&](const auto& item) {
    return item.second.times.empty() ||
           now - item.second.times.back() >= options_.window + options_.delay;
  });
}

}  // namespace nb::signal
