// The two halves of a connection: a Session speaks a protocol, a Carrier moves its bytes.
//
// Sessions: Http1Session, Http2Session, TunnelSession (WebSocket around an Http2Session),
// WebSocketSession (around a WebSocketEndpoint) and the Sniffer that finds out which. Carriers:
// Connection (TCP or TLS) and TunnelSession. Fuzzers and tests drive sessions through a carrier of
// their own, without sockets.
#pragma once

#include "base/clock.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/output.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace nb::net {

struct ServerContext;
class Session;

class Carrier {
 public:
  /// The session has output, or wants to close: produce() is called at the end of this turn.
  virtual void want_flush() = 0;
  /// Session::on_timer() no later than `at`; only ever moved earlier until it has run.
  virtual void wake_at(Instant at) = 0;
  /// From within a turn of the session's loop: the carrier goes on with `next` once the caller has
  /// returned. `first` is sent before anything of it; `rest` is what the caller has not consumed.
  virtual void replace_session(std::unique_ptr<Session> next, std::string_view first,
                               std::span<const std::uint8_t> rest) = 0;
  [[nodiscard]] virtual const PeerAddress& peer() const = 0;
  [[nodiscard]] virtual bool tls() const = 0;
  /// The peer has not taken all of what was produced.
  [[nodiscard]] virtual bool blocked() const { return false; }

 protected:
  ~Carrier() = default;
};

class Session {
 public:
  virtual ~Session() = default;
  /// Asks the cache for what receive() and produce() will touch.
  virtual void prefetch() const {}
  /// Bytes from the peer; valid during the call.
  virtual void receive(std::span<const std::uint8_t> bytes) = 0;
  /// Appends what is to be sent now. Called again when all of it was taken by the socket.
  virtual void produce(OutputBuffer& out) = 0;
  /// Nothing more will be read or written: close once everything produced has left.
  [[nodiscard]] virtual bool finished() const = 0;
  /// Finished, and the peer does not take what it is owed: close, whatever is unsent.
  [[nodiscard]] virtual bool abandoned() const { return false; }
  /// More output than fitted in the last produce().
  [[nodiscard]] virtual bool has_more() const { return false; }
  /// The peer will send nothing more.
  virtual void on_end_of_input() = 0;
  /// Checks time-outs; returns when to be asked again.
  virtual Instant on_timer(Instant now) = 0;
  /// Begins to end: no new requests, close when the present ones are done.
  virtual void drain() = 0;
  /// Ends open calls with UNAVAILABLE; the connection is closed right after the flush.
  virtual void shut() = 0;
};

}  // namespace nb::net
