// IP addresses and prefixes as values, without sockets.
#pragma once

#include "base/result.h"

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb {

/// IPv4 or IPv6; an IPv4-mapped IPv6 address is the IPv4 address.
class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  static Result<IpAddress> parse(std::string_view text);
  static IpAddress v4(std::uint32_t value);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);

  [[nodiscard]] bool is_v4() const { return v4_; }
  /// 4 or 16 bytes, network order.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const;
  [[nodiscard]] std::uint32_t v4_value() const;
  /// Canonical text (RFC 5952 for IPv6).
  [[nodiscard]] std::string text() const;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  bool v4_ = true;
  std::array<std::uint8_t, 16> bytes_{};
};

/// An address range; a single address is a /32 or /128.
class IpPrefix {
 public:
  IpPrefix() = default;
  /// "10.0.0.0/8", "fd00::/8", or an address. Host bits are cleared.
  static Result<IpPrefix> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] const IpAddress& address() const { return address_; }
  [[nodiscard]] unsigned length() const { return length_; }
  [[nodiscard]] std::string text() const;
  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;

 private:
  IpAddress address_;
  unsigned length_ = 32;
};

/// Any of them contains the address.
[[nodiscard]] bool contains(std::span<const IpPrefix> prefixes, const IpAddress& address);
Result<std::vector<IpPrefix>> parse_prefixes(std::span<const std::string> texts);

}  // namespace nb
