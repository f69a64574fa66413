// For the tests of relay/: a relay on loopback in this process, and peers made of bare sockets.
#pragma once

#include "base/clock.h"
#include "net/server.h"
#include "net/testing.h"
#include "relay/messages.h"
#include "relay/service.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nb::relay::testing {

inline constexpr std::string_view kSecret = "relay-secret";
inline constexpr std::string_view kUrl = "rel://relay.test:1";

struct Rig {
  explicit Rig(Options options = {}, std::size_t loops = 2);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  [[nodiscard]] std::uint16_t port() const { return server->ports().front(); }

  SystemClock clock;
  MetricRegistry registry;
  RelayMetrics metrics{registry};
  net::LoopPool loops;
  Service service;
  std::unique_ptr<net::Server> server;
};

/// A token that is good for `validity` from now.
crypto::RelayToken token(std::chrono::seconds validity = std::chrono::hours(1),
                         std::string_view secret = kSecret);

class RawPeer {
 public:
  /// Connected and upgraded, not authenticated.
  explicit RawPeer(const Rig& rig);
  /// Also authenticated as the peer with this key text.
  RawPeer(const Rig& rig, std::string_view key);
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
