#include "management/domain/address.h"

#include "base/assert.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nb::management {

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress out;
  out.family_ = 4;
  for (std::size_t i = 0; i < 4; ++i)
    out.bytes_.at(i) = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return out;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress out;
  out.family_ = 6;
  out.bytes_ = bytes;
  return out;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size() || text.find('\0') != text.npos) return {};
  std::memcpy(buffer.data(), text.data(), text.size());
  IpAddress out;
  out.family_ = text.find(':') == text.npos ? 4 : 6;
  const int family = out.family_ == 4 ? AF_INET : AF_INET6;
  if (inet_pton(family, buffer.data(), out.bytes_.data()) != 1) return {};
  return out;
}

std::uint32_t IpAddress::v4_value() const {
  NB_ASSERT(is_v4());
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes_.at(i);
  return value;
}

IpAddress IpAddress::unmapped() const {
  static constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                                           0, 0, 0, 0, 0xff, 0xff};
  if (!is_v6() || !std::equal(kMapped.begin(), kMapped.end(), bytes_.begin())) return *this;
  IpAddress out;
  out.family_ = 4;
  std::copy_n(bytes_.begin() + 12, 4, out.bytes_.begin());
  return out;
}

std::string IpAddress::to_string() const {
  if (!is_set()) return {};
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (is_v4()) {  // inet_ntop prints with sprintf, which maps of routing peers notice
    char* end = buffer.data();
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) *end++ = '.';
      end = std::to_chars(end, buffer.data() + buffer.size(), bytes_.at(i)).ptr;
    }
    return {buffer.data(), end};
  }
  inet_ntop(AF_INET6, bytes_.data(), buffer.data(), buffer.size());
  return buffer.data();
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == text.npos) return {};
  const auto address = IpAddress::parse(text.substr(0, slash));
  const auto digits = text.substr(slash + 1);
  int length = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || ec != std::errc{} || end != digits.data() + digits.size()) return {};
  if (digits.size() > 1 && digits.front() == '0') return {};
  if (length < 0 || length > address->bits()) return {};
  return Prefix{*address, length};
}

Prefix Prefix::masked() const {
  if (!is_set()) return *this;
  auto bytes = address.bytes();
  for (int bit = length; bit < address.bits(); ++bit) {
    auto& byte = bytes.at(static_cast<std::size_t>(bit / 8));
    byte = static_cast<std::uint8_t>(byte & ~(0x80U >> (bit % 8)));
  }
  if (address.is_v6()) return {IpAddress::v6(bytes), length};
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes.at(i);
  return {IpAddress::v4(value), length};
}

bool Prefix::contains(const IpAddress& other) const {
  if (!is_set() || other.bits() != address.bits()) return false;
  return Prefix{other, length}.masked().address == masked().address;
}

std::string Prefix::to_string() const {
  return is_set() ? address.to_string() + "/" + std::to_string(length) : std::string{};
}

}  // namespace nb::management
