#include "net/message_queue.h"

#include "base/assert.h"
#include "net/grpc_wire.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace nb::net {

namespace {
/// Below, a copy costs less than one more allocation.
constexpr std::size_t kOwnedBytesMin = 4 * 1024;
}  // namespace

struct MessageQueue::Chunk {
  Chunk* next = nullptr;
  std::size_t size = 0;
  std::size_t sent = 0;
  std::unique_ptr<std::string> owned{};  // its bytes stand here instead
  std::uint8_t* data() {
    return owned ? reinterpret_cast<std::uint8_t*>(owned->data())
                 : reinterpret_cast<std::uint8_t*>(this + 1);
  }
};

MessageQueue::Chunk& MessageQueue::add(std::size_t size) {
  void* const memory = std::malloc(sizeof(Chunk) + size);
  NB_ASSERT(memory != nullptr);
  auto* const chunk = new (memory) Chunk;
  chunk->size = size;
  (last_ == nullptr ? first_ : last_->next) = chunk;
  last_ = chunk;
  bytes_ += size;
  return *chunk;
}

void MessageQueue::free(Chunk* chunk) {
  chunk->~Chunk();
  std::free(chunk);
}

void MessageQueue::push(bool compressed, std::string_view payload) {
  Chunk& chunk = add(grpc_wire::kPrefixBytes + payload.size());
  grpc_wire::put_prefix(chunk.data(), compressed, payload.size());
  if (!payload.empty())
    std::memcpy(chunk.data() + grpc_wire::kPrefixBytes, payload.data(), payload.size());
}

void MessageQueue::push(bool compressed, std::string&& payload) {
  if (payload.size() < kOwnedBytesMin) return push(compressed, std::string_view(payload));
  grpc_wire::put_prefix(add(grpc_wire::kPrefixBytes).data(), compressed, payload.size());
  Chunk& chunk = add(0);
  chunk.owned = std::make_unique<std::string>(std::move(payload));
  chunk.size = chunk.owned->size();
  bytes_ += chunk.size;
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
      free(done);
    }
  }
}

void MessageQueue::clear() {
  while (first_ != nullptr) {
    Chunk* const next = first_->next;
    free(first_);
    first_ = next;
  }
  last_ = nullptr;
  bytes_ = 0;
}

}  // namespace nb::net
