// Addresses of peers, and who they really are behind trusted proxies.
// Source   contract/management-grpc.md §1.2; signal-relay-ops.md §6.1 ("Real client IP").
#pragma once

#include "base/result.h"
#include "net/grpc.h"

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::net {

/// 16 bytes of IPv6, IPv4 as ::ffff:a.b.c.d; no text is kept per connection.
struct PeerAddress {
  in6_addr ip{};
  std::uint16_t port = 0;
  static PeerAddress from(const sockaddr_storage& address);
  /// Canonical text; IPv4-mapped addresses as plain IPv4.
  [[nodiscard]] std::string text() const;
  friend bool operator==(const PeerAddress& a, const PeerAddress& b);
};

/// Text to address: "192.0.2.1", "2001:db8::1", "[2001:db8::1]", each also with ":port".
Result<PeerAddress> parse_ip(std::string_view text);

/// "10.0.0.0/8", "::/0", or a bare address.
class AddressRange {
 public:
  static Result<AddressRange> parse(std::string_view text);
  [[nodiscard]] bool contains(const in6_addr& ip) const;
  [[nodiscard]] bool everything() const { return everything_; }

 private:
  in6_addr base_{};
  unsigned bits_ = 0;  // of the 128
  bool everything_ = false;
};

struct ProxyRules {
  std::vector<AddressRange> trusted_peers;    // whose headers count
  std::vector<AddressRange> trusted_proxies;  // skipped in X-Forwarded-For, from the right
  unsigned count = 0;                         // >0: index from the right instead

  /// The client as far as the headers can be believed; otherwise the socket's peer.
  [[nodiscard]] ClientAddress resolve(const PeerAddress& peer, std::string_view forwarded_for,
                                      std::string_view real_ip) const;
  [[nodiscard]] bool trusts(const PeerAddress& peer) const;
};

}  // namespace nb::net
