// What RFC 9113 wants to be known of streams that are over, which nghttp2 forgets.
#pragma once

#include "net/header_table_limit.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

struct nghttp2_session;

namespace nb::net {

/// The newest 64 streams of one connection: were they opened, and did we reset them? nghttp2
/// ignores frames on streams that are over; RFC 9113 §5.1 tells apart who ended them: after our
/// RST_STREAM frames may still be on their way, after the peer's own end they are its error.
/// Answers are error codes of RFC 9113 §7, NGHTTP2_NO_ERROR when all is well.
class StreamHistory {
 public:
  static constexpr std::size_t kFrameHeaderBytes = 9;

  /// Bytes that `session` is about to receive: finds what nghttp2 has no callback for, DATA on
  /// streams that are over and, for `table`, where header blocks begin.
  std::uint32_t walk(std::span<const std::uint8_t> bytes, nghttp2_session* session,
                     HeaderTableLimit& table);
  /// What has been walked over ends with a whole frame, which is not a part of a header block.
  [[nodiscard]] bool between_frames() const { return skip_ == 0 && head_size_ == 0 && !in_block_; }
  /// A HEADERS frame begins.
  std::uint32_t headers(std::int32_t id, nghttp2_session* session);
  void reset_by_us(std::int32_t id);

 private:
  static constexpr std::uint32_t kKept = 64;
  static constexpr std::uint32_t kPrefaceBytes = 24;  // RFC 9113 §3.4
  std::uint32_t frame(const std::uint8_t* head, nghttp2_session* session);
  [[nodiscard]] std::uint32_t check_closed(std::int32_t id, nghttp2_session* session) const;

  std::uint64_t opened_ = 0;  // bit 0 is last_id_
  std::uint64_t reset_by_us_ = 0;
  std::int32_t last_id_ = -1;
  std::int32_t peer_reset_ = 0;         // stream of the peer's last RST_STREAM
  std::uint32_t skip_ = kPrefaceBytes;  // until the next frame header
  std::array<std::uint8_t, kFrameHeaderBytes> head_{};
  std::uint8_t head_size_ = 0;
  bool in_block_ = false;  // CONTINUATION must follow
};

}  // namespace nb::net
