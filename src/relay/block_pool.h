// Memory of packets on their way: blocks of one size, reused, at most so many in use.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace nb::relay {

struct Block {
  static constexpr std::size_t kBytes = 16 * 1024 - 24;
  Block* next = nullptr;
  std::uint32_t begin = 0;  // of what is still to be read
  std::uint32_t end = 0;    // of what is written
  std::array<std::uint8_t, kBytes> bytes;
  [[nodiscard]] std::size_t room() const { return kBytes - end; }
};

/// One per loop. A packet neither allocates nor frees while fewer than `spare_max` blocks come and
/// go; an idle relay keeps no more than those.
class BlockPool {
 public:
  explicit BlockPool(std::size_t blocks_max, std::size_t spare_max = 64)
      : blocks_max_(blocks_max), spare_max_(spare_max) {}
  ~BlockPool() {
    while (spare_ != nullptr) delete std::exchange(spare_, spare_->next);
  }
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  /// Null: all are in use.
  Block* take() {
    if (used_ >= blocks_max_) return nullptr;
    ++used_;
    return take_uncounted();
  }
  void give(Block* block) {
    --used_;
    give_uncounted(block);
  }
  /// For blocks that travel to another loop, whose number is limited elsewhere.
  Block* take_uncounted() {
    if (spare_ == nullptr) return new Block;
    Block* const block = std::exchange(spare_, spare_->next);
    --spare_count_;
    block->next = nullptr;
    block->begin = block->end = 0;
    return block;
  }
  void give_uncounted(Block* block) {
    if (spare_count_ >= spare_max_) {
      delete block;
      return;
    }
    block->next = std::exchange(spare_, block);
    ++spare_count_;
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  const std::size_t blocks_max_;
  const std::size_t spare_max_;
  std::size_t used_ = 0;
  std::size_t spare_count_ = 0;
  Block* spare_ = nullptr;
};

}  // namespace nb::relay
