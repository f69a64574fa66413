#include "net/http2_session.h"

#include "base/assert.h"
#include "net/grpc_stream.h"
#include "net/http2_callbacks.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

namespace nb::net {

namespace {
float jitter() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<float>(0.9F, 1.1F)(random);
}

/// Of nghttp2 1.52's session object. Only asked of the cache, so that a guess does no harm.
constexpr std::size_t kLibrarySessionBytes = 2936;
}  // namespace

Http2Session::Http2Session(Carrier& carrier, ServerContext& context)
    : carrier_(carrier),
      context_(context),
      session_(
          context.http2_memory->create(Http2Callbacks::table(), Http2Callbacks::options(), this)),
      started_(context.loop.now()),
      received_(started_),
      headers_began_(started_),
      flood_(started_),
      table_limit_(context.limits().peer_table_bytes),
      age_jitter_(jitter()) {
  NB_ASSERT(session_ != nullptr);
  const ServerLimits& limits = context_.limits();
  const std::array<nghttp2_settings_entry, 2> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams_per_connection_max},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.header_bytes_max)},
  }};
  NB_ASSERT(
      nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  auto first_look = std::min(limits.header_timeout, limits.idle_timeout);
  if (limits.keepalive_time.count() > 0) first_look = std::min(first_look, limits.keepalive_time);
  if (limits.age_max.count() > 0) first_look = std::min(first_look, age_limit());
  carrier_.wake_at(started_ + first_look);
  flush_soon();
}

Http2Session::~Http2Session() {
  end_all_streams();
  nghttp2_session_del(session_);
}

void Http2Session::end_all_streams() {
  while (streams_ != nullptr) {
    Http2Stream* const stream = streams_;
    unlink(*stream);
    stream->on_closed();
    delete stream;
  }
}

bool Http2Session::upgrade(std::string_view settings_payload, const HeaderBlock& request,
                           std::string_view body) {
  const bool head = request.find(":method") == "HEAD";
  if (nghttp2_session_upgrade2(session_,
                               reinterpret_cast<const std::uint8_t*>(settings_payload.data()),
                               settings_payload.size(), head ? 1 : 0, nullptr) != 0) {
    return false;
  }
  dispatch(1, request, body.empty());
  if (!body.empty()) {
    if (Http2Stream* stream = find(1)) {
      stream->on_data({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
      end_of_request(*stream);
      stream->on_input_end();
      reading_ = nullptr;
    }
  }
  flush_soon();
  return true;
}

/// Go clients answer DATA with frames that nghttp2 never sees: then all of its memory stays out.
void Http2Session::prefetch() const {
  const bool control = control_frames_.ping_waits() || (data_sent_ && answers_with_control_);
  if (due_ || !control) prefetch_bytes(session_, kLibrarySessionBytes);
  if (waiting_ != nullptr) prefetch_bytes(waiting_, sizeof(GrpcStream));
}

void Http2Session::receive(std::span<const std::uint8_t> bytes) {
  if (dead_) return;
  received_ = context_.loop.now();
  ping_sent_ = Instant{};
  const bool answer = std::exchange(data_sent_, false);
  const auto rest = take_control(bytes);
  if (answer) answers_with_control_ = rest.empty();
  if (!rest.empty()) {
    if (control_frames_.window() > 0) give_window();
    fail_on(history_.walk(rest, session_, table_limit_));
    feed(rest);
    if (headers_) carrier_.wake_at(headers_began_ + context_.limits().header_timeout);
  }
  if (control_frames_.ping_waits()) carrier_.want_flush();
}

/// What is left for nghttp2 after the frames at the beginning that are no matter of its.
std::span<const std::uint8_t> Http2Session::take_control(std::span<const std::uint8_t> bytes) {
  if (!settled_ || !greeted_ || state_ == State::kGone || !history_.between_frames()) return bytes;
  while (const std::size_t size = control_frames_.take(bytes)) {
    bytes = bytes.subspan(size);
    if (!count_control()) {
      flooded("control frames");
      return bytes;
    }
  }
  if (control_frames_.window() > 0 && window_empty_) give_window();
  return bytes;
}

/// Only between two of the peer's frames; holds since nothing was fed since window() became
/// positive.
void Http2Session::give_window() {
  NB_ASSERT(history_.between_frames());
  giving_window_ = true;
  feed(control_frames_.window_update());
  giving_window_ = false;
  window_empty_ = false;
}

void Http2Session::feed(std::span<const std::uint8_t> bytes) {
  const ssize_t used = nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
  if (reading_ != nullptr) std::exchange(reading_, nullptr)->on_input_end();
  if (used < 0) {
    if (used == NGHTTP2_ERR_FLOODED) {
      flooded("acknowledgements");
    } else {
      context_.metrics.closed_protocol.Increment();
      fail(used == NGHTTP2_ERR_NOMEM ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_PROTOCOL_ERROR);
    }
  }
  if (nghttp2_session_want_write(session_) != 0 || nghttp2_session_want_read(session_) == 0) {
    flush_soon();
  }
}

void Http2Session::flush_soon() {
  due_ = true;
  carrier_.want_flush();
}

void Http2Session::produce(OutputBuffer& out) {
  if (dead_) return;
  ++turn_;
  if (control_frames_.ping_waits()) control_frames_.acknowledge(out);
  if (!due_) return;
  {
    // Other sessions share the packing buffer: pack() must end with an empty one.
    const Http2Memory::Exclusive exclusive(*context_.http2_memory);
    out_ = &out;
    output_full_ = false;
    resume_waiting();
    pack(out);
    if (control_frames_.window() > 0 && nghttp2_session_get_remote_window_size(session_) <= 0) {
      give_window();  // the bytes that wait for it may leave at once
      pack(out);
    }
    out_ = nullptr;
    due_ = output_full_;
    window_empty_ = nghttp2_session_get_remote_window_size(session_) <= 0;
    over_ = nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
  }
  for (const std::int32_t id : std::exchange(writable_, {})) {
    if (Http2Stream* stream = find(id)) {
      release_window(*stream);
      stream->on_writable();
    }
  }
}

void Http2Session::pack(OutputBuffer& out) {
  for (;;) {
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) dead_ = true;
    if (size <= 0) return;
    const std::span frame(data, static_cast<std::size_t>(size));
    if (greeted_) {
      out.append(frame.data(), frame.size());
    } else {
      greet(out, frame);
    }
  }
}

/// Our first SETTINGS frame, with the limit of the peer's table added behind nghttp2's back.
void Http2Session::greet(OutputBuffer& out, std::span<const std::uint8_t> settings) {
  constexpr std::size_t kLowByteOfLength = 2;  // RFC 9113 §4.1
  greeted_ = true;
  if (!table_limit_.announced()) return out.append(settings.data(), settings.size());
  const auto limit = table_limit_.setting();
  std::array<std::uint8_t, StreamHistory::kFrameHeaderBytes> head{};
  std::copy_n(settings.begin(), head.size(), head.begin());
  NB_ASSERT(head[3] == NGHTTP2_SETTINGS && head[kLowByteOfLength] <= 0xff - limit.size());
  head[kLowByteOfLength] = static_cast<std::uint8_t>(head[kLowByteOfLength] + limit.size());
  out.append(head.data(), head.size());
  const auto known = settings.subspan(head.size());
  out.append(known.data(), known.size());
  out.append(limit.data(), limit.size());
}

}  // namespace nb::net
