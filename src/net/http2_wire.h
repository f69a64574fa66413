// Frames of HTTP/2 as bytes: heads, numbers and names of the protocol.
//
// Source   RFC 9113 §4.1 (frame head), §6 (types), §6.5.2 (settings), §7 (error codes).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace nb::net::http2 {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 §3.4
inline constexpr std::size_t kHeadBytes = 9;
inline constexpr std::size_t kPingBytes = 8;
inline constexpr std::size_t kPriorityBytes = 5;
inline constexpr std::size_t kSettingBytes = 6;
/// What either side may send until the other one allows more; ours never does.
inline constexpr std::size_t kPayloadMax = 16'384;
inline constexpr std::int32_t kFirstWindow = 65'535;
inline constexpr std::int32_t kWindowMax = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int32_t kStreamIdMax = std::numeric_limits<std::int32_t>::max();

enum class FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

inline constexpr std::uint8_t kAck = 0x1;  // of SETTINGS and PING
inline constexpr std::uint8_t kEndStream = 0x1;
inline constexpr std::uint8_t kEndHeaders = 0x4;
inline constexpr std::uint8_t kPadded = 0x8;
inline constexpr std::uint8_t kPriority = 0x20;

enum class Setting : std::uint16_t {
  kHeaderTableSize = 1,
  kEnablePush = 2,
  kMaxConcurrentStreams = 3,
  kInitialWindowSize = 4,
  kMaxFrameSize = 5,
  kMaxHeaderListSize = 6,
};

enum class ErrorCode : std::uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kStreamClosed = 5,
  kFrameSizeError = 6,
  kRefusedStream = 7,
  kCancel = 8,
  kCompressionError = 9,
  kEnhanceYourCalm = 11,
};

struct FrameHead {
  std::uint32_t length = 0;  // of the payload
  FrameType type = FrameType::kData;
  std::uint8_t flags = 0;
  std::int32_t stream = 0;  // 0: the connection

  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

[[nodiscard]] inline std::uint32_t read32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) << 24U | static_cast<std::uint32_t>(at[1]) << 16U |
         static_cast<std::uint32_t>(at[2]) << 8U | at[3];
}

/// Of kHeadBytes at `at`; the reserved bit before the stream is ignored.
[[nodiscard]] inline FrameHead read_head(const std::uint8_t* at) {
  return {.length = static_cast<std::uint32_t>(at[0]) << 16U |
                    static_cast<std::uint32_t>(at[1]) << 8U | at[2],
          .type = static_cast<FrameType>(at[3]),
          .flags = at[4],
          .stream = static_cast<std::int32_t>(read32(at + 5) & 0x7fff'ffffU)};
}

inline void write32(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 24U);
  at[1] = static_cast<std::uint8_t>(value >> 16U);
  at[2] = static_cast<std::uint8_t>(value >> 8U);
  at[3] = static_cast<std::uint8_t>(value);
}

inline void write_head(std::uint8_t* at, const FrameHead& head) {
  at[0] = static_cast<std::uint8_t>(head.length >> 16U);
  at[1] = static_cast<std::uint8_t>(head.length >> 8U);
  at[2] = static_cast<std::uint8_t>(head.length);
  at[3] = static_cast<std::uint8_t>(head.type);
  at[4] = head.flags;
  write32(at + 5, static_cast<std::uint32_t>(head.stream));
}

[[nodiscard]] inline std::array<std::uint8_t, kHeadBytes> head_bytes(const FrameHead& head) {
  std::array<std::uint8_t, kHeadBytes> out{};
  write_head(out.data(), head);
  return out;
}

/// A whole frame whose payload is one number: RST_STREAM and WINDOW_UPDATE.
using NumberFrame = std::array<std::uint8_t, kHeadBytes + 4>;
[[nodiscard]] inline NumberFrame number_frame(FrameType type, std::int32_t stream,
                                              std::uint32_t number) {
  NumberFrame out{};
  write_head(out.data(), {.length = 4, .type = type, .stream = stream});
  write32(out.data() + kHeadBytes, number);
  return out;
}

}  // namespace nb::net::http2
