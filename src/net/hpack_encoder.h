// Header blocks of ours: HPACK, with a table of the few fields that every answer repeats.
//
// Source   RFC 7541.
#pragma once

#include "net/hpack_tables.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace nb::net {

/// Only fields of a short list (hpack_encoder.cc) enter the peer's table, and together they are so
/// small that none ever leaves it. So all there is to remember is when each one entered. Everything
/// else is sent as it is, without Huffman code: what such answers cost is not in their headers.
class HpackEncoder {
 public:
  static constexpr std::size_t kKept = 5;

  /// SETTINGS_HEADER_TABLE_SIZE of the peer.
  void limit(std::uint32_t bytes);
  /// Appends a whole block.
  void encode(std::span<const HeaderField> fields, std::string& out);

 private:
  void encode(const HeaderField& field, std::string& out);

  std::array<std::uint8_t, kKept> entered_{};  // 1: first, 0: not yet
  std::uint8_t count_ = 0;
  bool announce_ = false;  // size_, in the next block
  std::uint16_t size_ = hpack::kDefaultTable;
};

}  // namespace nb::net
