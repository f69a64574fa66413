#include "net/http2_memory.h"

#include "base/assert.h"

#include <cstdlib>
#include <cstring>

namespace nb::net {
namespace {
// The packing buffer is a frame of the default maximum plus header; nothing else made together with
// a session comes near it.
constexpr std::size_t kFrameBytes = 16 * 1024;
constexpr std::size_t kSharedBytes = kFrameBytes + 1024;
}  // namespace

Http2Memory::Http2Memory()
    : hooks_{this, allocate, release, allocate_zeroed, reallocate},
      shared_(std::make_unique<std::uint8_t[]>(kSharedBytes)) {}

nghttp2_session* Http2Memory::create(const nghttp2_session_callbacks& callbacks,
                                     const nghttp2_option& option, void* user) {
  nghttp2_session* session = nullptr;
  creating_ = true;
  const int code = nghttp2_session_server_new3(&session, &callbacks, user, &option, &hooks_);
  creating_ = false;
  return code == 0 ? session : nullptr;
}

Http2Memory::Exclusive::Exclusive(Http2Memory& memory) : memory_(memory) {
  NB_ASSERT(!memory_.busy_);
  memory_.busy_ = true;
}

void* Http2Memory::allocate(std::size_t size, void* self) {
  auto& memory = *static_cast<Http2Memory*>(self);
  if (memory.creating_ && size >= kFrameBytes && size <= kSharedBytes) return memory.shared_.get();
  return std::malloc(size);
}

void Http2Memory::release(void* block, void* self) {
  if (block != static_cast<Http2Memory*>(self)->shared_.get()) std::free(block);
}

void* Http2Memory::allocate_zeroed(std::size_t count, std::size_t size, void* /*self*/) {
  return std::calloc(count, size);
}

void* Http2Memory::reallocate(void* block, std::size_t size, void* self) {
  auto& memory = *static_cast<Http2Memory*>(self);
  if (block == nullptr) return allocate(size, self);  // how nghttp2 asks for its packing buffer
  if (block != memory.shared_.get()) return std::realloc(block, size);
  void* fresh = std::malloc(size);
  if (fresh != nullptr) std::memcpy(fresh, block, size < kSharedBytes ? size : kSharedBytes);
  return fresh;
}

}  // namespace nb::net
