// Memory of the nghttp2 sessions of one loop.
//
// Each session owns a 16 KiB buffer in which it packs one frame at a time. Its contents matter only
// while a frame is half sent, and Http2Session::produce() always runs nghttp2_session_mem_send()
// until it has nothing left, within one call, on one thread. So all sessions of a loop share one
// buffer: Http2Memory hands it out for the one big allocation made while a session is created.
// Additional chunks (a header block over 16 KiB) are allocated later and are ordinary memory.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace nb::net {

class Http2Memory {
 public:
  Http2Memory();
  Http2Memory(const Http2Memory&) = delete;
  Http2Memory& operator=(const Http2Memory&) = delete;
  /// A new server session, or null when out of memory.
  nghttp2_session* create(const nghttp2_session_callbacks& callbacks, const nghttp2_option& option,
                          void* user);
  /// Asserts that no other session is between two frames; see above.
  class Exclusive {
   public:
    explicit Exclusive(Http2Memory& memory);
    ~Exclusive() { memory_.busy_ = false; }
    Exclusive(const Exclusive&) = delete;
    Exclusive& operator=(const Exclusive&) = delete;

   private:
    Http2Memory& memory_;
  };

 private:
  static void* allocate(std::size_t size, void* self);
  static void release(void* memory, void* self);
  static void* allocate_zeroed(std::size_t count, std::size_t size, void* self);
  static void* reallocate(void* memory, std::size_t size, void* self);

  nghttp2_mem hooks_;
  std::unique_ptr<std::uint8_t[]> shared_;
  bool creating_ = false;
  bool busy_ = false;
};

}  // namespace nb::net
