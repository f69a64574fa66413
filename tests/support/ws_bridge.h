// WsBridge: any TCP client inside a WebSocket, as the browser's agent travels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace nb::test {

/// Listens on a free loopback port; each connection made to it becomes one WebSocket to `path` of
/// the server on 127.0.0.1:`server`, its bytes in binary messages of at most `chunk`.
class WsBridge {
 public:
  WsBridge(std::uint16_t server, std::string path, std::size_t chunk = 32 * 1024);
  ~WsBridge();
  [[nodiscard]] std::string address() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::test
