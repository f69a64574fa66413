// Http2Session: its making, and bytes into frames.
#include "net/http2_session.h"

#include "net/grpc_stream.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

namespace nb::net {

using http2::ErrorCode;
using http2::FrameHead;
using http2::FrameType;
using http2::kHeadBytes;

namespace {
float jitter() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<float>(0.9F, 1.1F)(random);
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
}  // namespace

Http2Session::Http2Session(Carrier& carrier, ServerContext& context)
    : carrier_(carrier),
      context_(context),
      received_(context.loop.now()),
      flood_(received_),
      decoder_(context.limits().peer_table_bytes),
      started_(received_),
      half_received_since_(received_),
      age_jitter_(jitter()) {
  const ServerLimits& limits = context_.limits();
  auto first_look = std::min(limits.header_timeout, limits.idle_timeout);
  if (limits.keepalive_time.count() > 0) first_look = std::min(first_look, limits.keepalive_time);
  if (limits.age_max.count() > 0) first_look = std::min(first_look, age_limit());
  carrier_.wake_at(started_ + first_look);
  flush_soon();
}

Http2Session::~Http2Session() {
  end_all_streams();
}

bool Http2Session::upgrade(std::string_view settings_payload, const HeaderBlock& request,
                           std::string_view body) {
  if (settings_payload.size() % http2::kSettingBytes != 0) return false;
  if (!apply(bytes_of(settings_payload))) return false;
  closed_.opened(1);
  dispatch(1, request, body.empty(), -1);
  if (!body.empty()) {
    if (Http2Stream* stream = find(1)) {
      stream->on_data(bytes_of(body));
      end_of_request(*stream);
      stream->on_input_end();
      reading_ = nullptr;
    }
  }
  flush_soon();
  return true;
}

void Http2Session::prefetch() const {
  if (ready_.front() != nullptr) prefetch_bytes(ready_.front(), sizeof(GrpcStream));
}

void Http2Session::receive(Bytes bytes) {
  if (dead_ || failed_) return;
  received_ = context_.loop.now();
  ping_sent_ = Instant{};
  while (!bytes.empty() && !failed_ && !dead_) bytes = bytes.subspan(take(bytes));
  if (reading_ != nullptr) std::exchange(reading_, nullptr)->on_input_end();
  if (half_received()) carrier_.wake_at(half_received_since_ + context_.limits().header_timeout);
}

std::size_t Http2Session::take(Bytes bytes) {
  if (preface_left_ > 0) return take_preface(bytes);
  if (in_data_) return take_data(bytes);
  if (!part_.empty() || bytes.size() < kHeadBytes) return take_part(bytes);
  const FrameHead head = http2::read_head(bytes.data());
  if (bytes.size() < kHeadBytes + head.length && head.type != FrameType::kData)
    return take_part(bytes);
  if (!accept(head)) return bytes.size();
  if (head.type == FrameType::kData) {
    begin_data(head);
    return kHeadBytes;
  }
  on_frame(head, bytes.subspan(kHeadBytes, head.length));
  return kHeadBytes + head.length;
}

std::size_t Http2Session::take_preface(Bytes bytes) {
  const std::string_view rest = http2::kPreface.substr(http2::kPreface.size() - preface_left_);
  const std::size_t part = std::min(rest.size(), bytes.size());
  if (std::memcmp(rest.data(), bytes.data(), part) != 0) {
    fail_protocol();
    return bytes.size();
  }
  preface_left_ = static_cast<std::uint8_t>(preface_left_ - part);
  return part;
}

/// A frame that comes in more than one read, but for DATA, whose bytes go on as they come.
std::size_t Http2Session::take_part(Bytes bytes) {
  if (!half_received()) half_received_since_ = received_;
  std::size_t used = 0;
  const auto grow_to = [&](std::size_t size) {
    const std::size_t part = std::min(size - part_.size(), bytes.size() - used);
    part_.append(reinterpret_cast<const char*>(bytes.data() + used), part);
    used += part;
    return part_.size() == size;
  };
  const auto head = [&] {
    return http2::read_head(reinterpret_cast<const std::uint8_t*>(part_.data()));
  };
  if (part_.size() < kHeadBytes) {
    if (!grow_to(kHeadBytes)) return used;
    const FrameHead begun = head();
    if (!accept(begun)) return bytes.size();
    if (begun.type == FrameType::kData) {
      std::string().swap(part_);
      begin_data(begun);
      return used;
    }
  }
  const FrameHead begun = head();
  if (!grow_to(kHeadBytes + begun.length)) return used;
  const std::string whole = std::exchange(part_, {});
  on_frame(begun, bytes_of(whole).subspan(kHeadBytes));
  return used;
}

/// Of every frame, as soon as its head is there.
bool Http2Session::accept(const FrameHead& head) {
  if (head.length > http2::kPayloadMax) {
    fail_protocol(ErrorCode::kFrameSizeError);
    return false;
  }
  const bool settings = head.type == FrameType::kSettings && !head.has(http2::kAck);
  const bool goes_on = head.type == FrameType::kContinuation && head.stream == block_stream_;
  if ((!settled_ && !settings) || (block_stream_ != 0 && !goes_on)) {
    fail_protocol();
    return false;
  }
  return true;
}

// --- DATA --------------------------------------------------------------------------------------

void Http2Session::begin_data(const FrameHead& head) {
  const auto length = static_cast<std::int32_t>(head.length);
  if (head.stream % 2 == 0 || head.stream > closed_.last()) return fail_protocol();
  if (length > receive_window_) return fail_protocol(ErrorCode::kFlowControlError);
  if (head.has(http2::kPadded) && length == 0) return fail_protocol(ErrorCode::kFrameSizeError);
  receive_window_ -= length;
  Http2Stream* const stream = find(head.stream);
  if (stream == nullptr) {
    const ErrorCode error = error_for(head.stream);
    if (error != ErrorCode::kNoError) return fail_protocol(error);
  } else if (stream->remote_ended_) {
    reset(*stream, ErrorCode::kStreamClosed);
  } else if (length > stream->receive_window_) {
    reset(*stream, ErrorCode::kFlowControlError);
  } else {
    stream->receive_window_ -= length;
  }
  data_stream_ = head.stream;
  data_left_ = head.length;
  data_ends_stream_ = head.has(http2::kEndStream);
  padding_left_ = 0;
  padding_unknown_ = head.has(http2::kPadded);
  in_data_ = true;
  if (!padding_unknown_) count_data(stream, data_left_);
  if (length == 0 && !failed_) end_data();
}

/// A DATA frame with this much of a body. RFC 9113 §10.5: what neither brings nor ends anything
/// only costs.
void Http2Session::count_data(const Http2Stream* stream, std::uint32_t bytes) {
  const bool wanted = stream != nullptr && !stream->local_ended_;
  if (wanted && bytes > 0) return flood_.data_frame();
  if (!(wanted && data_ends_stream_) && !count_control()) flooded("empty DATA frames");
}

std::size_t Http2Session::take_data(Bytes bytes) {
  Http2Stream* const stream = find(data_stream_);
  std::size_t used = 0;
  if (std::exchange(padding_unknown_, false)) {
    padding_left_ = bytes[used++];
    --data_left_;
    if (padding_left_ > data_left_) {
      fail_protocol();
      return bytes.size();
    }
    data_left_ -= padding_left_;
    count_data(stream, data_left_);
    if (failed_) return bytes.size();
  }
  const std::size_t body = std::min<std::size_t>(data_left_, bytes.size() - used);
  const std::size_t padding = std::min<std::size_t>(padding_left_, bytes.size() - used - body);
  const Bytes content = bytes.subspan(used, body);
  data_left_ -= static_cast<std::uint32_t>(body);
  padding_left_ = static_cast<std::uint8_t>(padding_left_ - padding);
  used += body + padding;
  consumed(used);
  if (stream != nullptr && !stream->local_ended_) {
    if (body > 0) on_body(*stream, content);
    stream->unconsumed_ += static_cast<std::uint32_t>(used);
    release_window(*stream);
  }
  if (data_left_ == 0 && padding_left_ == 0) end_data();
  return used;
}

void Http2Session::end_data() {
  in_data_ = false;
  if (!data_ends_stream_) return;
  if (Http2Stream* stream = find(data_stream_)) end_of_request(*stream);
}

void Http2Session::on_body(Http2Stream& stream, Bytes bytes) {
  if (stream.content_left_ >= 0) {
    stream.content_left_ -= static_cast<std::int64_t>(bytes.size());
    // RFC 9113 §8.1.1: the body is not as long as its content-length.
    if (stream.content_left_ < 0) return reset(stream, ErrorCode::kProtocolError);
  }
  stream.on_data(bytes);
}

void Http2Session::end_of_request(Http2Stream& stream) {
  if (stream.remote_ended_ || stream.local_ended_) return;
  if (stream.content_left_ > 0) return reset(stream, ErrorCode::kProtocolError);
  stream.remote_ended_ = true;
  stream.on_half_close();
}

/// The peer may send as much again.
void Http2Session::consumed(std::size_t bytes) {
  unconsumed_ += static_cast<std::uint32_t>(bytes);
  if (unconsumed_ >= http2::kFirstWindow / 2) put_window_update(0, receive_window_, unconsumed_);
}

void Http2Session::release_window(Http2Stream& stream) {
  if (stream.unconsumed_ < http2::kFirstWindow / 2 || stream.congested()) return;
  if (stream.remote_ended_ || stream.local_ended_) return;
  put_window_update(stream.id_, stream.receive_window_, stream.unconsumed_);
}

}  // namespace nb::net
