// Header blocks of the peer: HPACK, with the peer's table kept in few bytes.
//
// Source   RFC 7541; the limit of the table: RFC 9113 §4.3.1, docs/decisions/0121-header-tables.md.
#pragma once

#include "net/header_block.h"
#include "net/hpack_tables.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::net {

/// What a peer puts into its table is kept in memory here, as text in one place with eight bytes a
/// field beside it: an official agent puts every grpc-timeout into it, so that the table is always
/// full, and each change of it must be cheap.
///
/// RFC 9113 §4.3.1 wants whoever acknowledges a smaller SETTINGS_HEADER_TABLE_SIZE to announce the
/// new size in the next block. HAProxy and nginx, which never use the table, and Go's net/http
/// before 1.20 go on as before. They are understood, and may cost what the default costs; who
/// announces more than the limit is refused.
class HpackDecoder {
 public:
  enum class Outcome : std::uint8_t { kWhole, kTooLarge, kBroken };

  /// Shape    limit: bytes of SETTINGS_HEADER_TABLE_SIZE, at most hpack::kDefaultTable.
  explicit HpackDecoder(std::uint32_t limit) : limit_(limit) {}

  [[nodiscard]] std::uint32_t limit() const { return limit_; }
  /// The peer has acknowledged the limit, and may announce no more from now on.
  void acknowledged() { allowed_ = limit_; }

  /// Appends the fields of a whole block to `out`.
  /// Units    bytes_max: as HeaderBlock::bytes() counts.
  /// Errors   kTooLarge: `out` is past bytes_max and the rest was not read; kBroken: no HPACK. Both
  ///          leave a table that the peer's no longer agrees with: the connection must end.
  [[nodiscard]] Outcome decode(std::span<const std::uint8_t> block, HeaderBlock& out,
                               std::size_t bytes_max);

 private:
  /// Of the peer's table. `at` is where its name begins in text_, followed by its value.
  struct Entry {
    std::uint32_t at;
    std::uint16_t name : 14;
    std::uint16_t name_fine : 1;  // is one, as RFC 9113 §8.2.1 wants it
    std::uint16_t value_fine : 1;
    std::uint16_t value;
  };
  struct Input;

  [[nodiscard]] bool indexed(Input& in, HeaderBlock& out) const;
  [[nodiscard]] bool literal(Input& in, HeaderBlock& out, unsigned prefix, bool keep);
  [[nodiscard]] bool resize(std::uint32_t bytes);
  [[nodiscard]] const Entry* entry(std::uint32_t index) const;
  [[nodiscard]] std::string_view name_of(const Entry& entry) const;
  void insert(const HeaderField& field, bool name_fine, bool value_fine);
  void evict_to(std::size_t bytes);
  void make_room(std::size_t bytes);

  std::string text_;
  std::vector<Entry> entries_;  // oldest first; those before first_ are out of the table
  std::uint32_t first_ = 0;
  std::uint32_t bytes_ = 0;                       // as RFC 7541 §4.1 counts
  std::uint32_t max_ = hpack::kDefaultTable;      // as the peer has announced
  std::uint32_t allowed_ = hpack::kDefaultTable;  // what it may announce
  std::uint32_t limit_;
};

}  // namespace nb::net
