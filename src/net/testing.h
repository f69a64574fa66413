// For the tests of net/: a running server with its loops, and a raw socket to talk to it.
#pragma once

#include "net/server.h"

#include <prometheus/registry.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::net::testing {

/// A server on a free port of 127.0.0.1; stopped and joined at the end.
class TestServer {
 public:
  explicit TestServer(std::function<void(GrpcRouter&, HttpRouter&)> routes,
                      ServerConfig config = {}, std::size_t loops = 2);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  [[nodiscard]] std::uint16_t port(std::size_t listener = 0) const;
  [[nodiscard]] std::string target() const;
  Server& server() { return *server_; }
  LoopPool& loops() { return loops_; }
  /// Value of a counter or gauge, by name and one label value (or none).
  [[nodiscard]] double metric(const std::string& name, const std::string& label = "") const;

 private:
  LoopPool loops_;
  prometheus::Registry registry_;
  std::unique_ptr<Server> server_;
};

/// Blocking socket with a deadline on everything.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  /// False: the peer has closed.
  bool send(std::string_view bytes);
  /// Until `enough` says so, the peer closes, or the deadline passes; returns all received so far.
  std::string receive_until(const std::function<bool(const std::string&)>& enough,
                            std::chrono::milliseconds limit = std::chrono::seconds(10));
  /// True when the peer closes within the limit; what it said before is in `received`.
  bool closed_by_peer(std::chrono::milliseconds limit = std::chrono::seconds(10));
  std::string received;

 private:
  int fd_;
};

/// Waits for a condition with a deadline.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(10));

// HTTP/2 by hand.
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload = {});
/// Preface and empty SETTINGS.
std::string hello();
/// Literal fields without indexing; no Huffman.
std::string headers(const std::vector<std::pair<std::string, std::string>>& fields);
struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};
std::vector<Frame> frames(std::string_view bytes);
/// Error code of the GOAWAY in `bytes`, if any.
std::optional<std::uint32_t> goaway(std::string_view bytes);

namespace h2 {
// Names of RFC 9113 as numbers of the tests' own: a wrong one in the server must not be right here.
inline constexpr std::uint8_t kData = 0;
inline constexpr std::uint8_t kHeaders = 1;
inline constexpr std::uint8_t kRstStream = 3;
inline constexpr std::uint8_t kSettings = 4;
inline constexpr std::uint8_t kPing = 6;
inline constexpr std::uint8_t kGoaway = 7;
inline constexpr std::uint8_t kWindowUpdate = 8;
inline constexpr std::uint8_t kContinuation = 9;
inline constexpr std::uint8_t kEndStream = 1;
inline constexpr std::uint8_t kEndHeaders = 4;
inline constexpr std::uint8_t kPadded = 8;
inline constexpr std::uint8_t kPriority = 0x20;
// §7
inline constexpr std::uint32_t kProtocolError = 1;
inline constexpr std::uint32_t kFlowControlError = 3;
inline constexpr std::uint32_t kStreamClosed = 5;
inline constexpr std::uint32_t kFrameSizeError = 6;
inline constexpr std::uint32_t kRefusedStream = 7;
inline constexpr std::uint32_t kCompressionError = 9;
inline constexpr std::uint32_t kEnhanceYourCalm = 11;
/// In four bytes, as payloads of frames are.
std::string number(std::uint32_t value);
}  // namespace h2

/// A masked WebSocket frame, as clients send it.
std::string client_frame(std::uint8_t opcode, std::string_view payload, bool final = true);

}  // namespace nb::net::testing
