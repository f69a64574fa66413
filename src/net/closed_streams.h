// What RFC 9113 wants to be known of streams that are over.
#pragma once

#include "net/http2_wire.h"

#include <cstdint>

namespace nb::net {

/// The newest 64 streams of one connection: were they opened, and did we reset them? RFC 9113 §5.1
/// tells apart who ended a stream: after our RST_STREAM frames may still be on their way, after the
/// peer's own end they are its error. Of older ones nothing is known, and all is forgiven.
class ClosedStreams {
 public:
  /// The newest stream of the peer's; 0: none yet.
  [[nodiscard]] std::int32_t last() const { return last_; }
  /// Shape    id: odd and above last().
  void opened(std::int32_t id);
  void reset_by_us(std::int32_t id);
  /// A frame on a stream that is not open, which is not above last().
  [[nodiscard]] http2::ErrorCode error_for(std::int32_t id) const;

 private:
  static constexpr std::uint32_t kKept = 64;
  [[nodiscard]] std::uint32_t age(std::int32_t id) const {
    return static_cast<std::uint32_t>(last_ - id) / 2;
  }

  std::uint64_t opened_ = 0;  // bit 0 is last_
  std::uint64_t reset_by_us_ = 0;
  std::int32_t last_ = 0;
};

}  // namespace nb::net
