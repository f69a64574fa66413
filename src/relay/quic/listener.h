// The UDP side of a relay: one socket, all QUIC sessions behind it.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "net/loop.h"
#include "net/websocket_endpoint.h"
#include "relay/quic/quic.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace nb::relay::quic {

class Listener {
 public:
  /// On loop 0, once a client's handshake is done. `channel` outlives the endpoint.
  using Serve =
      std::function<std::unique_ptr<net::WebSocketEndpoint>(net::WebSocketChannel& channel)>;

  Listener(net::LoopPool& loops, Options options, Serve serve, Metrics& metrics, Logger log);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Errors   kUnavailable: address in use; kInvalidArgument: address or certificate files.
  Result<> start();
  /// Nobody new gets in; those that are here are sent away in their time. Blocks until they are
  /// gone, at most `limit`; from a thread that is no loop.
  void drain(std::chrono::milliseconds limit);
  /// Ends what is left. Blocks; from a thread that is no loop.
  void stop();
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  class Socket;
  net::LoopPool& loops_;
  const Options options_;
  const Serve serve_;
  Metrics& metrics_;
  const Logger log_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Socket> socket_;
};

}  // namespace nb::relay::quic
