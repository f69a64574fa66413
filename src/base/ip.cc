#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace nb {

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  std::array<std::uint8_t, 16> bytes{};
  if (copy.size() != copy.find('\0') && copy.find('\0') != std::string::npos) {
    return fail(Code::kInvalidArgument, "not an IP address");
  }
  if (::inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) {
    IpAddress out;
    out.bytes_ = bytes;
    return out;
  }
  if (::inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) return v6(bytes);
  return fail(Code::kInvalidArgument, "not an IP address");
}

IpAddress IpAddress::v4(std::uint32_t value) {
  IpAddress out;
  for (std::size_t i = 0; i < 4; ++i) {
    out.bytes_.at(i) = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  }
  return out;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  static constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                                           0, 0, 0, 0, 0xFF, 0xFF};
  IpAddress out;
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    std::copy(bytes.begin() + 12, bytes.end(), out.bytes_.begin());
    return out;
  }
  out.v4_ = false;
  out.bytes_ = bytes;
  return out;
}

std::span<const std::uint8_t> IpAddress::bytes() const {
  return std::span<const std::uint8_t>(bytes_).first(v4_ ? 4 : 16);
}

std::uint32_t IpAddress::v4_value() const {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8U | bytes_.at(i);
  return value;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  ::inet_ntop(v4_ ? AF_INET : AF_INET6, bytes_.data(), buffer.data(), buffer.size());
  return buffer.data();
}

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  NB_LET(const IpAddress address, IpAddress::parse(text.substr(0, slash)));
  IpPrefix out;
  const unsigned most = address.is_v4() ? 32 : 128;
  out.length_ = most;
  if (slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    const auto [end, ec] =
        std::from_chars(length.data(), length.data() + length.size(), out.length_);
    if (ec != std::errc{} || end != length.data() + length.size() || out.length_ > most) {
      return fail(Code::kInvalidArgument, "the prefix length must be 0..{}", most);
    }
  }
  std::array<std::uint8_t, 16> bytes{};
  std::copy(address.bytes().begin(), address.bytes().end(), bytes.begin());
  for (unsigned bit = out.length_; bit < most; ++bit) {
    bytes.at(bit / 8) = static_cast<std::uint8_t>(bytes.at(bit / 8) & ~(0x80U >> (bit % 8)));
  }
  if (address.is_v4()) {
    out.address_ = IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24U |
                                 static_cast<std::uint32_t>(bytes[1]) << 16U |
                                 static_cast<std::uint32_t>(bytes[2]) << 8U | bytes[3]);
  } else {
    out.address_ = IpAddress::v6(bytes);
  }
  return out;
}

bool IpPrefix::contains(const IpAddress& address) const {
  if (address.is_v4() != address_.is_v4()) return false;
  const auto mine = address_.bytes();
  const auto theirs = address.bytes();
  const unsigned whole = length_ / 8;
  if (!std::equal(mine.begin(), mine.begin() + whole, theirs.begin())) return false;
  if (length_ % 8 == 0) return true;
  const unsigned mask = 0xFF00U >> (length_ % 8) & 0xFFU;
  return ((mine[whole] ^ theirs[whole]) & mask) == 0;
}

std::string IpPrefix::text() const {
  return address_.text() + "/" + std::to_string(length_);
}

bool contains(std::span<const IpPrefix> prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

Result<std::vector<IpPrefix>> parse_prefixes(std::span<const std::string> texts) {
  std::vector<IpPrefix> out;
  for (const std::string& text : texts) {
    NB_LET(out.emplace_back(), IpPrefix::parse(text));
  }
  return out;
}

}  // namespace nb
