#include "signal/local_registry.h"

namespace nb::signal {

std::optional<StreamPlace> LocalRegistry::insert(std::string_view peer, StreamPlace place) {
  Stripe& s = stripe(peer);
  const std::lock_guard lock(s.mutex);
  const auto [at, fresh] = s.peers.try_emplace(std::string(peer), place);
  if (fresh) return std::nullopt;
  const StreamPlace other = at->second;
  if (other.stream < place.stream) at->second = place;
  return other;
}

bool LocalRegistry::erase(std::string_view peer, std::uint64_t stream) {
  Stripe& s = stripe(peer);
  const std::lock_guard lock(s.mutex);
  const auto at = s.peers.find(peer);
  if (at == s.peers.end() || at->second.stream != stream) return false;
  s.peers.erase(at);
  return true;
}

std::optional<StreamPlace> LocalRegistry::find(std::string_view peer) const {
  const Stripe& s = stripe(peer);
  const std::lock_guard lock(s.mutex);
  const auto at = s.peers.find(peer);
  if (at == s.peers.end()) return std::nullopt;
  return at->second;
}

void LocalRegistry::set_congested(std::string_view peer, std::uint64_t stream, bool congested) {
  Stripe& s = stripe(peer);
  const std::lock_guard lock(s.mutex);
  const auto at = s.peers.find(peer);
  if (at != s.peers.end() && at->second.stream == stream) at->second.congested = congested;
}

std::size_t LocalRegistry::size() const {
  std::size_t total = 0;
  for (const Stripe& s : stripes_) {
    const std::lock_guard lock(s.mutex);
    total += s.peers.size();
  }
  return total;
}

}  // namespace nb::signal
