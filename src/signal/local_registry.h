// Which loop of this process serves a peer: the one structure that all loops share.
#pragma once

#include "base/lru_cache.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nb::signal {

/// Place of a peer's stream in this process. `stream` is its number: process-monotonic, never 0,
/// so that a clock step cannot make a reconnect look old (contract/signal-relay-ops.md §1.2).
struct StreamPlace {
  std::uint64_t stream = 0;
  std::uint32_t loop = 0;
  /// Messages wait for the peer to read: senders on other loops wait for the outcome.
  bool congested = false;
};

/// Peer to stream, authoritative for this process.
/// Threads  any; a look-up holds one of 64 short locks, and loops meet in it only by chance.
/// Why a lock here and nowhere else: a home loop per peer would cost each Send one more hop between
/// threads, a copy per loop would cost every registration a message to all loops.
class LocalRegistry {
 public:
  /// Puts the stream in; an entry of an older stream is replaced and returned. An entry of a newer
  /// stream stays and is returned: then the caller's stream is the one to end.
  std::optional<StreamPlace> insert(std::string_view peer, StreamPlace place);
  /// Removes the entry only if it is still this very stream.
  bool erase(std::string_view peer, std::uint64_t stream);
  [[nodiscard]] std::optional<StreamPlace> find(std::string_view peer) const;
  void set_congested(std::string_view peer, std::uint64_t stream, bool congested);
  [[nodiscard]] std::size_t size() const;

 private:
  static constexpr std::size_t kStripes = 64;
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::unordered_map<std::string, StreamPlace, TextHash, std::equal_to<>> peers;
  };
  [[nodiscard]] Stripe& stripe(std::string_view peer) { return stripes_[TextHash{}(peer) >> 58U]; }
  [[nodiscard]] const Stripe& stripe(std::string_view peer) const {
    return stripes_[TextHash{}(peer) >> 58U];
  }

  std::array<Stripe, kStripes> stripes_;
};

}  // namespace nb::signal
