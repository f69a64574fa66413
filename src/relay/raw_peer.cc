#include "relay/raw_peer.h"

#include <gtest/gtest.h>

namespace nb::relay::testing {

crypto::RelayToken token(std::chrono::seconds validity, std::string_view secret) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return crypto::RelayTokens({Secret(std::string(secret))}).make(now + validity);
}

PeerId id(std::string_view key) {
  return crypto::relay_peer_id(key);
}

RawPeer::RawPeer(const RelayAt& relay) : client(relay.port) {
  client.send(
      "GET /relay HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  client.receive_until(
      [](const std::string& bytes) { return bytes.find("\r\n\r\n") != std::string::npos; });
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 101 "));
  client.received.erase(0, client.received.find("\r\n\r\n") + 4);
}

RawPeer::RawPeer(const RelayAt& relay, std::string_view key) : RawPeer(relay) {
  authenticate(key);
  EXPECT_EQ(next(), make_auth_response(relay.url));
}

void RawPeer::authenticate(std::string_view key, const crypto::RelayToken& with) {
  send(make_auth(id(key), with));
}

std::optional<RawPeer::Frame> RawPeer::take_frame() {
  std::string& bytes = client.received;
  if (bytes.size() < 2) return std::nullopt;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  std::size_t size = at(1);
  std::size_t head = 2;
  if (size == 126) {
    if (bytes.size() < 4) return std::nullopt;
    size = static_cast<std::size_t>(at(2)) << 8 | at(3);
    head = 4;
  }
  if (bytes.size() < head + size) return std::nullopt;
  Frame frame{at(0) & 0x0fU, bytes.substr(head, size)};
  bytes.erase(0, head + size);
  return frame;
}

std::optional<std::string> RawPeer::next(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    while (const auto frame = take_frame()) {
      if (frame->opcode != 2) return std::nullopt;
      if (frame->payload != "\x01\x05") return frame->payload;
      if (answers_) send("\x01\x05");
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    const std::size_t before = client.received.size();
    client.receive_until([before](const std::string& bytes) { return bytes.size() > before; },
                         left);
    if (client.received.size() == before) return std::nullopt;
  }
}

int RawPeer::close_code(std::chrono::milliseconds limit) {
  if (!client.closed_by_peer(limit)) return -1;
  while (const auto frame = take_frame()) {
    if (frame->opcode == 8 && frame->payload.size() >= 2)
      return static_cast<unsigned char>(frame->payload[0]) << 8 |
             static_cast<unsigned char>(frame->payload[1]);
  }
  return 0;
}

}  // namespace nb::relay::testing
