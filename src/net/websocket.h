// WebSocket framing of the server side, without extensions.
// Source   RFC 6455 §4.2.2 (handshake), §5 (frames), §7.4 (close codes).
#pragma once

#include "net/output.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nb::net::websocket {

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

enum class CloseCode : std::uint16_t {
  kNone = 0,
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupported = 1003,  // text where binary is spoken, or the reverse
  kPolicy = 1008,
  kTooBig = 1009,
  kTryAgainLater = 1013,
};

/// Sec-WebSocket-Accept for a client's key; empty unless the key is 16 bytes of base64.
[[nodiscard]] std::optional<std::string> accept_key(std::string_view key);

/// One unmasked, final frame.
void put_frame(OutputBuffer& out, Opcode opcode, std::string_view payload);
void put_close(OutputBuffer& out, CloseCode code);

class Sink {
 public:
  /// A piece of a binary or text message, as it arrives.
  virtual void on_payload(Opcode type, std::span<const std::uint8_t> bytes) = 0;
  /// A whole control frame (ping, pong or close).
  virtual void on_control(Opcode type, std::string_view payload) = 0;

 protected:
  ~Sink() = default;
};

/// Parses the frames of a client. Payload is handed on in pieces, nothing is collected.
class Reader {
 public:
  explicit Reader(std::size_t message_max) : message_max_(message_max) {}
  /// kNone, or why the connection must be closed. Stops after a close frame.
  CloseCode feed(std::span<const std::uint8_t> bytes, Sink& sink);

 private:
  CloseCode header(std::uint8_t byte, Sink& sink);
  CloseCode begin_payload();
  CloseCode end_frame(Sink& sink);

  static constexpr std::size_t kControlMax = 125;
  const std::size_t message_max_;
  std::array<std::uint8_t, 14> head_{};
  std::size_t head_size_ = 0;
  std::size_t head_want_ = 2;
  std::uint64_t left_ = 0;     // of the payload of this frame
  std::uint64_t message_ = 0;  // payload bytes of the message so far
  std::uint64_t offset_ = 0;   // into the mask
  std::array<std::uint8_t, 4> mask_{};
  Opcode opcode_ = Opcode::kContinuation;
  Opcode message_type_ = Opcode::kContinuation;  // kContinuation: between messages
  bool final_ = false;
  bool in_payload_ = false;
  bool closed_ = false;
  std::string control_;
};

}  // namespace nb::net::websocket
