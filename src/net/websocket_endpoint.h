// The server's end of one WebSocket: messages in, messages out.
//
//   router.websocket("/relay", {.message_bytes_max = 8820, .make = [&](WebSocketChannel& channel) {
//     return std::make_unique<MyEndpoint>(channel);
//   }});
//
// Made for traffic: a message is handed on where it lies in the receive buffer, and what is to be
// sent is written into the buffer that the socket takes. Text and binary only; ping, pong, close,
// fragments and masks are dealt with before.
// Source   RFC 6455
#pragma once

#include "base/clock.h"
#include "net/grpc.h"
#include "net/output.h"
#include "net/websocket.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace nb::net {

class EventLoop;

/// A whole message of a client; valid during the call that gets it. Still masked, so that taking
/// its bytes out and unmasking them is one pass.
class WebSocketMessage {
 public:
  WebSocketMessage(bool text, std::span<const std::uint8_t> bytes, std::uint32_t mask)
      : bytes_(bytes), mask_(mask), text_(text) {}
  [[nodiscard]] bool text() const { return text_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  /// Copies the bytes from `from` on, as many as `out` has room for; they must be there.
  void copy(std::size_t from, std::span<std::uint8_t> out) const;

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint32_t mask_;  // in the byte order of the wire
  bool text_;
};

/// What an endpoint may ask of its connection. On the connection's loop only.
class WebSocketChannel {
 public:
  [[nodiscard]] virtual EventLoop& loop() const = 0;
  /// Behind trusted proxies.
  [[nodiscard]] virtual const ClientAddress& client() const = 0;
  /// WebSocketEndpoint::produce() is called at the end of this turn.
  virtual void want_flush() = 0;
  /// WebSocketEndpoint::on_timer() no later than `at`.
  virtual void wake_at(Instant at) = 0;
  /// The socket has not taken all of what produce() gave.
  [[nodiscard]] virtual bool blocked() const = 0;
  /// Sends what produce() still has, the close frame, and ends. No message is handed on any more.
  virtual void close(websocket::CloseCode code) = 0;
  /// Ends now; what the socket has not taken is lost.
  virtual void abort() = 0;

 protected:
  ~WebSocketChannel() = default;
};

class WebSocketEndpoint {
 public:
  /// The connection is over, for whatever reason.
  virtual ~WebSocketEndpoint() = default;
  virtual void on_message(const WebSocketMessage& message) = 0;
  /// Appends frames (websocket::put_frame) until nothing is left or `out` is full. Called again
  /// when the socket has taken them.
  virtual void produce(OutputBuffer& out) = 0;
  [[nodiscard]] virtual bool has_more() const = 0;
  /// Checks time-outs; returns when to be asked again.
  virtual Instant on_timer(Instant now) = 0;
  /// The server wants to end: say goodbye and close() in good time.
  virtual void drain() = 0;
  /// The connection ends after one more produce().
  virtual void shut() = 0;
};

struct WebSocketRoute {
  std::size_t message_bytes_max = 64 * 1024;
  /// On the connection's loop, right after the handshake. `channel` outlives the endpoint.
  std::function<std::unique_ptr<WebSocketEndpoint>(WebSocketChannel& channel)> make;
};

}  // namespace nb::net
