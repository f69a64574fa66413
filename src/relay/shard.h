// One loop's half of the relay: its connections, the way of a packet, mail from other loops.
#pragma once

#include "net/event_loop.h"
#include "net/websocket_endpoint.h"
#include "relay/batch.h"
#include "relay/block_pool.h"
#include "relay/messages.h"
#include "relay/registry.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace nb::relay {

class PeerConnection;
struct Shared;

/// Lives on its loop; made before and destroyed after the loop runs.
class Shard {
 public:
  Shard(net::EventLoop& loop, Shared& shared);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  [[nodiscard]] net::EventLoop& loop() const { return loop_; }
  [[nodiscard]] Shared& shared() const { return shared_; }
  [[nodiscard]] BlockPool& pool() { return pool_; }

  /// A place in the table until remove().
  Route add(PeerConnection& connection);
  void remove(const Route& route);
  /// Hands a transport message of `from` on to `to`, wherever it is; drops it when it is nowhere.
  void forward(const PeerId& from, const PeerId& to, const net::WebSocketMessage& message);
  /// Tells watchers on all loops; from this loop.
  void announce(const Change& change);
  /// Ends the connection that lost its id; from this loop.
  void displace(const Route& route);
  /// Activity, slow readers; every few seconds.
  void sweep(Instant now);

 private:
  struct Cached {
    PeerId id{};
    std::uint64_t version = 0;  // of the registry, before the route was looked up
    Route route{};
  };
  struct Slot {
    PeerConnection* connection = nullptr;
    std::uint64_t serial = 0;
    std::uint32_t next_free = kNone;
  };
  struct Told {
    Route watcher;
    PeerId id;
    bool online;
    std::uint64_t order;
  };
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  static constexpr std::size_t kCached = 1024;

  [[nodiscard]] PeerConnection* find(const Route& route) const;
  [[nodiscard]] Route route_of(const PeerId& id);
  void pass_on(const Route& route, const PeerId& from, const PeerId& to,
               const net::WebSocketMessage& message);
  void flush_batches();
  void receive(Batch& batch);
  void tell(const std::vector<Told>& news);

  net::EventLoop& loop_;
  Shared& shared_;
  const std::uint32_t index_;
  BlockPool pool_;
  std::vector<Slot> slots_;
  std::uint32_t free_ = kNone;
  std::vector<Cached> cache_;                    // by hash; good for one version of the registry
  std::vector<std::shared_ptr<Batch>> batches_;  // by loop; null: nothing for it in this turn
  bool flush_queued_ = false;
  std::atomic<std::size_t> inbound_ = 0;  // bytes posted to this loop, not yet delivered
  std::size_t active_ = 0;
  std::size_t idle_ = 0;
  std::size_t queued_ = 0;
};

}  // namespace nb::relay
