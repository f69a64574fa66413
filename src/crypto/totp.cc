#include "crypto/totp.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <fmt/format.h>

namespace nb::crypto {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::uint64_t kPeriod = 30;

}  // namespace

std::string to_base32(std::string_view bytes) {
  std::string out;
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    held = held << 8U | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 5; bits -= 5) out += kAlphabet[held >> (bits - 5) & 31U];
    held &= 0xFFU;
  }
  if (bits > 0) out += kAlphabet[held << (5 - bits) & 31U];
  return out;
}

Result<std::string> from_base32(std::string_view text) {
  std::string out;
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (char c : text) {
    if (c == ' ' || c == '=') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    const auto value = kAlphabet.find(c);
    if (value == std::string_view::npos) return fail(Code::kInvalidArgument, "not base32");
    held = (held << 5U | static_cast<std::uint32_t>(value)) & 0xFFFU;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(held >> bits & 0xFFU);
  }
  return out;
}

std::string totp_code(std::string_view secret, std::uint64_t counter) {
  std::string message(8, '\0');
  for (int i = 7; i >= 0; --i, counter >>= 8U)
    message[static_cast<std::size_t>(i)] = static_cast<char>(counter & 0xFFU);
  const Digest20 mac = hmac_sha1(secret, message);
  const std::size_t at = mac[19] & 0x0FU;  // RFC 4226 §5.3: dynamic truncation
  const std::uint32_t value = (static_cast<std::uint32_t>(mac[at] & 0x7FU) << 24U) |
                              (static_cast<std::uint32_t>(mac[at + 1]) << 16U) |
                              (static_cast<std::uint32_t>(mac[at + 2]) << 8U) | mac[at + 3];
  return fmt::format("{:06}", value % 1'000'000);
}

std::uint64_t totp_counter(WallTime at) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
  return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds) / kPeriod;
}

std::optional<std::uint64_t> match_totp(std::string_view secret, std::string_view code,
                                        WallTime now) {
  const std::uint64_t middle = totp_counter(now);
  std::optional<std::uint64_t> found;
  for (std::uint64_t counter = middle == 0 ? 0 : middle - 1; counter <= middle + 1; ++counter)
    if (equal_secrets(totp_code(secret, counter), code)) found = counter;
  return found;
}

}  // namespace nb::crypto
