#include "stun/message.h"

#include "crypto/hash.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace nb::stun {

namespace {
constexpr std::array<std::uint8_t, 4> kCookie = {0x21, 0x12, 0xA4, 0x42};
constexpr std::uint16_t kBindingRequest = 0x0001;
constexpr std::uint16_t kBindingSuccess = 0x0101;
constexpr std::uint16_t kXorMappedAddress = 0x0020;
constexpr std::uint16_t kFingerprint = 0x8028;
constexpr std::uint32_t kFingerprintXor = 0x5354554e;  // RFC 8489 §14.7
constexpr std::uint8_t kIpv4 = 1;
constexpr std::uint8_t kIpv6 = 2;
constexpr std::size_t kAttributeHead = 4;
constexpr std::size_t kFingerprintBytes = 8;

using Bytes = std::span<const std::uint8_t>;

std::uint16_t read16(Bytes at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
void write16(std::uint8_t* to, std::size_t value) {
  to[0] = static_cast<std::uint8_t>(value >> 8);
  to[1] = static_cast<std::uint8_t>(value);
}

bool mapped_v4(const in6_addr& ip) {
  return IN6_IS_ADDR_V4MAPPED(&ip) != 0;
}

/// The pad that addresses are hidden under: the cookie, then the transaction id.
std::array<std::uint8_t, 16> pad_of(const TransactionId& id) {
  std::array<std::uint8_t, 16> pad{};
  std::copy(id.begin(), id.end(), std::copy(kCookie.begin(), kCookie.end(), pad.begin()));
  return pad;
}

std::uint32_t fingerprint(Bytes before) {
  return crypto::crc32({reinterpret_cast<const char*>(before.data()), before.size()}) ^
         kFingerprintXor;
}

/// RFC 8489 §6.3: two zero bits, the cookie, a length that fits and is a multiple of four.
bool well_formed(Bytes datagram, std::uint16_t type) {
  if (datagram.size() < kHeaderBytes || read16(datagram) != type) return false;
  if (!std::equal(kCookie.begin(), kCookie.end(), datagram.begin() + 4)) return false;
  const std::size_t length = read16(datagram.subspan(2));
  return length % 4 == 0 && kHeaderBytes + length <= datagram.size();
}

void write_header(std::uint8_t* out, std::uint16_t type, std::size_t length,
                  const TransactionId& id) {
  write16(out, type);
  write16(out + 2, length);
  std::copy(kCookie.begin(), kCookie.end(), out + 4);
  std::copy(id.begin(), id.end(), out + 8);
}

Result<net::PeerAddress> read_address(Bytes value, const TransactionId& id) {
  const auto pad = pad_of(id);
  net::PeerAddress address;
  const std::size_t size = value.size() < 4    ? 0
                           : value[1] == kIpv4 ? 4
                           : value[1] == kIpv6 ? 16
                                               : 0;
  if (size == 0 || value.size() != 4 + size)
    return fail(Code::kInvalidArgument, "STUN: an address of an unknown kind");
  address.port = static_cast<std::uint16_t>(read16(value.subspan(2)) ^ (pad[0] << 8 | pad[1]));
  std::uint8_t* const ip = address.ip.s6_addr + (16 - size);
  if (size == 4) address.ip.s6_addr[10] = address.ip.s6_addr[11] = 0xff;
  for (std::size_t i = 0; i < size; ++i) ip[i] = value[4 + i] ^ pad[i];
  return address;
}
}  // namespace

std::optional<TransactionId> parse_request(Bytes datagram) {
  if (!well_formed(datagram, kBindingRequest)) return std::nullopt;
  TransactionId id;
  std::copy_n(datagram.begin() + 8, id.size(), id.begin());
  return id;
}

std::array<std::uint8_t, kHeaderBytes> make_request(const TransactionId& id) {
  std::array<std::uint8_t, kHeaderBytes> out{};
  write_header(out.data(), kBindingRequest, 0, id);
  return out;
}

std::size_t write_response(std::span<std::uint8_t, kResponseBytesMax> out, const TransactionId& id,
                           const net::PeerAddress& mapped) {
  const bool v4 = mapped_v4(mapped.ip);
  const std::size_t ip_bytes = v4 ? 4 : 16;
  const std::size_t value = 4 + ip_bytes;
  const std::size_t before = kHeaderBytes + kAttributeHead + value;
  // RFC 8489 §14.7: the length in the header already counts FINGERPRINT when that is computed.
  write_header(out.data(), kBindingSuccess, before - kHeaderBytes + kFingerprintBytes, id);
  std::uint8_t* at = out.data() + kHeaderBytes;
  write16(at, kXorMappedAddress);
  write16(at + 2, value);
  at[4] = 0;
  at[5] = v4 ? kIpv4 : kIpv6;
  const auto pad = pad_of(id);
  write16(at + 6, mapped.port ^ static_cast<std::size_t>(pad[0] << 8 | pad[1]));
  const std::uint8_t* const ip = mapped.ip.s6_addr + (16 - ip_bytes);
  for (std::size_t i = 0; i < ip_bytes; ++i) at[8 + i] = ip[i] ^ pad[i];
  at = out.data() + before;
  const std::uint32_t sum = fingerprint(out.first(before));
  write16(at, kFingerprint);
  write16(at + 2, 4);
  write16(at + 4, sum >> 16);
  write16(at + 6, sum & 0xffff);
  return before + kFingerprintBytes;
}

Result<net::PeerAddress> parse_response(Bytes datagram, const TransactionId& id) {
  if (!well_formed(datagram, kBindingSuccess) ||
      !std::equal(id.begin(), id.end(), datagram.begin() + 8))
    return fail(Code::kInvalidArgument, "STUN: not the response to this request");
  std::optional<net::PeerAddress> mapped;
  const std::size_t end = kHeaderBytes + read16(datagram.subspan(2));
  for (std::size_t at = kHeaderBytes; at + kAttributeHead <= end;) {
    const std::uint16_t type = read16(datagram.subspan(at));
    const std::size_t size = read16(datagram.subspan(at + 2));
    const std::size_t next = at + kAttributeHead + (size + 3) / 4 * 4;
    if (next > end) return fail(Code::kInvalidArgument, "STUN: an attribute passes the end");
    const Bytes value = datagram.subspan(at + kAttributeHead, size);
    if (type == kXorMappedAddress && !mapped) {
      NB_LET(mapped, read_address(value, id));
    } else if (type == kFingerprint) {
      const std::uint32_t sum = fingerprint(datagram.first(at));
      if (size != 4 || read16(value) != sum >> 16 || read16(value.subspan(2)) != (sum & 0xffff))
        return fail(Code::kInvalidArgument, "STUN: wrong fingerprint");
    }
    at = next;
  }
  if (!mapped) return fail(Code::kInvalidArgument, "STUN: no mapped address");
  return *mapped;
}

}  // namespace nb::stun
