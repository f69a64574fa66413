// Whole WebSocket messages out of a client's bytes, without copying those that arrived whole.
// Source   RFC 6455 §5.
#pragma once

#include "net/websocket_endpoint.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nb::net::websocket {

class MessageSink {
 public:
  /// False: nothing more is wanted.
  virtual bool on_message(const WebSocketMessage& message) = 0;
  /// A whole control frame, unmasked.
  virtual bool on_control(Opcode type, std::string_view payload) = 0;

 protected:
  ~MessageSink() = default;
};

/// Keeps only what is cut: the beginning of a frame, or the fragments of a message; both at most
/// `message_max` (and a frame's head). Between whole messages it owns no memory.
class MessageReader {
 public:
  explicit MessageReader(std::size_t message_max) : message_max_(message_max) {}
  /// kNone, or why the connection must be closed. Nothing is taken after that, after a close frame,
  /// or once the sink wants no more.
  CloseCode feed(std::span<const std::uint8_t> bytes, MessageSink& sink);
  /// Bytes kept for later.
  [[nodiscard]] std::size_t kept() const { return partial_.size() + fragments_.size(); }

 private:
  struct Head {
    std::size_t size = 0;  // of the head itself; 0: more bytes are needed
    std::size_t payload = 0;
    std::uint32_t mask = 0;
    Opcode opcode = Opcode::kContinuation;
    bool final = false;
  };
  /// Judges a head by as many of its bytes as are there.
  CloseCode parse(std::span<const std::uint8_t> bytes, Head& head) const;
  CloseCode parse_rest(std::span<const std::uint8_t> bytes, std::size_t extended, Head& head) const;
  CloseCode complete(const Head& head, std::span<const std::uint8_t> payload, MessageSink& sink);
  CloseCode control(const Head& head, std::span<const std::uint8_t> payload, MessageSink& sink);
  CloseCode fill_partial(std::span<const std::uint8_t>& bytes, MessageSink& sink);
  CloseCode refuse(CloseCode code);

  const std::size_t message_max_;
  std::string partial_;    // a frame that has not arrived whole, as on the wire
  std::string fragments_;  // of the message so far, unmasked
  Opcode message_type_ = Opcode::kContinuation;  // kContinuation: no fragmented message is open
  bool closed_ = false;
};

}  // namespace nb::net::websocket
