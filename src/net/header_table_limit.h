// A smaller table of header compression for peers, without nghttp2 knowing of it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace nb::net {

/// What a peer puts into its table of header compression is kept in memory here, some 160 bytes an
/// entry: an official agent puts every grpc-timeout into it, so that the default of 4 KiB has
/// filled up after some eighty calls. SETTINGS_HEADER_TABLE_SIZE asks for less.
///
/// RFC 9113 §4.3.1 wants the next header block to begin with an update of the table's size then,
/// and nghttp2 ends the connection otherwise. HAProxy and nginx, which never use the table, and
/// Go's net/http before 1.20 acknowledge the setting and go on as before. So nghttp2 is not told:
/// it allows the default, keeps to what the peer announces, and this class sees to it that nobody
/// who has acknowledged the limit announces more. See docs/decisions/0121-header-tables.md.
class HeaderTableLimit {
 public:
  static constexpr std::uint32_t kDefault = 4'096;  // RFC 9113 §6.5.2

  /// Shape    bytes: at most kDefault, which stands for no limit.
  explicit HeaderTableLimit(std::uint32_t bytes);

  [[nodiscard]] bool announced() const { return bytes_ < kDefault; }
  /// The entry of our first SETTINGS frame.
  [[nodiscard]] std::array<std::uint8_t, 6> setting() const;

  /// A frame of the peer begins.
  void frame(std::uint8_t type, std::uint8_t flags);
  /// Bytes of its payload. COMPRESSION_ERROR: the peer announces a table larger than the limit (RFC
  /// 7541 §4.2, §6.3), otherwise NO_ERROR.
  std::uint32_t payload(std::span<const std::uint8_t> bytes) {
    return place_ == Place::kElsewhere ? 0 : scan(bytes);
  }

 private:
  /// Where in a header block we are, which may begin with updates of the table's size.
  enum class Place : std::uint8_t { kElsewhere, kBefore, kStart, kInteger };

  std::uint32_t scan(std::span<const std::uint8_t> bytes);

  std::uint32_t bytes_;
  std::uint32_t size_ = 0;  // of the update that is being read
  Place place_ = Place::kElsewhere;
  std::uint8_t before_ = 0;    // bytes of padding length and priority still to come
  std::uint8_t shift_ = 0;     // of the next seven bits of size_
  bool acknowledged_ = false;  // by the peer, who knows the limit from then on
};

}  // namespace nb::net
