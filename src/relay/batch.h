// Packets on their way to another loop: collected during a turn, posted once.
#pragma once

#include "relay/block_pool.h"
#include "relay/registry.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace nb::relay {

/// Owns its blocks: taken from the pool of the loop that fills it, given to the one that empties
/// it.
class Batch {
 public:
  struct Head {
    Route route{};
    PeerId to{};
    std::uint16_t size = 0;           // of the frame
    std::uint16_t message_bytes = 0;  // of the message in it
    std::uint32_t sender = 0;         // for SendQueue
  };

  Batch() = default;
  ~Batch() {
    while (first_ != nullptr) delete std::exchange(first_, first_->next);
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// Room for head.size bytes, to be filled by the caller.
  std::span<std::uint8_t> push(BlockPool& pool, const Head& head) {
    if (last_ == nullptr || last_->room() < sizeof head + head.size) {
      Block* const block = pool.take_uncounted();
      (last_ == nullptr ? first_ : last_->next) = block;
      last_ = block;
    }
    std::memcpy(last_->bytes.data() + last_->end, &head, sizeof head);
    const std::span<std::uint8_t> room(last_->bytes.data() + last_->end + sizeof head, head.size);
    last_->end += static_cast<std::uint32_t>(sizeof head + head.size);
    bytes_ += sizeof head + head.size;
    return room;
  }
  /// visit(head, frame) for each, in order; the blocks go to `pool`.
  template <class Visit>
  void consume(BlockPool& pool, Visit visit) {
    while (first_ != nullptr) {
      for (std::size_t at = 0; at < first_->end;) {
        Head head;
        std::memcpy(&head, first_->bytes.data() + at, sizeof head);
        at += sizeof head;
        visit(head, std::span<const std::uint8_t>(first_->bytes.data() + at, head.size));
        at += head.size;
      }
      pool.give_uncounted(std::exchange(first_, first_->next));
    }
    last_ = nullptr;
    bytes_ = 0;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return first_ == nullptr; }

 private:
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace nb::relay
