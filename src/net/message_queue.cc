#include "net/message_queue.h"

#include "base/assert.h"
#include "net/grpc_wire.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace nb::net {

struct MessageQueue::Chunk {
  Chunk* next = nullptr;
  std::size_t size = 0;
  std::size_t sent = 0;
  std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
};

void MessageQueue::push(bool compressed, std::string_view payload) {
  const std::size_t size = grpc_wire::kPrefixBytes + payload.size();
  void* const memory = std::malloc(sizeof(Chunk) + size);
  NB_ASSERT(memory != nullptr);
  auto* chunk = new (memory) Chunk;
  chunk->size = size;
  grpc_wire::put_prefix(chunk->data(), compressed, payload.size());
  if (!payload.empty()) {
    std::memcpy(chunk->data() + grpc_wire::kPrefixBytes, payload.data(), payload.size());
  }
  (last_ == nullptr ? first_ : last_->next) = chunk;
  last_ = chunk;
  bytes_ += size;
}

void MessageQueue::take(OutputBuffer& out, std::size_t size) {
  NB_ASSERT(size <= bytes_);
  bytes_ -= size;
  while (size > 0) {
    const std::size_t part = std::min(size, first_->size - first_->sent);
    out.append(first_->data() + first_->sent, part);
    first_->sent += part;
    size -= part;
    if (first_->sent == first_->size) {
      Chunk* const done = first_;
      first_ = done->next;
      if (first_ == nullptr) last_ = nullptr;
      std::free(done);
    }
  }
}

void MessageQueue::clear() {
  while (first_ != nullptr) {
    Chunk* const next = first_->next;
    std::free(first_);
    first_ = next;
  }
  last_ = nullptr;
  bytes_ = 0;
}

}  // namespace nb::net
