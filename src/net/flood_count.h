// How many frames a peer sends that cost us and get it nothing.
#pragma once

#include "base/clock.h"

#include <cstdint>

namespace nb::net {

/// Of one HTTP/2 connection, in windows of ten seconds. Answers are false when there are more than
/// any honest client sends.
class FloodCount {
 public:
  explicit FloodCount(Instant now) : window_began_(now) {}

  /// A control frame, or another that does nothing, of the peer.
  [[nodiscard]] bool control_frame(Instant now, std::uint32_t control_frames_max);
  /// RST_STREAM of the peer.
  [[nodiscard]] bool reset(Instant now, std::uint32_t resets_max);
  /// DATA of either side. Go clients answer each with a PING, and with a WINDOW_UPDATE or two
  /// (contract/signal-relay-ops.md §1.4), which this justifies.
  void data_frame() {
    if (control_ > -kCreditMax) control_ -= kControlPerData;
  }

 private:
  static constexpr std::int32_t kControlPerData = 4;
  static constexpr std::int32_t kCreditMax = 1'000'000;
  void count(Instant now);

  Instant window_began_;
  std::uint32_t resets_ = 0;
  std::int32_t control_ = 0;  // control frames received less frames that justify them
};

}  // namespace nb::net
