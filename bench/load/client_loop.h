// One thread's epoll loop over many H2Clients: reads each ready one once, then writes every client
// that has something to say once, as the Go clients' writers do.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "load/h2_client.h"

#include <sys/epoll.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace nb::bench {

struct Endpoint {
  std::string host;  // numeric IPv4, loopback
  std::uint16_t port = 0;
  [[nodiscard]] std::string text() const { return host + ":" + std::to_string(port); }
};

/// "127.0.0.1:10000"; anything but a loopback address is refused.
Result<Endpoint> parse_endpoint(std::string_view text);

class ClientLoop {
 public:
  ClientLoop();
  ~ClientLoop();
  ClientLoop(const ClientLoop&) = delete;
  ClientLoop& operator=(const ClientLoop&) = delete;

  /// Connects within `limit` (blocking) and adds the client; it lives until this loop does.
  Result<H2Client*> connect(const Endpoint& to, bool plain_headers, H2Client::Owner& owner,
                            std::chrono::milliseconds limit);
  /// After calls were made on `client` outside of its callbacks.
  void touch(H2Client& client);
  /// One turn: waits at most `wait`, reads, then writes.
  void turn(std::chrono::nanoseconds wait);
  [[nodiscard]] std::uint64_t bytes_received() const;

 private:
  void flush_touched();
  void watch(H2Client& client, bool writing);

  int epoll_;
  std::vector<std::unique_ptr<H2Client>> clients_;
  std::vector<H2Client*> touched_;
  std::vector<epoll_event> events_;
  std::vector<char> scratch_;
};

}  // namespace nb::bench
