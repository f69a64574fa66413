// One thread's epoll loop over many clients: reads each ready one once, then writes every client
// that has something to say once, as the Go clients' writers do.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "load/socket_client.h"

#include <sys/epoll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
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

  /// Connects within `limit` (blocking) and adds Client(fd, arguments...); it lives until this loop
  /// does.
  template <class Client, class... Arguments>
  Result<Client*> connect(const Endpoint& to, std::chrono::milliseconds limit,
                          Arguments&&... arguments) {
    NB_LET(const int fd, dial(to, limit));
    auto client = std::make_unique<Client>(fd, std::forward<Arguments>(arguments)...);
    Client* const added = client.get();
    add(std::move(client));
    return added;
  }
  /// After something was queued on `client` outside of its callbacks.
  void touch(SocketClient& client);
  /// One turn: waits at most `wait`, reads, then writes.
  void turn(std::chrono::nanoseconds wait);
  [[nodiscard]] std::uint64_t bytes_received() const;

 private:
  static Result<int> dial(const Endpoint& to, std::chrono::milliseconds limit);
  void add(std::unique_ptr<SocketClient> client);
  void flush_touched();
  void watch(SocketClient& client, bool writing);

  int epoll_;
  std::vector<std::unique_ptr<SocketClient>> clients_;
  std::vector<SocketClient*> touched_;
  std::vector<epoll_event> events_;
  std::vector<char> scratch_;
};

}  // namespace nb::bench
