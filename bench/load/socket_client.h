// What a ClientLoop serves: a protocol on a connected, non-blocking socket, and the bytes of both
// directions that wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nb::bench {

class SocketClient {
 public:
  /// Takes over the connected or connecting `fd`.
  explicit SocketClient(int fd) : fd_(fd) {}
  virtual ~SocketClient();
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  /// -1 once it is closed.
  [[nodiscard]] int fd() const { return fd_; }
  /// Reads once into `scratch` and handles what came. False: closed.
  bool on_readable(char* scratch, std::size_t size);
  /// Writes what is queued. False: closed.
  bool flush();
  [[nodiscard]] bool wants_write() const { return !out_.empty(); }
  [[nodiscard]] std::uint64_t bytes_received() const { return bytes_received_; }

 protected:
  /// Handles whole frames and leaves the tail in `in_`. False: closed.
  virtual bool parse(std::string_view data) = 0;
  /// The socket was just closed; told once.
  virtual void on_broken(std::string_view reason) = 0;
  /// Closes; false, for callers to return.
  bool broken(std::string_view reason);
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

  std::string out_;
  std::string in_;  // tail of the last read: an unfinished frame

 private:
  friend class ClientLoop;
  int fd_;
  std::size_t out_at_ = 0;
  std::uint64_t bytes_received_ = 0;
  bool queued_ = false;
};

}  // namespace nb::bench
