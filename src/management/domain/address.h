// IP addresses and prefixes as values, without any networking library.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nb::management {

/// An IPv4 or IPv6 address. Default-made: unset, which is neither.
class IpAddress {
 public:
  IpAddress() = default;
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
  /// Dotted quad or RFC 4291 text, no zone. An IPv4-mapped IPv6 address stays IPv6.
  static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_set() const { return family_ != 0; }
  [[nodiscard]] bool is_v4() const { return family_ == 4; }
  [[nodiscard]] bool is_v6() const { return family_ == 6; }
  /// 32 or 128; 0 when unset.
  [[nodiscard]] int bits() const { return family_ == 4 ? 32 : family_ == 6 ? 128 : 0; }
  /// Only of an IPv4 address.
  [[nodiscard]] std::uint32_t v4_value() const;
  /// Network order; an IPv4 address uses the first four.
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  /// An IPv4-mapped IPv6 address as IPv4, everything else as it is.
  [[nodiscard]] IpAddress unmapped() const;
  /// Canonical text (RFC 5952); empty when unset.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::uint8_t family_ = 0;
  std::array<std::uint8_t, 16> bytes_{};
};

/// An address and the length of its network part; host bits may be set. Default-made: unset.
struct Prefix {
  IpAddress address;
  int length = 0;

  /// "10.0.0.0/8"; a bare address does not parse.
  static std::optional<Prefix> parse(std::string_view text);
  [[nodiscard]] bool is_set() const { return address.is_set(); }
  /// The same with host bits cleared.
  [[nodiscard]] Prefix masked() const;
  [[nodiscard]] bool contains(const IpAddress& other) const;
  /// Empty when unset.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Prefix&, const Prefix&) = default;
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

}  // namespace nb::management
