// What a ClientLoop serves.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nb::bench {

/// A protocol on a connected, non-blocking socket, which it owns.
class SocketClient {
 public:
  virtual ~SocketClient() = default;
  /// -1 once it is closed.
  [[nodiscard]] virtual int fd() const = 0;
  /// Reads once into `scratch` and handles what came. False: closed.
  virtual bool on_readable(char* scratch, std::size_t size) = 0;
  /// Writes what is queued. False: closed.
  virtual bool flush() = 0;
  [[nodiscard]] virtual bool wants_write() const = 0;
  [[nodiscard]] virtual std::uint64_t bytes_received() const = 0;

 private:
  friend class ClientLoop;
  bool queued_ = false;
};

}  // namespace nb::bench
