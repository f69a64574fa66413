#include "relay/shard.h"

#include "base/assert.h"
#include "relay/frame.h"
#include "relay/peer_connection.h"
#include "relay/shared.h"

#include <algorithm>
#include <utility>

namespace nb::relay {

namespace {
std::size_t blocks_of(std::uint64_t bytes, std::size_t loops) {
  return std::max<std::size_t>(64, bytes / loops / sizeof(Block));
}
}  // namespace

Shard::Shard(net::EventLoop& loop, Shared& shared)
    : loop_(loop),
      shared_(shared),
      index_(static_cast<std::uint32_t>(loop.index())),
      pool_(blocks_of(shared.options.queue_bytes_total_max, shared.shards.size())),
      cache_(kCached),
      batches_(shared.shards.size()) {}

Shard::~Shard() = default;

Route Shard::add(PeerConnection& connection) {
  const std::uint64_t serial = shared_.last_serial.fetch_add(1) + 1;
  if (free_ == kNone) {
    free_ = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_;
  free_ = slots_[slot].next_free;
  slots_[slot] = {&connection, serial, kNone};
  return {index_, slot, serial};
}

void Shard::remove(const Route& route) {
  NB_ASSERT(find(route) != nullptr);
  slots_[route.slot] = {nullptr, 0, free_};
  free_ = route.slot;
}

PeerConnection* Shard::find(const Route& route) const {
  if (route.loop != index_ || route.slot >= slots_.size()) return nullptr;
  const Slot& slot = slots_[route.slot];
  return slot.serial == route.serial ? slot.connection : nullptr;
}

Route Shard::route_of(const PeerId& id) {
  Cached& cached = cache_[PeerIdHash{}(id) % kCached];
  const std::uint64_t version = shared_.registry.version();
  if (cached.version != version || cached.id != id)
    cached = {id, version, shared_.registry.find(id)};
  return cached.route;
}

void Shard::forward(const PeerId& from, const PeerId& to, const net::WebSocketMessage& message) {
  const Route route = route_of(to);
  if (!route.somebody()) {
    shared_.metrics.dropped_absent.add();
    return;
  }
  if (route.loop != index_) return pass_on(route, from, to, message);
  PeerConnection* const receiver = find(route);
  if (receiver == nullptr || !receiver->reachable_as(to)) {
    shared_.metrics.dropped_absent.add();
    return;
  }
  const auto room = receiver->room(frame_bytes(message.size()), message.size(), PeerIdHash{}(from));
  if (!room.empty()) write_frame(room, from, message);
}

void Shard::pass_on(const Route& route, const PeerId& from, const PeerId& to,
                    const net::WebSocketMessage& message) {
  auto& batch = batches_[route.loop];
  const Shard& there = *shared_.shards[route.loop];
  const std::size_t waiting = there.inbound_.load(std::memory_order_relaxed);
  if (waiting + (batch ? batch->bytes() : 0) > shared_.options.loop_bytes_max) {
    shared_.metrics.dropped_loop.add();
    return;
  }
  if (!batch) batch = std::make_shared<Batch>();
  const auto room =
      batch->push(pool_, {.route = route,
                          .to = to,
                          .size = static_cast<std::uint16_t>(frame_bytes(message.size())),
                          .message_bytes = static_cast<std::uint16_t>(message.size()),
                          .sender = static_cast<std::uint32_t>(PeerIdHash{}(from))});
  write_frame(room, from, message);
  if (std::exchange(flush_queued_, true)) return;
  loop_.at_turn_end([this] { flush_batches(); });
}

void Shard::flush_batches() {
  flush_queued_ = false;
  for (std::size_t i = 0; i < batches_.size(); ++i) {
    if (!batches_[i]) continue;
    Shard* const there = shared_.shards[i];
    there->inbound_.fetch_add(batches_[i]->bytes(), std::memory_order_relaxed);
    there->loop_.post([there, batch = std::exchange(batches_[i], nullptr)] {
      there->inbound_.fetch_sub(batch->bytes(), std::memory_order_relaxed);
      there->receive(*batch);
    });
  }
}

void Shard::receive(Batch& batch) {
  batch.consume(pool_, [this](const Batch::Head& head, std::span<const std::uint8_t> frame) {
    PeerConnection* receiver = find(head.route);
    // It may have come back on this loop since the sender looked it up.
    if (receiver == nullptr) receiver = find(shared_.registry.find(head.to));
    if (receiver == nullptr || !receiver->reachable_as(head.to)) {
      shared_.metrics.dropped_absent.add();
      return;
    }
    const auto room = receiver->room(head.size, head.message_bytes, head.sender);
    if (!room.empty()) std::copy(frame.begin(), frame.end(), room.begin());
  });
}

void Shard::announce(const Change& change) {
  std::vector<std::vector<Told>> by_loop(shared_.shards.size());
  for (const Route& watcher : change.watchers)
    by_loop[watcher.loop].push_back({watcher, change.id, change.online, change.order});
  for (std::size_t i = 0; i < by_loop.size(); ++i) {
    if (by_loop[i].empty()) continue;
    if (i == index_) {
      tell(by_loop[i]);
      continue;
    }
    Shard* const there = shared_.shards[i];
    there->loop_.post([there, news = std::move(by_loop[i])] { there->tell(news); });
  }
}

void Shard::tell(const std::vector<Told>& news) {
  for (const Told& each : news) {
    if (PeerConnection* const watcher = find(each.watcher))
      watcher->on_presence(each.id, each.online, each.order);
  }
}

void Shard::displace(const Route& route) {
  Shard* const there = shared_.shards[route.loop];
  const auto end = [there, route] {
    if (PeerConnection* const connection = there->find(route)) connection->on_displaced();
  };
  if (there == this) return end();
  there->loop_.post(end);
}

void Shard::sweep(Instant now) {
  pool_.trim();
  std::size_t active = 0;
  std::size_t idle = 0;
  std::size_t queued = 0;
  for (const Slot& slot : slots_) {
    if (slot.connection == nullptr) continue;
    slot.connection->check_slow(now);
    if (!slot.connection->open()) continue;
    ++(slot.connection->active(now) ? active : idle);
    queued += slot.connection->queued_bytes();
  }
  const auto delta = [](std::size_t after, std::size_t& before) {
    const auto change = static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before);
    before = after;
    return change;
  };
  shared_.metrics.peers_active.add(delta(active, active_));
  shared_.metrics.peers_idle.add(delta(idle, idle_));
  shared_.metrics.queued_bytes.add(delta(queued, queued_));
}

}  // namespace nb::relay
