// Signal as a peer uses it: sealed messages to and from other peers.
// Source   contract/client-agent.md §1.6, §1.7; contract/signal-relay-ops.md §1.6
#pragma once

#include "base/backoff.h"
#include "base/log.h"
#include "base/task_group.h"
#include "client/grpc_channel.h"
#include "client/identity.h"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace nb::client {

/// Numbers are the wire's.
enum class SignalKind : std::uint8_t {
  kOffer = 0,
  kAnswer = 1,
  kCandidate = 2,
  kGoIdle = 5,
  kHeartbeat = 6,
};

struct SignalMessage {
  std::string peer{};  // key of the other side
  SignalKind kind = SignalKind::kOffer;
  std::string payload{};        // "ufrag:pwd", ":" without ICE, or a candidate line
  std::string relay_address{};  // instance URL of the sender's home relay; empty: none
  std::string relay_ip{};       // 4 or 16 bytes of its address; empty: unknown
  std::string session{};        // 5 bytes when ICE is offered
};

struct SignalTimes {
  std::chrono::milliseconds call{10'000};
  std::chrono::milliseconds look{10'000};     // how often silence is looked at
  std::chrono::milliseconds silence{30'000};  // then a heartbeat goes to ourselves
  std::chrono::milliseconds answer{10'000};   // until it must be back
  BackoffLimits retry{.first = std::chrono::milliseconds(800), .most = std::chrono::seconds(10)};
};

class SignalClient {
 public:
  /// `identity` must outlive it, and the channel be stopped before it goes.
  SignalClient(const boost::asio::any_io_executor& home, std::shared_ptr<GrpcChannel> channel,
               const Identity& identity, SignalTimes times, Logger log);
  ~SignalClient();

  void on_message(std::function<void(const SignalMessage&)> to) { on_message_ = std::move(to); }
  /// Registered, or no longer.
  void on_state(std::function<void()> to) { on_state_ = std::move(to); }
  [[nodiscard]] bool connected() const { return connected_; }
  /// One attempt.
  /// Errors   the server's: kUnavailable also when the other peer is not there.
  boost::asio::awaitable<Result<>> send(SignalMessage message);
  boost::asio::awaitable<void> stop();

 private:
  boost::asio::awaitable<void> stay();
  boost::asio::awaitable<void> watch_silence();
  void take(std::string_view bytes);
  void set_connected(bool connected);

  const std::shared_ptr<GrpcChannel> channel_;
  const Identity& identity_;
  const SignalTimes times_;
  const Logger log_;
  crypto::SystemRandom random_;
  TaskGroup tasks_;
  std::shared_ptr<GrpcStream> stream_;
  boost::asio::steady_timer ended_;  // of the stream
  bool over_ = false;                // the stream
  bool connected_ = false;
  std::chrono::steady_clock::time_point heard_{};
  std::function<void(const SignalMessage&)> on_message_;
  std::function<void()> on_state_;
};

}  // namespace nb::client
