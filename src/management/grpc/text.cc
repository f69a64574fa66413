#include "management/grpc/text.h"

#include <algorithm>
#include <cstdint>

namespace nb::management::grpc {
namespace {

/// Bytes of the character at the front, 0 when there is none (RFC 3629 §4).
std::size_t character(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xc0) == 0x80; };
  const std::uint8_t first = at(0);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  const std::uint8_t second = at(1);
  if (first >= 0xe0 && first <= 0xef) {
    if (first == 0xe0 && second < 0xa0) return 0;  // overlong
    if (first == 0xed && second > 0x9f) return 0;  // surrogates
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (first == 0xf0 && second < 0x90) return 0;
    if (first == 0xf4 && second > 0x8f) return 0;  // beyond U+10FFFF
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_storable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = character(text);
    if (size == 0 || text.front() == '\0') return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string storable_prefix(std::string_view text, std::size_t most) {
  std::size_t end = 0;
  for (;;) {
    const std::size_t size = character(text.substr(end));
    if (size == 0 || end + size > most) break;
    end += size;
  }
  std::string out(text.substr(0, end));
  std::ranges::replace(out, '\0', ' ');
  return out;
}

}  // namespace nb::management::grpc
