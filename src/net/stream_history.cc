#include "net/stream_history.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

namespace nb::net {

std::uint32_t StreamHistory::walk(std::span<const std::uint8_t> bytes, nghttp2_session* session,
                                  HeaderTableLimit& table) {
  std::uint32_t error = NGHTTP2_NO_ERROR;
  while (!bytes.empty() && error == NGHTTP2_NO_ERROR) {
    if (skip_ > 0) {
      const std::size_t part = std::min<std::size_t>(skip_, bytes.size());
      skip_ -= static_cast<std::uint32_t>(part);
      error = table.payload(bytes.first(part));
      bytes = bytes.subspan(part);
      continue;
    }
    const std::uint8_t* head = bytes.data();
    if (head_size_ > 0 || bytes.size() < kFrameHeaderBytes) {
      const std::size_t part = std::min(kFrameHeaderBytes - head_size_, bytes.size());
      std::copy_n(bytes.begin(), part, head_.begin() + head_size_);
      head_size_ = static_cast<std::uint8_t>(head_size_ + part);
      bytes = bytes.subspan(part);
      if (head_size_ < kFrameHeaderBytes) return error;
      head_size_ = 0;
      head = head_.data();
    } else {
      bytes = bytes.subspan(kFrameHeaderBytes);
    }
    skip_ = static_cast<std::uint32_t>(head[0] << 16 | head[1] << 8 | head[2]);
    table.frame(head[3], head[4]);
    error = frame(head, session);
  }
  return error;
}

std::uint32_t StreamHistory::frame(const std::uint8_t* head, nghttp2_session* session) {
  const std::uint8_t type = head[3];
  in_block_ = (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) &&
              (head[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
  if (type != NGHTTP2_DATA && type != NGHTTP2_RST_STREAM) return NGHTTP2_NO_ERROR;
  const auto id =
      static_cast<std::int32_t>((head[5] & 0x7fU) << 24 | static_cast<unsigned>(head[6] << 16) |
                                static_cast<unsigned>(head[7] << 8) | head[8]);
  if (type == NGHTTP2_RST_STREAM) {
    peer_reset_ = id;
    return NGHTTP2_NO_ERROR;
  }
  if (id <= 0 || id % 2 == 0) return NGHTTP2_NO_ERROR;  // nghttp2 sees what is wrong with it
  if (id == peer_reset_) return NGHTTP2_STREAM_CLOSED;  // perhaps earlier in the same bytes
  if (id > last_id_) return NGHTTP2_NO_ERROR;
  return check_closed(id, session);
}

std::uint32_t StreamHistory::headers(std::int32_t id, nghttp2_session* session) {
  if (id <= 0 || id % 2 == 0) return NGHTTP2_NO_ERROR;
  if (id <= last_id_) return check_closed(id, session);
  const auto steps = static_cast<std::uint32_t>(id - last_id_) / 2;
  opened_ = (steps < kKept ? opened_ << steps : 0) | 1;
  reset_by_us_ = steps < kKept ? reset_by_us_ << steps : 0;
  last_id_ = id;
  return NGHTTP2_NO_ERROR;
}

std::uint32_t StreamHistory::check_closed(std::int32_t id, nghttp2_session* session) const {
  const auto age = static_cast<std::uint32_t>(last_id_ - id) / 2;
  if (age >= kKept || nghttp2_session_find_stream(session, id) != nullptr) return NGHTTP2_NO_ERROR;
  // RFC 9113 §5.1.1: a lower identifier than one already used.
  if ((opened_ >> age & 1) == 0) return NGHTTP2_PROTOCOL_ERROR;
  if ((reset_by_us_ >> age & 1) == 0) return NGHTTP2_STREAM_CLOSED;
  return NGHTTP2_NO_ERROR;
}

void StreamHistory::reset_by_us(std::int32_t id) {
  if (id > last_id_) return;
  const auto age = static_cast<std::uint32_t>(last_id_ - id) / 2;
  if (age < kKept) reset_by_us_ |= std::uint64_t{1} << age;
}

}  // namespace nb::net
