// Http2Session between frames and streams: what nghttp2 reports, and what streams ask for.
#include "base/assert.h"
#include "net/grpc_stream.h"
#include "net/grpc_wire.h"
#include "net/http2_callbacks.h"
#include "net/http2_request.h"
#include "net/http2_session.h"

#include <memory>
#include <utility>

namespace nb::net {

namespace {
/// A header block this many times over the limit is not read to its end.
constexpr std::size_t kHeaderAbuse = 4;
constexpr std::size_t kHeldMessages = 4;

std::unique_ptr<HeaderBlock>& spare_block() {
  thread_local std::unique_ptr<HeaderBlock> spare;
  return spare;
}

std::unique_ptr<HeaderBlock> take_block() {
  auto block = std::move(spare_block());
  if (!block) block = std::make_unique<HeaderBlock>();
  block->clear();
  return block;
}

void give_block(std::unique_ptr<HeaderBlock> block) {
  spare_block() = std::move(block);
}
}  // namespace

// --- streams -----------------------------------------------------------------------------------

void Http2Session::link(Http2Stream& stream) {
  stream.next_ = streams_;
  if (streams_ != nullptr) streams_->previous_ = &stream;
  streams_ = &stream;
  ++stream_count_;
}

void Http2Session::unlink(Http2Stream& stream) {
  if (stream.previous_ != nullptr) stream.previous_->next_ = stream.next_;
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  if (streams_ == &stream) streams_ = stream.next_;
  if (reading_ == &stream) reading_ = nullptr;
  for (Http2Stream** at = &waiting_; stream.waits_ && *at != nullptr; at = &(*at)->next_waiting_) {
    if (*at != &stream) continue;
    *at = stream.next_waiting_;
    break;
  }
  --stream_count_;
}

void Http2Session::dispatch(std::int32_t id, const HeaderBlock& headers, bool ended) {
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
  Http2Stream* const stream = made.release();  // owned by nghttp2's stream until on_stream_close()
  nghttp2_session_set_stream_user_data(session_, id, stream);
  link(*stream);
  stream->remote_ended_ = ended;
  if (call != nullptr) {
    call->start(headers);
  } else {
    static_cast<Http2Request*>(stream)->start(headers);
  }
  if (ended) stream->on_half_close();
}

void Http2Session::respond(Http2Stream& stream, std::span<const nghttp2_nv> headers, bool body) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Http2Callbacks::read;
  const int code = nghttp2_submit_response(session_, stream.id_, headers.data(), headers.size(),
                                           body ? &provider : nullptr);
  if (code != 0) reset(stream, NGHTTP2_INTERNAL_ERROR);
  flush_soon();
}

void Http2Session::trailers(Http2Stream& stream, std::span<const nghttp2_nv> headers) {
  if (nghttp2_submit_trailer(session_, stream.id_, headers.data(), headers.size()) != 0) {
    reset(stream, NGHTTP2_INTERNAL_ERROR);
  }
}

/// Only noted here: whoever writes to many streams does not wait for the memory of each session,
/// which the loop fetches ahead of produce().
void Http2Session::resume(Http2Stream& stream) {
  if (stream.deferred_) wait_for_produce(stream);
  flush_soon();
}

void Http2Session::wait_for_produce(Http2Stream& stream) {
  if (std::exchange(stream.waits_, true)) return;
  stream.next_waiting_ = waiting_;
  waiting_ = &stream;
}

void Http2Session::resume_waiting() {
  for (Http2Stream* stream = std::exchange(waiting_, nullptr); stream != nullptr;) {
    Http2Stream* const next = std::exchange(stream->next_waiting_, nullptr);
    stream->waits_ = false;
    if (std::exchange(stream->deferred_, false)) nghttp2_session_resume_data(session_, stream->id_);
    stream = next;
  }
}

void Http2Session::reset(Http2Stream& stream, std::uint32_t error) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, error);
  flush_soon();
}

bool Http2Session::over_held_limit() const {
  return held_ > kHeldMessages * context_.limits().message_bytes_max;
}

void Http2Session::release_window(Http2Stream& stream) {
  if (stream.unconsumed_ == 0 || stream.congested()) return;
  nghttp2_session_consume_stream(session_, stream.id_, std::exchange(stream.unconsumed_, 0));
  flush_soon();
}

void Http2Session::end_of_request(Http2Stream& stream) {
  if (stream.remote_ended_) return;
  stream.remote_ended_ = true;
  stream.on_half_close();
}

// --- what nghttp2 reports ----------------------------------------------------------------------

void Http2Session::on_begin_frame(const nghttp2_frame_hd& header) {
  if (header.type != NGHTTP2_HEADERS) return;
  fail_on(history_.headers(header.stream_id, session_));
}

int Http2Session::on_begin_headers(const nghttp2_frame& frame) {
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  headers_ = take_block();
  headers_began_ = context_.loop.now();
  return 0;
}

int Http2Session::on_header(const nghttp2_frame& frame, std::string_view name,
                            std::string_view value) {
  if (!headers_ || frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  const std::size_t limit = context_.limits().header_bytes_max;
  headers_->add(name, value);
  if (headers_->bytes() <= limit) return 0;
  headers_->too_large = true;
  if (headers_->bytes() <= kHeaderAbuse * limit) return 0;
  context_.metrics.header_too_large.Increment();
  fail(NGHTTP2_ENHANCE_YOUR_CALM);
  return 0;
}

int Http2Session::on_frame(const nghttp2_frame& frame) {
  const bool ended = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
        if (!headers_) return 0;
        auto headers = std::move(headers_);
        dispatch(frame.hd.stream_id, *headers, ended);
        give_block(std::move(headers));
      } else if (Http2Stream* stream = find(frame.hd.stream_id); stream != nullptr && ended) {
        end_of_request(*stream);
      }
      return 0;
    case NGHTTP2_DATA:
      if (Http2Stream* stream = find(frame.hd.stream_id); stream != nullptr && ended) {
        end_of_request(*stream);
      }
      // RFC 9113 §10.5: empty frames that end nothing only cost.
      if (frame.hd.length == 0 && !ended && !count_control()) flooded("empty DATA frames");
      return 0;
    case NGHTTP2_RST_STREAM:
      if (!flood_.reset(context_.loop.now(), context_.limits().resets_max)) flooded("resets");
      return 0;
    case NGHTTP2_SETTINGS:
      settled_ = true;
      [[fallthrough]];
    default:
      if (!giving_window_ && !count_control()) flooded("control frames");
      return 0;
  }
}

int Http2Session::on_data(std::int32_t id, std::span<const std::uint8_t> bytes) {
  nghttp2_session_consume_connection(session_, bytes.size());
  flood_.data_frame();
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return 0;
  stream->on_data(bytes);
  stream->unconsumed_ += static_cast<std::uint32_t>(bytes.size());
  release_window(*stream);
  return 0;
}

void Http2Session::on_stream_close(std::int32_t id) {
  Http2Stream* const stream = find(id);
  if (stream == nullptr) return;
  nghttp2_session_set_stream_user_data(session_, id, nullptr);
  unlink(*stream);
  stream->on_closed();
  delete stream;
  if (stream_count_ == 0 && state_ == State::kDraining) carrier_.wake_at(context_.loop.now());
}

void Http2Session::on_sent(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_RST_STREAM) return history_.reset_by_us(frame.hd.stream_id);
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
  // RFC 9113 §8.1: the answer is complete; the rest of the request is not needed.
  Http2Stream* const stream = find(frame.hd.stream_id);
  if (stream != nullptr && !stream->remote_ended_) reset(*stream, NGHTTP2_NO_ERROR);
}

ssize_t Http2Session::on_read(Http2Stream& stream, std::size_t length, std::uint32_t* flags) {
  if (out_->full()) {
    output_full_ = true;
    wait_for_produce(stream);
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const Http2Stream::Offer offer = stream.offer(length);
  if (offer.bytes == 0 && !offer.end) {
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (offer.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (offer.trailers) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  return static_cast<ssize_t>(offer.bytes);
}

void Http2Session::on_send_data(Http2Stream& stream, const std::uint8_t* frame_header,
                                std::size_t length) {
  out_->append(frame_header, StreamHistory::kFrameHeaderBytes);
  stream.take(*out_, length);
  data_sent_ = true;
  flood_.data_frame();
  if (stream.unconsumed_ > 0) note_writable(stream);
}

void Http2Session::note_writable(Http2Stream& stream) {
  if (writable_.empty() || writable_.back() != stream.id_) writable_.push_back(stream.id_);
}

}  // namespace nb::net
