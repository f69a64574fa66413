// A peer of the relay over QUIC, made of the library that the relay uses: what an official agent's
// QUIC dialler does (contract/signal-relay-ops.md §3.7).
#pragma once

#include "relay/messages.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nb::test {

/// All calls from the test's thread; time passes for the connection during them only.
class QuicPeer {
 public:
  /// Dials 127.0.0.1; connected() says how it went.
  explicit QuicPeer(std::uint16_t port, const std::string& alpn = "nb-quic");
  ~QuicPeer();
  QuicPeer(const QuicPeer&) = delete;
  QuicPeer& operator=(const QuicPeer&) = delete;

  [[nodiscard]] bool connected() const;
  /// One datagram; false: the connection is over, or takes none of this size.
  bool send(std::string_view message);
  /// The next message that is no health check, which are answered.
  [[nodiscard]] std::optional<std::string> next(
      std::chrono::milliseconds limit = std::chrono::seconds(10));
  /// Waits for the end: the error code of an application's close; -1: still open; -2: ended
  /// otherwise.
  [[nodiscard]] int close_code(std::chrono::milliseconds limit = std::chrono::seconds(10));
  /// Authenticates as the peer with this key text and takes the answer.
  [[nodiscard]] bool authenticate(std::string_view key, const std::string& url);
  /// The largest message that the path takes now.
  [[nodiscard]] std::size_t message_max() const;
  /// How long the relay told its clients to take silence for.
  [[nodiscard]] std::chrono::milliseconds idle_limit() const;
  /// Goes on from another UDP port, as behind a NAT that forgot the first.
  void rebind();
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::test
