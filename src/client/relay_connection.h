// One authenticated connection to one relay, and the tunnels to peers that go through it.
// Source   contract/signal-relay-ops.md §3.1–3.4; contract/client-agent.md §1.9
#pragma once

#include "base/clock.h"
#include "base/task_group.h"
#include "client/web_socket.h"
#include "relay/messages.h"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nb::client {

using relay::PeerId;

struct RelayTimes {
  std::chrono::milliseconds connect{30'000};       // name, TCP, TLS and upgrade
  std::chrono::milliseconds authenticate{8'000};   // until the relay's answer
  std::chrono::milliseconds health_check{35'000};  // two checks without a sign of life end it
  std::chrono::milliseconds open{30'000};          // until the other peer is online
  std::chrono::milliseconds early{5'000};          // packets kept for a tunnel not yet open
};

struct RelayDial {
  std::string url{};      // rel:// or rels://
  std::string dial_ip{};  // of the relay, known from an offer; tried instead of the name
  std::string ca_file{};
  PeerId self{};
  crypto::RelayToken token{};
};

class RelayConnection;

/// Packets to and from one peer. Lives as long as its connection at most.
class RelayTunnel {
 public:
  using Receiver = std::function<void(std::string_view payload)>;
  static constexpr std::size_t kQueueMax = 100;  // packets before a receiver is there

  RelayTunnel(std::weak_ptr<RelayConnection> connection, const PeerId& peer,
              const boost::asio::any_io_executor& home);
  [[nodiscard]] const PeerId& peer() const { return peer_; }
  [[nodiscard]] bool open() const { return state_ == State::kOpen; }
  /// False: closed, the connection's queue is full, or longer than relay::kPayloadMax.
  bool send(std::string_view payload);
  /// Gets what has waited at once. May be replaced, not from inside itself.
  void on_packet(Receiver receiver);
  /// Called once: the peer went offline, the connection ended; not after close().
  void on_closed(std::function<void()> closed) { closed_ = std::move(closed); }
  void close();

 private:
  friend class RelayConnection;
  enum class State : std::uint8_t { kWaiting, kOpen, kClosed };
  void deliver(std::string_view payload);
  void end();

  const std::weak_ptr<RelayConnection> connection_;
  const PeerId peer_;
  State state_ = State::kWaiting;
  boost::asio::steady_timer changed_;
  Receiver receiver_;
  std::function<void()> closed_;
  std::deque<std::string> waiting_;
};

class RelayConnection : public std::enable_shared_from_this<RelayConnection> {
 public:
  static constexpr std::size_t kOutboxBytesMax = 4 * 1024 * 1024;
  static constexpr std::size_t kEarlyPeersMax = 10'000;

  /// Connects and authenticates. Its loops run in `tasks`, which must outlive it, until close() or
  /// the end.
  /// Errors   kUnauthenticated: the relay closed instead of an answer, as it does with a wrong or
  ///          expired token; kResourceExhausted: it is full; else those of WebSocket::dial().
  static boost::asio::awaitable<Result<std::shared_ptr<RelayConnection>>> dial(RelayDial dial,
                                                                               RelayTimes times,
                                                                               TaskGroup& tasks);
  RelayConnection(std::shared_ptr<WebSocket> socket, std::string instance_url, RelayTimes times,
                  const boost::asio::any_io_executor& home);

  /// What the relay calls itself: peers compare it byte for byte.
  [[nodiscard]] const std::string& instance_url() const { return instance_url_; }
  [[nodiscard]] std::string remote_ip() const { return socket_->remote_ip(); }
  [[nodiscard]] bool alive() const { return !end_; }
  [[nodiscard]] std::size_t tunnels() const { return tunnels_.size(); }
  /// Since when there has been no tunnel.
  [[nodiscard]] Instant unused_since() const { return unused_since_; }

  /// Subscribes and waits until the peer is online.
  /// Errors   kAlreadyExists: there is a tunnel; kDeadlineExceeded: it did not come;
  ///          kUnavailable: the connection ended.
  boost::asio::awaitable<Result<std::shared_ptr<RelayTunnel>>> open(PeerId peer);
  /// Why it ended; waits for that.
  boost::asio::awaitable<Error> ended();
  void close();

 private:
  friend class RelayTunnel;
  struct Early {
    std::string payload;
    Instant at;
  };

  static boost::asio::awaitable<void> read_loop(std::shared_ptr<RelayConnection> self);
  static boost::asio::awaitable<void> write_loop(std::shared_ptr<RelayConnection> self);
  static boost::asio::awaitable<void> health_loop(std::shared_ptr<RelayConnection> self);
  void take(std::string_view message);
  void take_packet(std::string_view message);
  void take_presence(relay::Type type, std::string_view body);
  void keep_early(const PeerId& from, std::string_view payload);
  void write(std::string message);
  bool write_packet(const PeerId& to, std::string_view payload);
  void forget(const PeerId& peer);
  void end(Error why);

  const std::shared_ptr<WebSocket> socket_;
  const std::string instance_url_;
  const RelayTimes times_;
  const boost::asio::any_io_executor home_;
  std::unordered_map<PeerId, std::shared_ptr<RelayTunnel>, relay::PeerIdHash> tunnels_;
  std::unordered_map<PeerId, Early, relay::PeerIdHash> early_;
  std::deque<std::string> outbox_;
  std::size_t outbox_bytes_ = 0;
  boost::asio::steady_timer wake_;    // of the write loop
  boost::asio::steady_timer health_;  // of the health loop
  boost::asio::steady_timer ended_;   // fires never; cancelled at the end
  Instant unused_since_;
  bool heard_ = true;  // since the last health check
  std::optional<Error> end_;
};

}  // namespace nb::client
