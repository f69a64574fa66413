#include "net/header_table_limit.h"

#include "base/assert.h"

#include <nghttp2/nghttp2.h>

namespace nb::net {

namespace {
constexpr std::uint8_t kPriorityBytes = 5;  // RFC 9113 §6.2
// RFC 7541 §6.3, §5.1: 001 and five bits, then seven bits a byte as long as the highest is set.
constexpr std::uint8_t kUpdateMask = 0xe0;
constexpr std::uint8_t kUpdate = 0x20;
constexpr std::uint8_t kPrefix = 0x1f;
constexpr std::uint8_t kMore = 0x80;
constexpr std::uint8_t kShiftMax = 21;
}  // namespace

HeaderTableLimit::HeaderTableLimit(std::uint32_t bytes) : bytes_(bytes) {
  NB_ASSERT(bytes >= kPrefix && bytes <= kDefault);
}

std::array<std::uint8_t, 6> HeaderTableLimit::setting() const {
  return {0, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE,      0,
          0, static_cast<std::uint8_t>(bytes_ >> 8U), static_cast<std::uint8_t>(bytes_)};
}

void HeaderTableLimit::frame(std::uint8_t type, std::uint8_t flags) {
  if (!announced() || type == NGHTTP2_CONTINUATION) return;  // which goes on where we are
  place_ = Place::kElsewhere;
  if (type == NGHTTP2_SETTINGS && (flags & NGHTTP2_FLAG_ACK) != 0) acknowledged_ = true;
  if (type != NGHTTP2_HEADERS || !acknowledged_) return;
  before_ = (flags & NGHTTP2_FLAG_PADDED) != 0 ? 1 : 0;
  if ((flags & NGHTTP2_FLAG_PRIORITY) != 0) before_ += kPriorityBytes;
  place_ = before_ > 0 ? Place::kBefore : Place::kStart;
}

/// Padding behind a block that ends in the middle of an update is taken for its end, being zeros:
/// such a one may go unseen. nghttp2 still allows nobody more than the default.
std::uint32_t HeaderTableLimit::scan(std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    switch (place_) {
      case Place::kElsewhere:
        return NGHTTP2_NO_ERROR;
      case Place::kBefore:
        if (--before_ == 0) place_ = Place::kStart;
        continue;
      case Place::kStart:
        if ((byte & kUpdateMask) != kUpdate) {
          place_ = Place::kElsewhere;
          return NGHTTP2_NO_ERROR;
        }
        size_ = byte & kPrefix;
        shift_ = 0;
        if (size_ == kPrefix) place_ = Place::kInteger;  // a shorter number is below any limit
        continue;
      case Place::kInteger:
        if (shift_ > kShiftMax) return NGHTTP2_COMPRESSION_ERROR;
        size_ += static_cast<std::uint32_t>(byte & ~kMore & 0xffU) << shift_;
        shift_ += 7;
        if (size_ > bytes_) return NGHTTP2_COMPRESSION_ERROR;
        if ((byte & kMore) == 0) place_ = Place::kStart;
        continue;
    }
  }
  return NGHTTP2_NO_ERROR;
}

}  // namespace nb::net
