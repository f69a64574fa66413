// The frame in which a packet leaves: WebSocket head, transport head with the sender's id, payload.
#pragma once

#include "net/websocket_endpoint.h"
#include "relay/messages.h"

#include <cstdint>
#include <cstring>
#include <span>

namespace nb::relay {

[[nodiscard]] inline std::size_t frame_head_bytes(std::size_t message_bytes) {
  return message_bytes < 126 ? 2 : 4;  // RFC 6455 §5.2; messages are below 64 KiB
}

[[nodiscard]] inline std::size_t frame_bytes(std::size_t message_bytes) {
  return frame_head_bytes(message_bytes) + message_bytes;
}

/// Writes the frame for a received transport message into `out`, whose size is frame_bytes(). This
/// is the only time the payload is touched: unmasked on its way into the receiver's queue.
inline void write_frame(std::span<std::uint8_t> out, const PeerId& from,
                        const net::WebSocketMessage& message) {
  const std::size_t size = message.size();
  std::uint8_t* at = out.data();
  *at++ = 0x80U | static_cast<std::uint8_t>(net::websocket::Opcode::kBinary);
  if (size < 126) {
    *at++ = static_cast<std::uint8_t>(size);
  } else {
    *at++ = 126;
    *at++ = static_cast<std::uint8_t>(size >> 8);
    *at++ = static_cast<std::uint8_t>(size);
  }
  *at++ = kVersion;
  *at++ = static_cast<std::uint8_t>(Type::kTransport);
  std::memcpy(at, from.data(), kIdBytes);
  message.copy(kTransportHeadBytes, {at + kIdBytes, size - kTransportHeadBytes});
}

}  // namespace nb::relay
