// One HTTP/2 stream of a session: a gRPC call (grpc_stream.h) or a plain request (http2_request.h).
#pragma once

#include "net/header_block.h"
#include "net/http2_wire.h"
#include "net/output.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::net {

class Http2Session;

/// Made and destroyed by its session.
class Http2Stream {
 public:
  Http2Stream(Http2Session& session, std::int32_t id) : session_(session), id_(id) {}
  virtual ~Http2Stream() = default;
  Http2Stream(const Http2Stream&) = delete;
  Http2Stream& operator=(const Http2Stream&) = delete;

  [[nodiscard]] std::int32_t id() const { return id_; }
  /// Part of the body.
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
    bool trailers = false;  // … but trailers, which on_body_end() is asked for
  };
  /// At most `limit` bytes of what is queued. {0, false}: wait until resume().
  virtual Offer offer(std::size_t limit) = 0;
  virtual void take(OutputBuffer& out, std::size_t bytes) = 0;
  /// Calls Http2Session::trailers().
  virtual void on_body_end() {}
  /// After produce(), when note_writable() was called during it.
  virtual void on_writable() {}
  /// More than enough is queued for the peer: it gets no window for more requests.
  [[nodiscard]] virtual bool congested() const { return false; }

 protected:
  Http2Session& session_;
  const std::int32_t id_;

 private:
  friend class Http2Session;
  friend class StreamQueue;
  Http2Stream* next_ = nullptr;  // in the session's queue of those with something to send, or in
  Http2Stream* previous_ = nullptr;  // that of those to be closed
  std::int32_t send_window_ = 0;  // bytes that the peer allows us, below 0 after it took some back
  std::int32_t receive_window_ = http2::kFirstWindow;  // … and we the peer
  std::uint32_t unconsumed_ = 0;    // received, and not yet given back to the peer's window
  std::int64_t content_left_ = -1;  // of the announced body; -1: nothing was announced
  bool remote_ended_ : 1 = false;
  bool local_ended_ : 1 = false;  // nothing more is sent: it will be closed
  bool has_body_ : 1 = false;     // response headers are sent, and offer() may be asked
  bool queued_ : 1 = false;
  bool starved_ : 1 = false;  // waits for a window
};

/// Streams in the order of their turns.
class StreamQueue {
 public:
  [[nodiscard]] Http2Stream* front() const { return first_; }
  void push(Http2Stream& stream) {
    if (stream.queued_) return;
    stream.queued_ = true;
    stream.previous_ = last_;
    (last_ != nullptr ? last_->next_ : first_) = &stream;
    last_ = &stream;
  }
  void remove(Http2Stream& stream) {
    if (!stream.queued_) return;
    (stream.previous_ != nullptr ? stream.previous_->next_ : first_) = stream.next_;
    (stream.next_ != nullptr ? stream.next_->previous_ : last_) = stream.previous_;
    stream.next_ = stream.previous_ = nullptr;
    stream.queued_ = false;
  }

 private:
  Http2Stream* first_ = nullptr;
  Http2Stream* last_ = nullptr;
};

}  // namespace nb::net
