// Memory of packets on their way: blocks of one size, reused, at most so many in use.
#pragma once

#include <algorithm>
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

/// One per loop. A packet neither allocates nor frees: up to `Spare::max` blocks that were in use
/// stay here until trim(), which frees those that have not been needed since it was called before,
/// so an idle relay keeps `Spare::min` of them.
class BlockPool {
 public:
  struct Spare {
    std::size_t min = 64;
    std::size_t max = 1'024;
  };
  explicit BlockPool(std::size_t blocks_max) : BlockPool(blocks_max, Spare{}) {}
  BlockPool(std::size_t blocks_max, Spare keep) : blocks_max_(blocks_max), keep_(keep) {}
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
    unused_ = std::min(unused_, --spare_count_);
    block->next = nullptr;
    block->begin = block->end = 0;
    return block;
  }
  void give_uncounted(Block* block) {
    if (spare_count_ >= keep_.max) {  // one loop may only receive what others fill
      delete block;
      return;
    }
    block->next = std::exchange(spare_, block);
    ++spare_count_;
  }
  /// Now and then: freeing at once would hand memory to the system and ask for it again with every
  /// burst.
  void trim() {
    for (; unused_ > 0 && spare_count_ > keep_.min; --unused_, --spare_count_)
      delete std::exchange(spare_, spare_->next);
    unused_ = spare_count_;
  }
  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::size_t spare() const { return spare_count_; }

 private:
  const std::size_t blocks_max_;
  const Spare keep_;
  std::size_t used_ = 0;
  std::size_t spare_count_ = 0;
  std::size_t unused_ = 0;  // of the spare ones, since trim()
  Block* spare_ = nullptr;
};

}  // namespace nb::relay
