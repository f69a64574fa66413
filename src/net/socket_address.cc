#include "net/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

namespace nb::net {

Result<SocketAddress> SocketAddress::parse(std::string_view what, const std::string& text,
                                           std::uint16_t port) {
  SocketAddress out;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&out.storage, &v4, out.size = sizeof v4);
    return out;
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&out.storage, &v6, out.size = sizeof v6);
    return out;
  }
  return fail(Code::kInvalidArgument, "{} address '{}': not a numeric IP address", what, text);
}

}  // namespace nb::net
