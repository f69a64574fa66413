#include "management/netmap/punycode.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace nb::netmap {
namespace {

// RFC 3492 §5.
constexpr std::uint32_t kBase = 36;
constexpr std::uint32_t kTMin = 1;
constexpr std::uint32_t kTMax = 26;
constexpr std::uint32_t kSkew = 38;
constexpr std::uint32_t kDamp = 700;
constexpr std::uint32_t kInitialBias = 72;
constexpr std::uint32_t kInitialN = 128;
constexpr char32_t kLast = 0x10FFFF;  // of Unicode
/// Longer labels are no host names; it also keeps the arithmetic far from overflow.
constexpr std::size_t kLabelMax = 255;

std::optional<std::u32string> code_points(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    const std::size_t length = first < 0x80       ? 1
                               : first >> 5 == 6  ? 2
                               : first >> 4 == 14 ? 3
                               : first >> 3 == 30 ? 4
                                                  : 0;
    if (length == 0 || at + length > text.size()) return std::nullopt;
    char32_t value = length == 1 ? first : first & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if (next >> 6 != 2) return std::nullopt;
      value = value << 6 | (next & 0x3FU);
    }
    constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // shorter forms exist below
    if (value < kLeast[length] || value > kLast) return std::nullopt;
    out.push_back(value);
    at += length;
  }
  return out;
}

/// RFC 3492 §6.1.
std::uint32_t adapt(std::uint32_t delta, std::uint32_t points, bool first) {
  delta = first ? delta / kDamp : delta / 2;
  delta += delta / points;
  std::uint32_t k = 0;
  for (; delta > (kBase - kTMin) * kTMax / 2; k += kBase) delta /= kBase - kTMin;
  return k + (kBase - kTMin + 1) * delta / (delta + kSkew);
}

char digit(std::uint32_t value) {
  return static_cast<char>(value < 26 ? 'a' + value : '0' + (value - 26));
}

/// RFC 3492 §6.3.
std::string encoded_label(const std::u32string& label) {
  std::string out = "xn--";
  for (const char32_t c : label)
    if (c < 0x80) out.push_back(static_cast<char>(c));
  const auto basic = static_cast<std::uint32_t>(out.size() - 4);
  if (basic > 0) out.push_back('-');
  std::uint32_t n = kInitialN;
  std::uint32_t delta = 0;
  std::uint32_t bias = kInitialBias;
  for (std::uint32_t done = basic; done < label.size(); ++delta, ++n) {
    char32_t next = kLast;
    for (const char32_t c : label)
      if (c >= n) next = std::min(next, c);
    delta += (static_cast<std::uint32_t>(next) - n) * (done + 1);
    n = static_cast<std::uint32_t>(next);
    for (const char32_t c : label) {
      if (c < n) ++delta;
      if (c != n) continue;
      std::uint32_t q = delta;
      for (std::uint32_t k = kBase;; k += kBase) {
        const std::uint32_t t = k <= bias ? kTMin : k >= bias + kTMax ? kTMax : k - bias;
        if (q < t) break;
        out.push_back(digit(t + (q - t) % (kBase - t)));
        q = (q - t) / (kBase - t);
      }
      out.push_back(digit(q));
      bias = adapt(delta, done + 1, done == basic);
      delta = 0;
      ++done;
    }
  }
  return out;
}

std::string ascii_label(std::string_view label) {
  const bool plain = std::ranges::all_of(label, [](char c) { return (c & 0x80) == 0; });
  if (plain || label.size() > kLabelMax) return std::string(label);
  const auto points = code_points(label);
  return points ? encoded_label(*points) : std::string(label);
}

}  // namespace

std::string ascii_domain(std::string_view domain) {
  std::string out;
  for (;;) {
    const auto dot = domain.find('.');
    out += ascii_label(domain.substr(0, dot));
    if (dot == domain.npos) break;
    out.push_back('.');
    domain.remove_prefix(dot + 1);
  }
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace nb::netmap
