// PING and WINDOW_UPDATE of the connection, taken off nghttp2's hands.
#pragma once

#include "net/output.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace nb::net {

/// Go clients answer every DATA frame with these two frames and nothing else, so that two of three
/// reads of a signal server are of them (contract/signal-relay-ops.md §1.4). For nghttp2 each is a
/// frame object, a queued item and a packed frame, in memory that is in no cache; here it is a copy
/// of eight bytes or an addition. What is not quite as usual is left to nghttp2, errors included.
class ControlFrames {
 public:
  static constexpr std::size_t kWindowFrameBytes = 13;

  /// Takes the frame at the beginning of `bytes`, which must be between two frames and outside a
  /// header block. Bytes taken; 0: the frame is nghttp2's.
  std::size_t take(std::span<const std::uint8_t> bytes);

  /// The peer waits for the acknowledgement of a PING.
  [[nodiscard]] bool ping_waits() const { return ping_waits_; }
  void acknowledge(OutputBuffer& out);

  /// By how much the peer has widened the window of the connection since the last call of
  /// window_update(), which is one frame for all of it, for nghttp2.
  [[nodiscard]] std::uint32_t window() const { return window_; }
  [[nodiscard]] std::array<std::uint8_t, kWindowFrameBytes> window_update();

 private:
  std::array<std::uint8_t, 8> ping_{};
  std::uint32_t window_ = 0;
  bool ping_waits_ = false;
};

}  // namespace nb::net
