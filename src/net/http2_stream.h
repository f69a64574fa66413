// One HTTP/2 stream of a session: a gRPC call (grpc_stream.h) or a plain request (http2_request.h).
#pragma once

#include "net/header_block.h"
#include "net/output.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::net {

class Http2Session;

/// Made and destroyed by its session; linked into the session's list.
class Http2Stream {
 public:
  Http2Stream(Http2Session& session, std::int32_t id) : session_(session), id_(id) {}
  virtual ~Http2Stream() = default;
  Http2Stream(const Http2Stream&) = delete;
  Http2Stream& operator=(const Http2Stream&) = delete;

  [[nodiscard]] std::int32_t id() const { return id_; }
  /// Part of the body. False: the session answers with RST_STREAM(CANCEL).
  virtual void on_data(std::span<const std::uint8_t> bytes) = 0;
  /// The bytes given to on_data() in this receive() are about to go away.
  virtual void on_input_end() {}
  virtual void on_half_close() = 0;
  /// The stream is gone; the session deletes it afterwards.
  virtual void on_closed() = 0;
  /// The service goes away: answer UNAVAILABLE or 503 now.
  virtual void on_shut() = 0;

  // Response body.
  struct Offer {
    std::size_t bytes = 0;  // to be taken now
    bool end = false;       // nothing follows these
    bool trailers = false;  // … but trailers, which offer() has submitted
  };
  /// At most `limit` bytes of what is queued. {0, false}: wait until resume().
  virtual Offer offer(std::size_t limit) = 0;
  virtual void take(OutputBuffer& out, std::size_t bytes) = 0;
  /// After produce(), when note_writable() was called during it.
  virtual void on_writable() {}
  /// More than enough is queued for the peer: it gets no window for more requests.
  [[nodiscard]] virtual bool congested() const { return false; }

 protected:
  Http2Session& session_;
  const std::int32_t id_;

 private:
  friend class Http2Session;
  Http2Stream* next_ = nullptr;
  Http2Stream* previous_ = nullptr;
  Http2Stream* next_waiting_ = nullptr;
  std::uint32_t unconsumed_ = 0;  // received, but kept back from the peer's stream window
  bool remote_ended_ = false;
  bool waits_ = false;     // is in the session's list of those to resume
  bool deferred_ = false;  // nghttp2 waits for nghttp2_session_resume_data()
};

}  // namespace nb::net
