// Http2Session: its streams, and what is sent.
#include "net/grpc_stream.h"
#include "net/grpc_wire.h"
#include "net/http2_request.h"
#include "net/http2_session.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace nb::net {

using http2::ErrorCode;
using http2::FrameType;

namespace {
constexpr std::size_t kHeldMessages = 4;
/// Of frames that are no DATA, for a peer that asks and asks and does not read.
constexpr std::size_t kControlMax = 1024 * 1024;
}  // namespace

// --- streams -----------------------------------------------------------------------------------

void Http2Session::dispatch(std::int32_t id, const HeaderBlock& headers, bool ended,
                            std::int64_t content_length) {
  const std::string_view type = headers.find("content-type");
  const bool grpc = headers.find(":method") == "POST" && grpc_wire::is_grpc_content_type(type);
  std::unique_ptr<Http2Stream> made;
  GrpcStream* call = nullptr;
  if (grpc) {
    auto stream = std::make_unique<GrpcStream>(*this, id);
    call = stream.get();
    made = std::move(stream);
  } else {
    made = std::make_unique<Http2Request>(*this, id);
  }
  streams_.push_back({id, made.get()});
  Http2Stream* const stream = made.release();  // owned by streams_ until close()
  processed_ = id;
  stream->send_window_ = first_window_;
  stream->content_left_ = content_length;
  stream->remote_ended_ = ended;
  if (call != nullptr) {
    call->start(headers);
  } else {
    static_cast<Http2Request*>(stream)->start(headers);
  }
  if (ended && !stream->local_ended_) stream->on_half_close();
}

Http2Stream* Http2Session::find(std::int32_t id) const {
  if (streams_.empty() || streams_.back().id < id) return nullptr;
  if (streams_.back().id == id) return streams_.back().stream;
  const auto at = std::ranges::lower_bound(streams_, id, {}, &OpenStream::id);
  return at->id == id ? at->stream : nullptr;
}

/// The stream goes away at the end of produce(), when nobody uses it any more and its answer is on
/// its way: until then it counts as one of those that the peer may have.
void Http2Session::end_stream(Http2Stream& stream) {
  ready_.remove(stream);
  stream.local_ended_ = true;
  ended_.push(stream);
}

void Http2Session::end_response(Http2Stream& stream) {
  // RFC 9113 §8.1: the answer is complete; the rest of the request is not needed.
  if (!stream.remote_ended_) put_reset(stream.id_, ErrorCode::kNoError);
  end_stream(stream);
}

void Http2Session::reset(Http2Stream& stream, ErrorCode error) {
  if (stream.local_ended_) return;
  end_stream(stream);
  refuse(stream.id_, error);
}

void Http2Session::refuse(std::int32_t id, ErrorCode error) {
  put_reset(id, error);
  flush_soon();
  // What makes us reset streams costs as much as the peer's own resets.
  if (!count_reset()) flooded("resets");
}

void Http2Session::close(Http2Stream& stream) {
  (stream.local_ended_ ? ended_ : ready_).remove(stream);
  if (reading_ == &stream) reading_ = nullptr;
  const auto at = std::ranges::lower_bound(streams_, stream.id_, {}, &OpenStream::id);
  streams_.erase(at);
  stream.on_closed();
  delete &stream;
  if (!streams_.empty()) return;
  if (state_ == State::kDraining) carrier_.wake_at(context_.loop.now());
  if (goaway_sent_ || goaway_received_) flush_soon();
}

void Http2Session::close_ended() {
  while (Http2Stream* stream = ended_.front()) close(*stream);
}

void Http2Session::end_all_streams() {
  while (!streams_.empty()) {
    Http2Stream* const stream = streams_.back().stream;
    streams_.pop_back();
    (stream->local_ended_ ? ended_ : ready_).remove(*stream);
    stream->on_closed();
    delete stream;
  }
}

bool Http2Session::over_held_limit() const {
  return held_ > kHeldMessages * context_.limits().message_bytes_max;
}

// --- what streams ask for ----------------------------------------------------------------------

void Http2Session::respond(Http2Stream& stream, std::span<const HeaderField> headers, bool body) {
  if (stream.local_ended_ || stream.has_body_) return;
  put_headers(stream.id_, headers, !body);
  if (body) {
    stream.has_body_ = true;
    ready_.push(stream);
  } else {
    end_response(stream);
  }
  flush_soon();
}

void Http2Session::trailers(Http2Stream& stream, std::span<const HeaderField> headers) {
  put_headers(stream.id_, headers, true);
}

/// Only noted here: whoever writes to many streams does not wait for the memory of each, which the
/// loop fetches ahead of produce().
void Http2Session::resume(Http2Stream& stream) {
  if (stream.has_body_ && !stream.local_ended_) queue(stream);
}

void Http2Session::queue(Http2Stream& stream) {
  stream.starved_ = false;
  ready_.push(stream);
  flush_soon();
}

void Http2Session::feed_starved() {
  for (const OpenStream& open : streams_)
    if (open.stream->starved_) queue(*open.stream);
}

void Http2Session::note_writable(Http2Stream& stream) {
  if (writable_.empty() || writable_.back() != stream.id_) writable_.push_back(stream.id_);
}

// --- bytes out ---------------------------------------------------------------------------------

void Http2Session::produce(OutputBuffer& out) {
  if (dead_) return;
  ++turn_;
  out_ = &out;
  output_full_ = false;
  if (!std::exchange(greeted_, true)) greet();
  if (std::exchange(ping_waits_, false)) put_ping(ping_, http2::kAck);
  pings_queued_ = 0;
  if (!control_.empty()) {
    out.append(control_);
    static const std::size_t kInPlace = std::string().capacity();
    control_.clear();
    if (control_.capacity() > kInPlace) std::string().swap(control_);
  }
  if (!failed_) put_bodies(out);
  out_ = nullptr;
  for (const std::int32_t id : std::exchange(writable_, {})) {
    Http2Stream* const stream = find(id);
    if (stream == nullptr || stream->local_ended_) continue;
    release_window(*stream);
    stream->on_writable();
  }
  close_ended();
  const bool going = goaway_sent_ || goaway_received_;
  over_ = failed_ || (going && streams_.empty() && control_.empty());
}

/// RFC 9113 §3.4: before anything else.
void Http2Session::greet() {
  using http2::Setting;
  std::string payload;
  const auto add = [&](Setting setting, std::size_t value) {
    std::array<std::uint8_t, http2::kSettingBytes> entry{
        0, static_cast<std::uint8_t>(setting)};  // ours are all below 256
    http2::write32(entry.data() + 2, static_cast<std::uint32_t>(value));
    payload.append(entry.begin(), entry.end());
  };
  const ServerLimits& limits = context_.limits();
  add(Setting::kMaxConcurrentStreams, limits.streams_per_connection_max);
  add(Setting::kMaxHeaderListSize, limits.header_bytes_max);
  if (decoder_.limit() < hpack::kDefaultTable) add(Setting::kHeaderTableSize, decoder_.limit());
  const auto head = http2::head_bytes(
      {.length = static_cast<std::uint32_t>(payload.size()), .type = FrameType::kSettings});
  put(head.data(), head.size());
  put(payload.data(), payload.size());
}

void Http2Session::put_bodies(OutputBuffer& out) {
  while (Http2Stream* stream = ready_.front()) {
    if (out.full()) {
      output_full_ = true;
      return;
    }
    const std::int32_t window = std::min(send_window_, stream->send_window_);
    const std::size_t limit =
        window <= 0 ? 0 : std::min(static_cast<std::size_t>(window), http2::kPayloadMax);
    ready_.remove(*stream);
    const Http2Stream::Offer offer = stream->offer(limit);
    if (offer.bytes == 0 && !offer.end) {
      stream->starved_ = limit == 0;
      continue;
    }
    if (offer.bytes > 0 || !offer.trailers) put_data(out, *stream, offer);
    if (offer.end) {
      if (offer.trailers) stream->on_body_end();
      end_response(*stream);
    } else if (offer.bytes == limit) {
      ready_.push(*stream);  // perhaps more; the others first
    }
  }
}

void Http2Session::put_data(OutputBuffer& out, Http2Stream& stream,
                            const Http2Stream::Offer& offer) {
  const bool last = offer.end && !offer.trailers;
  const auto head = http2::head_bytes({.length = static_cast<std::uint32_t>(offer.bytes),
                                       .type = FrameType::kData,
                                       .flags = last ? http2::kEndStream : std::uint8_t{0},
                                       .stream = stream.id_});
  out.append(head.data(), head.size());
  if (offer.bytes > 0) stream.take(out, offer.bytes);
  send_window_ -= static_cast<std::int32_t>(offer.bytes);
  stream.send_window_ -= static_cast<std::int32_t>(offer.bytes);
  flood_.data_frame();
  if (stream.unconsumed_ > 0) note_writable(stream);
}

void Http2Session::put_headers(std::int32_t id, std::span<const HeaderField> headers, bool end) {
  thread_local std::string block;
  block.clear();
  encoder_.encode(headers, block);
  std::string_view rest = block;
  for (auto type = FrameType::kHeaders; type == FrameType::kHeaders || !rest.empty();
       type = FrameType::kContinuation) {
    const std::string_view part = rest.substr(0, http2::kPayloadMax);
    rest.remove_prefix(part.size());
    std::uint8_t flags = rest.empty() ? http2::kEndHeaders : 0;
    if (end && type == FrameType::kHeaders) flags |= http2::kEndStream;
    const auto head = http2::head_bytes({.length = static_cast<std::uint32_t>(part.size()),
                                         .type = type,
                                         .flags = flags,
                                         .stream = id});
    put(head.data(), head.size());
    put(part.data(), part.size());
  }
}

void Http2Session::put_ping(Bytes payload, std::uint8_t flags) {
  const auto head =
      http2::head_bytes({.length = http2::kPingBytes, .type = FrameType::kPing, .flags = flags});
  put(head.data(), head.size());
  put(payload.data(), payload.size());
}

/// Gives back what was consumed of a window.
void Http2Session::put_window_update(std::int32_t id, std::int32_t& window,
                                     std::uint32_t& consumed) {
  const auto frame = http2::number_frame(FrameType::kWindowUpdate, id, consumed);
  window += static_cast<std::int32_t>(std::exchange(consumed, 0));
  put(frame.data(), frame.size());
  flush_soon();
}

void Http2Session::put_reset(std::int32_t id, ErrorCode error) {
  closed_.reset_by_us(id);
  const auto frame =
      http2::number_frame(FrameType::kRstStream, id, static_cast<std::uint32_t>(error));
  put(frame.data(), frame.size());
}

void Http2Session::put_goaway(std::int32_t last, ErrorCode error) {
  std::array<std::uint8_t, http2::kHeadBytes + 8> frame{};
  http2::write_head(frame.data(), {.length = 8, .type = FrameType::kGoaway});
  http2::write32(frame.data() + http2::kHeadBytes, static_cast<std::uint32_t>(last));
  http2::write32(frame.data() + http2::kHeadBytes + 4, static_cast<std::uint32_t>(error));
  put(frame.data(), frame.size());
}

/// What comes from outside of produce() is sent before any DATA of the next one. Header blocks are
/// put in the order in which they are made, as HPACK wants it.
void Http2Session::put(const void* bytes, std::size_t size) {
  if (out_ != nullptr) return out_->append(bytes, size);
  control_.append(static_cast<const char*>(bytes), size);
  if (control_.size() <= kControlMax || std::exchange(dead_, true)) return;
  context_.metrics.closed_flood.Increment();
  flush_soon();
}

}  // namespace nb::net
