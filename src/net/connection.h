// One accepted socket: moves bytes between it and its session, through TLS where configured.
// An idle connection keeps no buffer: it reads into the loop's, and what the socket does not take
// of one turn's output is kept only until it does.
#pragma once

#include "net/context.h"
#include "net/session.h"
#include "net/tls.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nb::net {

class Connection;

/// Who owns connections: told when one has ended.
class ConnectionOwner {
 public:
  virtual void on_connection_closed(Connection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : public Mortal,
                         public IoHandler,
                         public Flushable,
                         public Carrier,
                         private Timer {
 public:
  Connection(ConnectionOwner& owner, ServerContext& context, int fd, PeerAddress peer, SslPtr ssl);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void drain();
  /// Ends what is open with a status, flushes what the socket takes at once, and closes.
  void shut();

  void on_io(std::uint32_t epoll_events) override;
  void flush() override;
  void prefetch(Ahead step) const override;

  // Carrier
  void want_flush() override { context_.loop.touch(*this); }
  void wake_at(Instant at) override;
  void replace_session(std::unique_ptr<Session> next, std::string_view first,
                       std::span<const std::uint8_t> rest) override;
  [[nodiscard]] const PeerAddress& peer() const override { return peer_; }
  /// Whose socket it is: the balancer's, where peer() is whom it speaks for.
  [[nodiscard]] const PeerAddress& socket_peer() const { return socket_peer_; }
  [[nodiscard]] bool tls() const override { return ssl_ != nullptr; }
  [[nodiscard]] bool blocked() const override { return output_watched_; }

 private:
  friend class ConnectionList;
  enum class State : std::uint8_t {
    kProxyHeader,
    kHandshake,
    kSniffing,
    kOpen,
    kLingering,
    kClosed
  };

  void on_timer(Instant now) override;
  void on_readable();
  /// True: whose connection it is has been settled.
  bool settle_peer();
  bool handshake();
  /// Bytes read; 0 nothing now; -1 the connection is over (closed), -2 end of input.
  int read(std::span<std::uint8_t> into);
  void receive(std::span<const std::uint8_t> bytes);
  void sniff(std::span<const std::uint8_t> bytes);
  void adopt_next();
  void end_of_input();
  /// Bytes taken; -1: the connection is over.
  std::ptrdiff_t send(std::span<const std::uint8_t> bytes);
  bool flush_pending();
  void wait_for_peer();
  void watch_output(bool on);
  void linger();
  void close();

  ConnectionOwner& owner_;
  ServerContext& context_;
  const PeerAddress socket_peer_;
  PeerAddress peer_;
  const int fd_;
  State state_;
  bool output_watched_ = false;
  bool input_ended_ = false;
  bool shut_ = false;
  SslPtr ssl_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Session> next_;  // replaces session_ when that is off the stack
  Instant blocked_since_;          // the socket took nothing of pending_
  std::string pending_;  // output the socket has not taken; or the first bytes while sniffing
  std::string next_input_;
  Connection* following_ = nullptr;
  Connection* preceding_ = nullptr;
};

/// Intrusive list; owns.
class ConnectionList {
 public:
  ~ConnectionList();
  void add(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> remove(Connection& connection);
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  /// `visit` may close the connection it is given, and no other.
  template <class Visit>
  void each(Visit visit) {
    for (Connection* at = first_; at != nullptr;) {
      Connection* const next = at->following_;
      visit(*at);
      at = next;
    }
  }

 private:
  Connection* first_ = nullptr;
};

}  // namespace nb::net
