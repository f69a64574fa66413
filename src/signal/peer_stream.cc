#include "signal/peer_stream.h"

#include "signal/shard.h"

#include <utility>

namespace nb::signal {
namespace {

/// What the transport may hold for one peer before messages wait here, where they can still be
/// thrown out or sent elsewhere.
constexpr std::size_t kDirectBytesMax = std::size_t{128} * 1024;
constexpr std::string_view kPeerIdHeader = "x-wiretrustee-peer-id";

}  // namespace

void PeerStream::on_start(net::GrpcCall& call) {
  call_ = &call;
  peer_ = call.metadata(kPeerIdHeader);
  since_ = shard_.context().clock.now();
  shard_.start(*this);
}

// Clients send nothing on this stream, and what they send means nothing (signal-relay-ops.md §1.2).
void PeerStream::on_message(net::GrpcCall& /*call*/, std::string_view /*message*/) {}

void PeerStream::on_writable(net::GrpcCall& /*call*/) {
  drain();
}

void PeerStream::on_end(net::GrpcCall& /*call*/) {
  call_ = nullptr;
  finished_ = true;
  delay_.reset();
  shard_.ended(*this);
}

bool PeerStream::open() const {
  return queue_ == nullptr && !finished_ && call_->queued_bytes() < kDirectBytesMax;
}

void PeerStream::write(std::string_view message) {
  call_->write(message);
}

void PeerStream::enqueue(Parcel parcel) {
  const Options& options = shard_.context().options;
  if (finished_) return shard_.reroute(std::move(parcel));
  const bool first = queue_ == nullptr;
  if (first) queue_ = std::make_unique<Queue>();
  while (!queue_->parcels.empty() &&
         (queue_->parcels.size() >= options.queue_messages_max ||
          queue_->bytes + parcel.message.size() > options.queue_bytes_max))
    drop_oldest();
  count_queue(parcel, 1);
  queue_->parcels.push_back(std::move(parcel));
  if (first) shard_.congested(*this, true);
}

void PeerStream::drop_oldest() {
  const Parcel oldest = std::move(queue_->parcels.front());
  queue_->parcels.pop_front();
  count_queue(oldest, -1);
  shard_.context().metrics.dropped_peer_queue.add();
  shard_.context().metrics.lost_overflow.add();
  shard_.settle(oldest.sender, oldest.peer, Outcome::kOverflow);
}

void PeerStream::count_queue(const Parcel& parcel, int sign) {
  ShardContext& context = shard_.context();
  const auto bytes = parcel.message.size();
  context.metrics.queued_messages.add(sign);
  context.metrics.queued_bytes.add(sign * static_cast<std::int64_t>(bytes));
  if (sign > 0) {
    queue_->bytes += bytes;
    context.queued_bytes.fetch_add(bytes, std::memory_order_relaxed);
  } else {
    queue_->bytes -= bytes;
    context.queued_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  }
}

void PeerStream::drain() {
  if (queue_ == nullptr || finished_) return;
  while (!queue_->parcels.empty() && call_->queued_bytes() < kDirectBytesMax) {
    const Parcel parcel = std::move(queue_->parcels.front());
    queue_->parcels.pop_front();
    count_queue(parcel, -1);
    call_->write(parcel.message);
    shard_.written(parcel);
  }
  if (!queue_->parcels.empty()) return;
  queue_.reset();
  shard_.congested(*this, false);
}

bool PeerStream::stalled(Instant now) const {
  return queue_ != nullptr && !queue_->parcels.empty() &&
         now - queue_->parcels.front().since >= shard_.context().options.send_timeout;
}

std::deque<Parcel> PeerStream::take_queue() {
  if (queue_ == nullptr) return {};
  for (const Parcel& parcel : queue_->parcels) count_queue(parcel, -1);
  std::deque<Parcel> parcels = std::move(queue_->parcels);
  queue_.reset();
  shard_.congested(*this, false);
  return parcels;
}

void PeerStream::finish(net::GrpcStatus status, bool at_once) {
  if (std::exchange(finished_, true)) return;
  end_code_ = status.code;
  if (at_once) {
    call_->abort(std::move(status));
  } else {
    call_->finish(std::move(status));
  }
}

}  // namespace nb::signal
