#include "net/closed_streams.h"

namespace nb::net {

void ClosedStreams::opened(std::int32_t id) {
  // The first stream is 1: as if there had been one of -1.
  const std::int64_t before = last_ == 0 ? -1 : last_;
  const auto steps = static_cast<std::uint32_t>((id - before) / 2);
  opened_ = (steps < kKept ? opened_ << steps : 0) | 1;
  reset_by_us_ = steps < kKept ? reset_by_us_ << steps : 0;
  last_ = id;
}

void ClosedStreams::reset_by_us(std::int32_t id) {
  if (age(id) < kKept) reset_by_us_ |= std::uint64_t{1} << age(id);
}

http2::ErrorCode ClosedStreams::error_for(std::int32_t id) const {
  using http2::ErrorCode;
  const std::uint32_t bit = age(id);
  if (bit >= kKept) return ErrorCode::kNoError;
  // RFC 9113 §5.1.1: a lower identifier than one already used.
  if ((opened_ >> bit & 1) == 0) return ErrorCode::kProtocolError;
  return (reset_by_us_ >> bit & 1) == 0 ? ErrorCode::kStreamClosed : ErrorCode::kNoError;
}

}  // namespace nb::net
