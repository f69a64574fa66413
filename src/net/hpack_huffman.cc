#include "net/hpack_huffman.h"

#include <array>
#include <bit>
#include <cstddef>

namespace nb::net::hpack {

namespace {
constexpr std::size_t kSymbols = 257;  // all bytes and the one that ends a string
constexpr std::size_t kEnd = 256;
constexpr unsigned kLongest = 30;

/// Bits of each symbol's code (RFC 7541, Appendix B). The code is canonical: codes of one length
/// are consecutive numbers in the order of their symbols, and longer ones go on where shorter ones
/// have ended. So the lengths say all.
constexpr std::array<std::uint8_t, kSymbols> kLengths{
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,  //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,  //
    6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,   //
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10,  //
    13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,   //
    7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,   //
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,   //
    6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28,  //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,  //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,  //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,  //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,  //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,  //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,  //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,  //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,  //
    30};

/// Short codes are found by their first eight bits, the others by length.
constexpr unsigned kQuickBits = 8;

struct Tables {
  struct Quick {
    std::uint8_t symbol = 0;
    std::uint8_t length = 0;  // 0: longer than kQuickBits
  };
  std::array<Quick, 1U << kQuickBits> quick{};
  /// Of each length: the code behind its last one, as the leftmost bits of 32, and where its first
  /// symbol stands in `symbols` less its first code.
  std::array<std::uint32_t, kLongest + 1> limit{};
  std::array<std::uint32_t, kLongest + 1> offset{};
  std::array<std::uint16_t, kSymbols> symbols{};
};

constexpr Tables make_tables() {
  Tables made;
  std::uint32_t code = 0;
  std::uint32_t at = 0;
  for (unsigned length = 1; length <= kLongest; ++length) {
    code <<= 1U;
    made.offset[length] = at - code;
    for (std::size_t symbol = 0; symbol < kSymbols; ++symbol) {
      if (kLengths[symbol] != length) continue;
      made.symbols[at++] = static_cast<std::uint16_t>(symbol);
      for (unsigned rest = 0; length <= kQuickBits && rest < 1U << (kQuickBits - length); ++rest) {
        made.quick[(code << (kQuickBits - length)) + rest] = {static_cast<std::uint8_t>(symbol),
                                                              static_cast<std::uint8_t>(length)};
      }
      ++code;
    }
    // The last code of all is all ones, and the one behind it would not fit.
    made.limit[length] = length == kLongest ? 0xffff'ffffU : code << (32 - length);
  }
  return made;
}

constexpr Tables kTables = make_tables();
}  // namespace

bool huffman_decode(std::span<const std::uint8_t> code, std::string& out) {
  std::uint64_t bits = 0;  // those not yet used, leftmost first
  unsigned have = 0;
  std::size_t at = 0;
  for (;;) {
    while (have <= 56 && at < code.size()) {
      bits |= static_cast<std::uint64_t>(code[at++]) << (56 - have);
      have += 8;
    }
    const Tables::Quick quick = kTables.quick[bits >> (64 - kQuickBits)];
    if (quick.length != 0 && quick.length <= have) {
      out.push_back(static_cast<char>(quick.symbol));
      bits <<= quick.length;
      have -= quick.length;
      continue;
    }
    // What is left of the last byte is the beginning of the code for the end: ones, fewer than
    // eight of them.
    if (have < 8 && std::countl_one(bits) >= static_cast<int>(have)) return true;
    const auto window = static_cast<std::uint32_t>(bits >> 32U);
    unsigned length = 5;
    while (length < kLongest && window >= kTables.limit[length]) ++length;
    if (length > have) return false;
    const std::uint32_t index = kTables.offset[length] + (window >> (32 - length));
    if (kTables.symbols[index] == kEnd) return false;
    out.push_back(static_cast<char>(kTables.symbols[index]));
    bits <<= length;
    have -= length;
  }
}

}  // namespace nb::net::hpack
