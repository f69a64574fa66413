#include "crypto/xid.h"

#include <algorithm>

namespace nb::crypto {

namespace {
constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
constexpr std::size_t kTextSize = 20;
constexpr unsigned kBitsPerDigit = 5;
}  // namespace

XidGenerator::XidGenerator(const Clock& clock, RandomSource& random)
    : clock_(clock),
      origin_(random.bytes<5>()),
      counter_(static_cast<std::uint32_t>(random.below(1U << 24))) {}

std::string XidGenerator::next() {
  const auto seconds = static_cast<std::uint32_t>(
      std::chrono::floor<std::chrono::seconds>(clock_.wall()).time_since_epoch().count());
  const std::uint32_t count = counter_.fetch_add(1, std::memory_order_relaxed);
  XidBytes bytes;
  const auto byte = [](std::uint32_t value, unsigned shift) {
    return static_cast<std::uint8_t>(value >> shift);
  };
  bytes = {byte(seconds, 24), byte(seconds, 16), byte(seconds, 8), byte(seconds, 0),
           origin_[0],        origin_[1],        origin_[2],       origin_[3],
           origin_[4],        byte(count, 16),   byte(count, 8),   byte(count, 0)};
  return xid_text(bytes);
}

std::string xid_text(const XidBytes& bytes) {
  std::string text;
  text.reserve(kTextSize);
  unsigned window = 0;
  unsigned bits = 0;
  for (const std::uint8_t byte : bytes) {
    window = (window << 8U | byte) & 0xFFFFU;
    for (bits += 8; bits >= kBitsPerDigit; bits -= kBitsPerDigit) {
      text += kDigits[window >> (bits - kBitsPerDigit) & 31U];
    }
  }
  text += kDigits[window << (kBitsPerDigit - bits) & 31U];  // 96 bits: one is left
  return text;
}

Result<XidBytes> parse_xid(std::string_view text) {
  const auto invalid = [] {
    return fail(Code::kInvalidArgument, "not an id of 20 characters 0-9a-v");
  };
  if (text.size() != kTextSize) return invalid();
  XidBytes bytes{};
  auto out = bytes.begin();
  unsigned window = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    if (digit == std::string_view::npos) return invalid();
    window = (window << kBitsPerDigit | static_cast<unsigned>(digit)) & 0xFFFFU;
    bits += kBitsPerDigit;
    if (bits >= 8) {
      bits -= 8;
      *out++ = static_cast<std::uint8_t>(window >> bits);
    }
  }
  if (xid_text(bytes) != text) return invalid();  // stray bits in the last digit
  return bytes;
}

std::chrono::sys_seconds xid_time(const XidBytes& bytes) {
  std::uint32_t seconds = 0;
  for (std::size_t i = 0; i < 4; ++i) seconds = seconds << 8U | bytes.at(i);
  return std::chrono::sys_seconds(std::chrono::seconds(seconds));
}

}  // namespace nb::crypto
