// Where a socket binds or sends to, as the kernel takes it.
#pragma once

#include "base/result.h"

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace nb::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  /// `text`: IPv4 or IPv6 in numbers. `what`: "listen", "STUN", for the error.
  /// Errors   kInvalidArgument: "<what> address '<text>': not a numeric IP address".
  static Result<SocketAddress> parse(std::string_view what, const std::string& text,
                                     std::uint16_t port);
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

}  // namespace nb::net
