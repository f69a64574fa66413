// The STUN server of one process: a socket per loop and port.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "net/loop.h"
#include "stun/stun.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace nb::stun {

class Server {
 public:
  Server(net::LoopPool& loops, Options options, StunMetrics& metrics, Logger log);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds every port on every loop.
  /// Errors   kUnavailable: address in use; kInvalidArgument: address, or no port.
  Result<> start();
  /// Blocks until no socket is open; from a thread that is no loop.
  void stop();
  /// As bound, in the order of the options.
  [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_; }

 private:
  class Port;
  net::LoopPool& loops_;
  const Options options_;
  StunMetrics& metrics_;
  const Logger log_;
  std::vector<std::uint16_t> ports_;
  std::vector<std::vector<std::unique_ptr<Port>>> sockets_;  // by loop
};

}  // namespace nb::stun
