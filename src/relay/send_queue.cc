#include "relay/send_queue.h"

#include "base/assert.h"

#include <cstring>
#include <utility>

namespace nb::relay {

SendQueue::Room SendQueue::push(std::size_t size, std::size_t overhead, std::size_t sender) {
  NB_ASSERT(size > 0 && size <= kFrameMax);
  const std::size_t sender_class = sender % kClasses;
  if (bytes_ + size > bytes_max_) return {.refusal = Refusal::kFull};
  if (held_[sender_class] + size > bytes_max_ - bytes_) return {.refusal = Refusal::kUnfair};
  if (last_ == nullptr || last_->room() < size + sizeof(Head)) {
    Block* const block = pool_.take();
    if (block == nullptr) return {.refusal = Refusal::kNoMemory};
    (last_ == nullptr ? first_ : last_->next) = block;
    last_ = block;
  }
  const Head head{static_cast<std::uint16_t>(size), static_cast<std::uint8_t>(sender_class),
                  static_cast<std::uint8_t>(overhead)};
  std::memcpy(last_->bytes.data() + last_->end, &head, sizeof head);
  const std::span<std::uint8_t> room(last_->bytes.data() + last_->end + sizeof head, size);
  last_->end += static_cast<std::uint32_t>(sizeof head + size);
  bytes_ += size;
  held_[sender_class] += static_cast<std::uint32_t>(size);
  return {.bytes = room};
}

SendQueue::Taken SendQueue::pop(net::OutputBuffer& out, std::size_t bytes) {
  Taken result;
  std::size_t taken = 0;
  while (first_ != nullptr && taken < bytes) {
    Head head;
    std::memcpy(&head, first_->bytes.data() + first_->begin, sizeof head);
    out.append(first_->bytes.data() + first_->begin + sizeof head, head.size);
    first_->begin += static_cast<std::uint32_t>(sizeof head + head.size);
    bytes_ -= head.size;
    held_[head.sender] -= head.size;
    taken += head.size;
    ++result.frames;
    result.message_bytes += head.size - head.overhead;
    if (first_->begin < first_->end) continue;
    pool_.give(std::exchange(first_, first_->next));
    if (first_ == nullptr) last_ = nullptr;
  }
  return result;
}

void SendQueue::clear() {
  while (first_ != nullptr) pool_.give(std::exchange(first_, first_->next));
  last_ = nullptr;
  bytes_ = 0;
  held_ = {};
}

}  // namespace nb::relay
