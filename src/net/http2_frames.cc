// Http2Session: what the peer's frames mean, but for DATA.
#include "net/http2_fields.h"
#include "net/http2_session.h"

#include <algorithm>
#include <utility>

namespace nb::net {

using http2::ErrorCode;
using http2::FrameHead;
using http2::FrameType;
using http2::read32;

namespace {
/// A header block this many times over the limit is not read to its end.
constexpr std::size_t kHeaderAbuse = 4;
/// Acknowledgements that wait for a peer who does not read them.
constexpr std::uint16_t kPingsQueuedMax = 1'000;
constexpr std::size_t kGoawayBytes = 8;
/// There are fewer settings than that; each one may concern every stream.
constexpr std::size_t kSettingsMax = 32;
constexpr std::uint32_t kFrameSizeMax = (1U << 24U) - 1;  // RFC 9113 §6.5.2
constexpr std::uint32_t kNumberMask = 0x7fff'ffff;

/// Header blocks are read one after the other, so that a thread needs memory for one.
HeaderBlock& spare_block() {
  thread_local HeaderBlock block;
  block.clear();
  return block;
}
}  // namespace

void Http2Session::on_frame(const FrameHead& head, Bytes payload) {
  switch (head.type) {
    case FrameType::kHeaders:
      return on_headers(head, payload);
    case FrameType::kContinuation:
      return on_continuation(head, payload);
    case FrameType::kRstStream:
      return on_reset(head, payload);
    default:
      break;
  }
  if (!count_control()) return flooded("control frames");
  switch (head.type) {
    case FrameType::kPriority:
      return on_priority(head, payload);
    case FrameType::kSettings:
      return on_settings(head, payload);
    case FrameType::kPing:
      return on_ping(head, payload);
    case FrameType::kGoaway:
      return on_goaway(head, payload);
    case FrameType::kWindowUpdate:
      return on_window_update(head, payload);
    case FrameType::kPushPromise:
      return fail_protocol();
    default:
      return;  // RFC 9113 §5.5: an extension that we do not know
  }
}

// --- header blocks -----------------------------------------------------------------------------

void Http2Session::on_headers(const FrameHead& head, Bytes payload) {
  if (head.stream % 2 == 0) return fail_protocol();
  std::size_t padding = 0;
  if (head.has(http2::kPadded)) {
    if (payload.empty()) return fail_protocol(ErrorCode::kFrameSizeError);
    padding = payload[0];
    payload = payload.subspan(1);
  }
  bool on_itself = false;
  if (head.has(http2::kPriority)) {
    if (payload.size() < http2::kPriorityBytes) return fail_protocol(ErrorCode::kFrameSizeError);
    on_itself = (read32(payload.data()) & kNumberMask) == static_cast<std::uint32_t>(head.stream);
    payload = payload.subspan(http2::kPriorityBytes);
  }
  if (padding > payload.size() || on_itself) return fail_protocol();
  payload = payload.first(payload.size() - padding);

  block_ends_stream_ = head.has(http2::kEndStream);
  block_use_ = head.stream > closed_.last() ? open_stream(head.stream) : reopen_stream(head.stream);
  if (failed_) return;
  if (!head.has(http2::kEndHeaders)) half_received_since_ = received_;
  block_stream_ = head.stream;
  if (head.has(http2::kEndHeaders)) return on_block(payload);
  block_.assign(reinterpret_cast<const char*>(payload.data()), payload.size());
}

/// A frame on a stream that is not open and was not passed over.
ErrorCode Http2Session::error_for(std::int32_t id) const {
  // RFC 9113 §6.8: our GOAWAY has said that nothing becomes of it.
  if (goaway_sent_ && id > processed_) return ErrorCode::kNoError;
  return closed_.error_for(id);
}

Http2Session::BlockUse Http2Session::open_stream(std::int32_t id) {
  closed_.opened(id);
  if (goaway_sent_) {
    if (!count_control()) flooded("requests after GOAWAY");
    return BlockUse::kIgnore;
  }
  const bool room = streams_.size() < context_.limits().streams_per_connection_max;
  return room ? BlockUse::kRequest : BlockUse::kRefuse;
}

/// HEADERS on a stream that is no new one: trailers, or a mistake.
Http2Session::BlockUse Http2Session::reopen_stream(std::int32_t id) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) {
    const ErrorCode error = error_for(id);
    if (error != ErrorCode::kNoError) fail_protocol(error);
    return BlockUse::kIgnore;
  }
  if (stream->remote_ended_ || !block_ends_stream_) {
    reset(*stream, stream->remote_ended_ ? ErrorCode::kStreamClosed : ErrorCode::kProtocolError);
    return BlockUse::kIgnore;
  }
  return BlockUse::kTrailers;
}

void Http2Session::on_continuation(const FrameHead& head, Bytes payload) {
  if (block_stream_ == 0) return fail_protocol();
  if (payload.empty() && !count_control()) return flooded("empty CONTINUATION frames");
  block_.append(reinterpret_cast<const char*>(payload.data()), payload.size());
  if (block_.size() > kHeaderAbuse * context_.limits().header_bytes_max) {
    context_.metrics.header_too_large.Increment();
    return fail(ErrorCode::kEnhanceYourCalm);
  }
  if (!head.has(http2::kEndHeaders)) return;
  const std::string block = std::exchange(block_, {});
  on_block({reinterpret_cast<const std::uint8_t*>(block.data()), block.size()});
}

void Http2Session::on_block(Bytes block) {
  const std::int32_t id = std::exchange(block_stream_, 0);
  const std::size_t limit = context_.limits().header_bytes_max;
  HeaderBlock& headers = spare_block();
  switch (decoder_.decode(block, headers, kHeaderAbuse * limit)) {
    case HpackDecoder::Outcome::kBroken:
      return fail_protocol(ErrorCode::kCompressionError);
    case HpackDecoder::Outcome::kTooLarge:
      context_.metrics.header_too_large.Increment();
      return fail(ErrorCode::kEnhanceYourCalm);
    case HpackDecoder::Outcome::kWhole:
      break;
  }
  switch (block_use_) {
    case BlockUse::kIgnore:
      return;
    case BlockUse::kRefuse:
      return refuse(id, ErrorCode::kRefusedStream);
    case BlockUse::kTrailers:
      if (Http2Stream* stream = find(id)) on_trailers(*stream, headers);
      return;
    case BlockUse::kRequest:
      if (goaway_sent_) return;  // while the block came
      break;
  }
  headers.too_large = headers.bytes() > limit;
  const http2::RequestRules rules = http2::check_request(headers);
  if (!rules.well_formed || (block_ends_stream_ && rules.content_length > 0))
    return refuse(id, ErrorCode::kProtocolError);
  dispatch(id, headers, block_ends_stream_, rules.content_length);
}

void Http2Session::on_trailers(Http2Stream& stream, const HeaderBlock& trailers) {
  if (!http2::well_formed_trailers(trailers)) return reset(stream, ErrorCode::kProtocolError);
  end_of_request(stream);
}

// --- the others --------------------------------------------------------------------------------

void Http2Session::on_priority(const FrameHead& head, Bytes payload) {
  if (head.stream == 0) return fail_protocol();
  if (payload.size() != http2::kPriorityBytes) return fail_protocol(ErrorCode::kFrameSizeError);
  // RFC 9113 §5.3.2 does away with what it would say otherwise.
  const std::uint32_t depends_on = read32(payload.data()) & kNumberMask;
  if (depends_on == static_cast<std::uint32_t>(head.stream)) fail_protocol();
}

void Http2Session::on_reset(const FrameHead& head, Bytes payload) {
  if (head.stream % 2 == 0 || head.stream > closed_.last()) return fail_protocol();
  if (payload.size() != 4) return fail_protocol(ErrorCode::kFrameSizeError);
  if (!count_reset()) return flooded("resets");
  if (Http2Stream* stream = find(head.stream)) close(*stream);
}

void Http2Session::on_settings(const FrameHead& head, Bytes payload) {
  if (head.stream != 0) return fail_protocol();
  if (head.has(http2::kAck)) {
    if (!payload.empty()) return fail_protocol(ErrorCode::kFrameSizeError);
    return decoder_.acknowledged();
  }
  if (payload.size() % http2::kSettingBytes != 0) return fail_protocol(ErrorCode::kFrameSizeError);
  if (payload.size() > kSettingsMax * http2::kSettingBytes) return flooded("settings");
  if (!apply(payload)) return;
  settled_ = true;
  const auto answer = http2::head_bytes({.type = FrameType::kSettings, .flags = http2::kAck});
  put(answer.data(), answer.size());
  flush_soon();
}

bool Http2Session::apply(Bytes settings) {
  for (; !settings.empty(); settings = settings.subspan(http2::kSettingBytes)) {
    const auto setting = static_cast<http2::Setting>(settings[0] << 8U | settings[1]);
    const ErrorCode error = apply(setting, read32(settings.data() + 2));
    if (error == ErrorCode::kNoError) continue;
    fail_protocol(error);
    return false;
  }
  return true;
}

ErrorCode Http2Session::apply(http2::Setting setting, std::uint32_t value) {
  using http2::Setting;
  switch (setting) {
    case Setting::kHeaderTableSize:
      encoder_.limit(value);
      return ErrorCode::kNoError;
    case Setting::kEnablePush:
      return value <= 1 ? ErrorCode::kNoError : ErrorCode::kProtocolError;
    case Setting::kInitialWindowSize:
      return change_first_window(value);
    case Setting::kMaxFrameSize: {
      const bool allowed = value >= http2::kPayloadMax && value <= kFrameSizeMax;
      return allowed ? ErrorCode::kNoError : ErrorCode::kProtocolError;
    }
    default:
      return ErrorCode::kNoError;
  }
}

ErrorCode Http2Session::change_first_window(std::uint32_t window) {
  if (window > kNumberMask) return ErrorCode::kFlowControlError;
  const std::int64_t more = static_cast<std::int64_t>(window) - first_window_;
  first_window_ = static_cast<std::int32_t>(window);
  for (const OpenStream& open : streams_) {
    const std::int64_t changed = open.stream->send_window_ + more;
    if (changed > http2::kWindowMax) return ErrorCode::kFlowControlError;
    open.stream->send_window_ = static_cast<std::int32_t>(changed);
  }
  if (more > 0) feed_starved();
  return ErrorCode::kNoError;
}

void Http2Session::on_ping(const FrameHead& head, Bytes payload) {
  if (head.stream != 0) return fail_protocol();
  if (payload.size() != http2::kPingBytes) return fail_protocol(ErrorCode::kFrameSizeError);
  if (head.has(http2::kAck)) return;
  flush_soon();
  if (!std::exchange(ping_waits_, true)) {
    std::ranges::copy(payload, ping_.begin());
    return;
  }
  if (++pings_queued_ > kPingsQueuedMax) return flooded("acknowledgements");
  put_ping(payload, http2::kAck);
}

void Http2Session::on_goaway(const FrameHead& head, Bytes payload) {
  if (head.stream != 0) return fail_protocol();
  if (payload.size() < kGoawayBytes) return fail_protocol(ErrorCode::kFrameSizeError);
  goaway_received_ = true;
  flush_soon();
}

void Http2Session::on_window_update(const FrameHead& head, Bytes payload) {
  if (payload.size() != 4) return fail_protocol(ErrorCode::kFrameSizeError);
  const auto more = static_cast<std::int32_t>(read32(payload.data()) & kNumberMask);
  if (head.stream == 0) {
    if (more == 0) return fail_protocol();
    if (send_window_ > http2::kWindowMax - more) return fail_protocol(ErrorCode::kFlowControlError);
    const bool was_empty = send_window_ == 0;
    send_window_ += more;
    if (was_empty) feed_starved();
    return;
  }
  if (head.stream % 2 == 0 || head.stream > closed_.last()) return fail_protocol();
  Http2Stream* const stream = find(head.stream);
  if (stream == nullptr || stream->local_ended_) return;
  if (more == 0) return reset(*stream, ErrorCode::kProtocolError);
  if (stream->send_window_ > http2::kWindowMax - more)
    return reset(*stream, ErrorCode::kFlowControlError);
  stream->send_window_ += more;
  if (stream->starved_) queue(*stream);
}

}  // namespace nb::net
