#include "net/control_frames.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <utility>

namespace nb::net {

namespace {
constexpr std::size_t kHead = 9;  // RFC 9113 §4.1
constexpr std::uint8_t kPingBytes = 8;
constexpr std::uint8_t kIncrementBytes = 4;
/// More is nghttp2's matter, who knows when a window becomes too large (RFC 9113 §6.9.1). As large
/// as a new connection's window, so a peer that only receives costs nghttp2 one update per 64 KiB.
constexpr std::uint32_t kWindowKeptMax = 65'535;

/// A whole frame of the connection without flags.
bool begins_with(std::span<const std::uint8_t> bytes, std::uint8_t type, std::uint8_t length) {
  const std::array<std::uint8_t, kHead> head{0, 0, length, type};
  return bytes.size() >= kHead + length && std::equal(head.begin(), head.end(), bytes.begin());
}

std::uint32_t read32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) << 24U | static_cast<std::uint32_t>(at[1]) << 16U |
         static_cast<std::uint32_t>(at[2]) << 8U | at[3];
}
}  // namespace

std::size_t ControlFrames::take(std::span<const std::uint8_t> bytes) {
  if (begins_with(bytes, NGHTTP2_PING, kPingBytes)) {
    if (std::exchange(ping_waits_, true)) return 0;
    std::copy_n(bytes.data() + kHead, kPingBytes, ping_.begin());
    return kHead + kPingBytes;
  }
  if (begins_with(bytes, NGHTTP2_WINDOW_UPDATE, kIncrementBytes)) {
    const std::uint32_t more = read32(bytes.data() + kHead);
    if (more == 0 || more > kWindowKeptMax - window_) return 0;
    window_ += more;
    return kHead + kIncrementBytes;
  }
  return 0;
}

void ControlFrames::acknowledge(OutputBuffer& out) {
  constexpr std::array<std::uint8_t, kHead> kAck{0, 0, kPingBytes, NGHTTP2_PING, NGHTTP2_FLAG_ACK};
  out.append(kAck.data(), kAck.size());
  out.append(ping_.data(), ping_.size());
  ping_waits_ = false;
}

std::array<std::uint8_t, ControlFrames::kWindowFrameBytes> ControlFrames::window_update() {
  const std::uint32_t more = std::exchange(window_, 0);
  return {0,
          0,
          kIncrementBytes,
          NGHTTP2_WINDOW_UPDATE,
          0,
          0,
          0,
          0,
          0,
          static_cast<std::uint8_t>(more >> 24U),
          static_cast<std::uint8_t>(more >> 16U),
          static_cast<std::uint8_t>(more >> 8U),
          static_cast<std::uint8_t>(more)};
}

}  // namespace nb::net
