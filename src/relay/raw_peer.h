// For tests: a peer made of a bare socket, against a relay in this process or another.
#pragma once

#include "net/testing.h"
#include "relay/messages.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nb::relay::testing {

inline constexpr std::string_view kSecret = "relay-secret";

/// Where a relay listens on loopback, and what it calls itself.
struct RelayAt {
  std::uint16_t port = 0;
  std::string url;
};

/// A token that is good for `validity` from now.
crypto::RelayToken token(std::chrono::seconds validity = std::chrono::hours(1),
                         std::string_view secret = kSecret);

class RawPeer {
 public:
  /// Connected and upgraded, not authenticated.
  explicit RawPeer(const RelayAt& relay);
  /// Also authenticated as the peer with this key text.
  RawPeer(const RelayAt& relay, std::string_view key);
  void send(std::string_view message) { client.send(net::testing::client_frame(2, message)); }
  void authenticate(std::string_view key, const crypto::RelayToken& with = token());
  /// The next message that is no health check; nothing within the limit or after the end.
  std::optional<std::string> next(std::chrono::milliseconds limit = std::chrono::seconds(10));
  /// Code of the server's close frame once it has closed; 0: closed without one; -1: still open.
  int close_code(std::chrono::milliseconds limit = std::chrono::seconds(10));
  void stop_answering() { answers_ = false; }
  net::testing::RawClient client;

 private:
  struct Frame {
    unsigned opcode = 0;
    std::string payload;
  };
  std::optional<Frame> take_frame();
  bool answers_ = true;  // health checks
};

PeerId id(std::string_view key);

}  // namespace nb::relay::testing
