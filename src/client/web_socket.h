// A WebSocket as a client holds it: binary messages over TCP or TLS.
// Source   RFC 6455; contract/signal-relay-ops.md §3.6
#pragma once

#include "base/result.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace nb::client {

struct WebSocketTarget {
  std::string host{};  // what the certificate must be made out to, and the Host header
  std::uint16_t port = 0;
  std::string path = "/";
  bool tls = false;
  std::string dial_host{};  // dialled instead of `host` when given
  std::string ca_file{};    // PEM of more authorities to trust than the system's
  std::size_t message_bytes_max = 64 * 1024;
};

/// Lives on the executor it was dialled on. One read() and one write() at a time.
class WebSocket {
 public:
  /// Name look-up, TCP, TLS and upgrade within `limit`.
  /// Errors   kInvalidArgument: ca_file; kPermissionDenied: the certificate; kUnavailable;
  ///          kDeadlineExceeded. Texts name the host.
  static boost::asio::awaitable<Result<std::shared_ptr<WebSocket>>> dial(
      WebSocketTarget target, std::chrono::milliseconds limit);
  virtual ~WebSocket() = default;
  /// The next binary message.
  /// Errors   kUnavailable: the end, close_code() says how; kInvalidArgument: text.
  virtual boost::asio::awaitable<Result<std::string>> read() = 0;
  /// Errors   kUnavailable.
  virtual boost::asio::awaitable<Result<>> write(std::string message) = 0;
  /// Ends read() and write(); any number of times. Nothing is said to the server.
  virtual void abort() = 0;
  /// Of the server's close frame; 0: none has come.
  [[nodiscard]] virtual std::uint16_t close_code() const = 0;
  /// Address of the server.
  [[nodiscard]] virtual std::string remote_ip() const = 0;
};

}  // namespace nb::client
