// Request headers as the Go gRPC client encodes them: everything goes through the dynamic table,
// the changing grpc-timeout included, so that a server's table fills and turns over as in real
// life. (nghttp2's deflater leaves :path out of the table, hence this one.) Source   RFC 7541; the
// order of the fields is the Go client's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace nb::bench {

/// A literal string of RFC 7541 §5.2, Huffman coded when that is shorter and `huffman` is set.
[[nodiscard]] std::string hpack_string(std::string_view text, bool huffman);

enum class Field : std::uint8_t {
  kAuthority,
  kPath,
  kContentType,
  kUserAgent,
  kTe,
  kTimeout,
  kPeerId,
  kCount
};

inline constexpr std::size_t kPathsMax = 8;

/// Fields of one request in encoded form, shared by all connections.
struct EncodedCall {
  std::string path;     // hpack_string of each
  std::string peer_id;  // empty: no such field
  std::size_t path_size = 0;
  std::size_t path_slot = 0;  // distinct per path, < kPathsMax
  std::size_t peer_id_size = 0;
  bool timeout = false;
};

class HpackEncoder {
 public:
  /// `plain`: no Huffman and peer ids as in the clear, for servers that only look for bytes.
  HpackEncoder(std::string_view authority, bool plain);
  /// Appends the header block of `call`; `timeout_us` is used if the call has a timeout.
  void encode(std::string& out, const EncodedCall& call, std::uint64_t timeout_us);
  /// SETTINGS_HEADER_TABLE_SIZE of the server; takes effect with the next block.
  void limit_table(std::size_t bytes);

  [[nodiscard]] static EncodedCall make_call(std::string_view path, std::size_t path_slot,
                                             std::string_view peer_id, bool timeout, bool plain);

 private:
  /// `slot`: what must match for an entry to be the same field with the same value.
  void field(std::string& out, Field name, std::size_t slot, std::string_view value,
             std::size_t value_size);
  [[nodiscard]] std::size_t table_index(std::size_t slot) const;
  void evict_to(std::size_t bytes);

  bool plain_;
  std::string authority_;
  std::size_t authority_size_;
  std::deque<std::size_t> entries_;  // sizes, newest first
  std::array<std::uint64_t, static_cast<std::size_t>(Field::kCount) + kPathsMax> newest_{};
  std::uint64_t inserted_ = 0;
  std::size_t bytes_ = 0;
  std::size_t max_ = 4096;
  bool announce_max_ = false;
};

}  // namespace nb::bench
