#include "net/http2_session.h"

#include "base/assert.h"
#include "net/grpc_stream.h"
#include "net/grpc_wire.h"
#include "net/http2_request.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

namespace nb::net {

namespace {
constexpr auto kCountWindow = std::chrono::seconds(10);
/// Our table of header compression: three fields of ours fit. Each entry costs some 170 bytes in
/// memory. The peer's is the matter of HeaderTableLimit.
constexpr std::size_t kResponseTableBytes = 256;
/// A header block this many times over the limit is not read to its end.
constexpr std::size_t kHeaderAbuse = 4;
constexpr std::size_t kHeldMessages = 4;

/// Control frames that one DATA frame of either side justifies: Go clients answer each with a PING,
/// and with a WINDOW_UPDATE or two (contract/signal-relay-ops.md §1.4).
constexpr std::int32_t kControlPerData = 4;

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

float jitter() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<float>(0.9F, 1.1F)(random);
}

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

/// Of nghttp2 1.52's session object. Only asked of the cache, so that a guess does no harm.
constexpr std::size_t kLibrarySessionBytes = 2936;

struct OptionDeleter {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};
struct CallbacksDeleter {
  void operator()(nghttp2_session_callbacks* callbacks) const {
    nghttp2_session_callbacks_del(callbacks);
  }
};
}  // namespace

/// nghttp2 calls back through C functions; each finds its session and goes on there.
struct Http2Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return self(user).on_begin_headers(*frame);
  }
  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* user) {
    self(user).on_begin_frame(*header);
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user) {
    return self(user).on_header(*frame, text(name, name_size), text(value, value_size));
  }
  static int frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return self(user).on_frame(*frame);
  }
  static int data_chunk(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                        std::size_t size, void* user) {
    return self(user).on_data(id, {data, size});
  }
  static int stream_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    self(user).on_stream_close(id);
    return 0;
  }
  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    self(user).on_sent(*frame);
    return 0;
  }
  static ssize_t read(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length,
                      std::uint32_t* flags, nghttp2_data_source* source, void* user) {
    return self(user).on_read(*static_cast<Http2Stream*>(source->ptr), length, flags);
  }
  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_header,
                       std::size_t length, nghttp2_data_source* source, void* user) {
    self(user).on_send_data(*static_cast<Http2Stream*>(source->ptr), frame_header, length);
    return 0;
  }

  static const nghttp2_session_callbacks& table() {
    static const std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter> callbacks = [] {
      nghttp2_session_callbacks* made = nullptr;
      NB_ASSERT(nghttp2_session_callbacks_new(&made) == 0);
      nghttp2_session_callbacks_set_on_begin_headers_callback(made, begin_headers);
      nghttp2_session_callbacks_set_on_begin_frame_callback(made, begin_frame);
      nghttp2_session_callbacks_set_on_header_callback(made, header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(made, frame_recv);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, data_chunk);
      nghttp2_session_callbacks_set_on_stream_close_callback(made, stream_close);
      nghttp2_session_callbacks_set_on_frame_send_callback(made, frame_sent);
      nghttp2_session_callbacks_set_send_data_callback(made, send_data);
      return std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter>(made);
    }();
    return *callbacks;
  }

  static const nghttp2_option& options() {
    static const std::unique_ptr<nghttp2_option, OptionDeleter> option = [] {
      nghttp2_option* made = nullptr;
      NB_ASSERT(nghttp2_option_new(&made) == 0);
      // Windows are given back by hand, so that a congested stream holds its peer back.
      nghttp2_option_set_no_auto_window_update(made, 1);
      nghttp2_option_set_no_closed_streams(made, 1);
      nghttp2_option_set_max_deflate_dynamic_table_size(made, kResponseTableBytes);
      // Our own counter (resets_max) decides; nghttp2's stands behind it.
      nghttp2_option_set_stream_reset_rate_limit(made, 100'000, 10'000);
      return std::unique_ptr<nghttp2_option, OptionDeleter>(made);
    }();
    return *option;
  }
};

Http2Session::Http2Session(Carrier& carrier, ServerContext& context)
    : carrier_(carrier),
      context_(context),
      session_(
          context.http2_memory->create(Http2Callbacks::table(), Http2Callbacks::options(), this)),
      started_(context.loop.now()),
      received_(started_),
      headers_began_(started_),
      window_began_(started_),
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
  carrier_.want_flush();
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

bool Http2Session::upgrade(std::string_view settings_payload, HeaderBlock request,
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
  carrier_.want_flush();
  return true;
}

void Http2Session::prefetch() const {
  if (session_ != nullptr) prefetch_bytes(session_, kLibrarySessionBytes);
  if (waiting_ != nullptr) prefetch_bytes(waiting_, sizeof(GrpcStream));
}

void Http2Session::receive(std::span<const std::uint8_t> bytes) {
  if (dead_) return;
  fail_on(history_.walk(bytes, session_, table_limit_));
  received_ = context_.loop.now();
  ping_sent_ = Instant{};
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
  if (headers_) carrier_.wake_at(headers_began_ + context_.limits().header_timeout);
  if (nghttp2_session_want_write(session_) != 0 || nghttp2_session_want_read(session_) == 0) {
    carrier_.want_flush();
  }
}

void Http2Session::produce(OutputBuffer& out) {
  if (dead_) return;
  {
    // Other sessions share the packing buffer: this loop must end with an empty one.
    const Http2Memory::Exclusive exclusive(*context_.http2_memory);
    out_ = &out;
    output_full_ = false;
    ++turn_;
    resume_waiting();
    for (;;) {
      const std::uint8_t* data = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size < 0) dead_ = true;
      if (size <= 0) break;
      const std::span frame(data, static_cast<std::size_t>(size));
      if (greeted_) {
        out.append(frame.data(), frame.size());
      } else {
        greet(out, frame);
      }
    }
    out_ = nullptr;
  }
  for (const std::int32_t id : std::exchange(writable_, {})) {
    if (Http2Stream* stream = find(id)) {
      release_window(*stream);
      stream->on_writable();
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

bool Http2Session::finished() const {
  return dead_ ||
         (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

// --- streams -----------------------------------------------------------------------------------

Http2Stream* Http2Session::find(std::int32_t id) const {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

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
  carrier_.want_flush();
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
  carrier_.want_flush();
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
  carrier_.want_flush();
}

bool Http2Session::over_held_limit() const {
  return held_ > kHeldMessages * context_.limits().message_bytes_max;
}

void Http2Session::release_window(Http2Stream& stream) {
  if (stream.unconsumed_ == 0 || stream.congested()) return;
  nghttp2_session_consume_stream(session_, stream.id_, std::exchange(stream.unconsumed_, 0));
  carrier_.want_flush();
}

void Http2Session::end_of_request(Http2Stream& stream) {
  if (stream.remote_ended_) return;
  stream.remote_ended_ = true;
  stream.on_half_close();
}

// --- callbacks of nghttp2 ----------------------------------------------------------------------

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
      count_control();
      if (++resets_ > context_.limits().resets_max) flooded("resets");
      return 0;
    case NGHTTP2_SETTINGS:
      settled_ = true;
      [[fallthrough]];
    default:
      if (!count_control()) flooded("control frames");
      return 0;
  }
}

int Http2Session::on_data(std::int32_t id, std::span<const std::uint8_t> bytes) {
  nghttp2_session_consume_connection(session_, bytes.size());
  justify_control();
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
  justify_control();
  if (stream.unconsumed_ > 0) note_writable(stream);
}

void Http2Session::note_writable(Http2Stream& stream) {
  if (writable_.empty() || writable_.back() != stream.id_) writable_.push_back(stream.id_);
}

// --- limits and life ---------------------------------------------------------------------------

void Http2Session::justify_control() {
  constexpr std::int32_t kCreditMax = 1'000'000;
  if (control_ > -kCreditMax) control_ -= kControlPerData;
}

/// False: more control frames than any honest client sends.
bool Http2Session::count_control() {
  const Instant now = context_.loop.now();
  if (now - window_began_ > kCountWindow) {
    window_began_ = now;
    resets_ = 0;
    control_ = std::min(control_, 0) / 2;
  }
  ++control_;
  return control_ <= static_cast<std::int32_t>(context_.limits().control_frames_max);
}

void Http2Session::flooded(std::string_view what) {
  context_.metrics.closed_flood.Increment();
  context_.log.debug("connection ended: flood", {log::f("what", what)});
  fail(NGHTTP2_ENHANCE_YOUR_CALM);
}

void Http2Session::fail(std::uint32_t error) {
  if (nghttp2_session_terminate_session(session_, error) != 0) dead_ = true;
  state_ = State::kGone;
  carrier_.want_flush();
}

void Http2Session::fail_on(std::uint32_t error) {
  if (error != NGHTTP2_NO_ERROR) fail(error);
}

void Http2Session::drain() {
  if (state_ != State::kOpen) return;
  state_ = State::kDraining;
  draining_since_ = context_.loop.now();
  // RFC 9113 §6.8: first a GOAWAY that refuses nothing, then, when what is on its way has arrived,
  // the one that counts.
  nghttp2_submit_shutdown_notice(session_);
  carrier_.wake_at(draining_since_ + std::chrono::milliseconds(200));
  carrier_.want_flush();
}

void Http2Session::shut() {
  if (state_ == State::kGone) return;
  state_ = State::kGone;
  for (Http2Stream* stream = streams_; stream != nullptr;) {
    Http2Stream* const next = stream->next_;
    stream->on_shut();
    stream = next;
  }
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  carrier_.want_flush();
}

std::chrono::milliseconds Http2Session::age_limit() const {
  const auto age = static_cast<float>(context_.limits().age_max.count()) * age_jitter_;
  return std::chrono::milliseconds(static_cast<std::int64_t>(age));
}

Instant Http2Session::on_timer(Instant now) {
  const ServerLimits& limits = context_.limits();
  Instant next =
      now + (limits.keepalive_time.count() > 0 ? limits.keepalive_time : limits.idle_timeout);
  const auto ask_again = [&](Instant at) { next = std::min(next, std::max(at, now)); };
  const auto expired = [&](Instant since, std::chrono::milliseconds limit) {
    if (now >= since + limit) return true;
    ask_again(since + limit);
    return false;
  };

  if ((!settled_ && expired(started_, limits.header_timeout)) ||
      (headers_ && expired(headers_began_, limits.header_timeout))) {
    context_.metrics.closed_slow.Increment();
    fail(NGHTTP2_ENHANCE_YOUR_CALM);
    return next;
  }
  if (stream_count_ == 0) {
    if (expired(received_, limits.idle_timeout)) {
      context_.metrics.closed_idle.Increment();
      fail(NGHTTP2_NO_ERROR);
      return next;
    }
  } else if (limits.keepalive_time.count() > 0) {
    if (ping_sent_ != Instant{}) {
      if (expired(ping_sent_, limits.keepalive_timeout)) {
        context_.metrics.closed_dead.Increment();
        dead_ = true;
        carrier_.want_flush();
        return next;
      }
    } else if (expired(received_, limits.keepalive_time)) {
      nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
      ping_sent_ = now;
      carrier_.want_flush();
      ask_again(now + limits.keepalive_timeout);
    }
  }
  if (limits.age_max.count() > 0 && state_ == State::kOpen) {
    if (expired(started_, age_limit())) {
      context_.metrics.closed_age.Increment();
      drain();
    }
  }
  if (state_ == State::kDraining) {
    if (!final_goaway_ && expired(draining_since_, std::chrono::milliseconds(200))) {
      final_goaway_ = true;
      nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                            nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                            nullptr, 0);
      carrier_.want_flush();
    }
    if (final_goaway_ && stream_count_ == 0) fail(NGHTTP2_NO_ERROR);
    if (!context_.draining && expired(draining_since_, limits.age_grace)) shut();
  }
  return next;
}

}  // namespace nb::net
