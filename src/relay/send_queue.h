// Frames waiting for one peer's socket: bounded, first come first served, fair to the senders.
#pragma once

#include "net/output.h"
#include "relay/block_pool.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace nb::relay {

/// Past its limit the newest frame is refused, so what is queued keeps its order and age. A sender
/// (rather: its class, one of kClasses by hash) may hold no more than what is still free: one that
/// floods gets half of the queue, two get a third each, and whoever sends little always finds room
/// (dynamic thresholds, Choudhury and Hahne 1998).
/// Not thread-safe; `pool` belongs to the same loop and outlives it.
class SendQueue {
 public:
  static constexpr std::size_t kClasses = 16;

  SendQueue(BlockPool& pool, std::size_t bytes_max) : pool_(pool), bytes_max_(bytes_max) {}
  ~SendQueue() { clear(); }
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  enum class Refusal : std::uint8_t { kNone, kFull, kUnfair, kNoMemory };
  struct Room {
    std::span<std::uint8_t> bytes{};
    Refusal refusal = Refusal::kNone;
  };
  /// Room for a frame of `size` bytes (<= kFrameMax), to be filled by the caller before anything
  /// else is asked of the queue. `overhead` of them are not counted by pop().
  Room push(std::size_t size, std::size_t overhead, std::size_t sender);
  struct Taken {
    std::size_t frames = 0;
    std::size_t message_bytes = 0;
  };
  /// Appends frames to `out` until `bytes` are there or the queue is empty.
  Taken pop(net::OutputBuffer& out, std::size_t bytes);
  void clear();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return first_ == nullptr; }

  static constexpr std::size_t kFrameMax = 9'000;

 private:
  struct Head {
    std::uint16_t size;
    std::uint8_t sender;
    std::uint8_t overhead;
  };
  static_assert(kFrameMax + sizeof(Head) <= Block::kBytes);

  BlockPool& pool_;
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::array<std::uint32_t, kClasses> held_{};  // bytes by class of sender
};

}  // namespace nb::relay
