#include "net/proxy_header.h"

#include <algorithm>
#include <cstring>

namespace nb::net {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kHeadBytes = 16;  // signature, version and command, family, length
constexpr unsigned kVersion = 2;
constexpr unsigned kLocal = 0;
constexpr unsigned kProxy = 1;
constexpr unsigned kTcp4 = 0x11;
constexpr unsigned kTcp6 = 0x21;

unsigned byte(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::uint16_t port_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte(bytes, at) << 8 | byte(bytes, at + 1));
}

/// Of source, destination and their ports, the source.
std::optional<PeerAddress> client_of(unsigned family, std::string_view body) {
  PeerAddress out;
  if (family == kTcp4 && body.size() >= 12) {
    out.ip.s6_addr[10] = out.ip.s6_addr[11] = 0xff;
    std::memcpy(&out.ip.s6_addr[12], body.data(), 4);
    out.port = port_at(body, 8);
    return out;
  }
  if (family == kTcp6 && body.size() >= 36) {
    std::memcpy(&out.ip, body.data(), 16);
    out.port = port_at(body, 32);
    return out;
  }
  return std::nullopt;
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view bytes) {
  using State = ProxyHeader::State;
  const std::size_t known = std::min(bytes.size(), kSignature.size());
  if (bytes.substr(0, known) != kSignature.substr(0, known)) return {State::kNone};
  if (bytes.size() < kHeadBytes) return {State::kPartial};
  const unsigned command = byte(bytes, 12) & 0xfU;
  const std::size_t size = kHeadBytes + port_at(bytes, 14);
  if (byte(bytes, 12) >> 4 != kVersion || command > kProxy || size > kProxyHeaderMax)
    return {State::kBroken};
  if (bytes.size() < size) return {State::kPartial};
  ProxyHeader out{State::kWhole, size};
  // A check of the balancer's own, or a family that is none of ours: the socket's address stays.
  if (command != kLocal)
    out.client = client_of(byte(bytes, 13), bytes.substr(kHeadBytes, size - kHeadBytes));
  return out;
}

}  // namespace nb::net
