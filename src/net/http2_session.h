// Server side of one HTTP/2 connection. No sockets: bytes in, bytes out.
//
// Source   RFC 9113, RFC 7541 (hpack_decoder.h, hpack_encoder.h).
// Cost     One of thousands that are idle, and its memory is in no cache when a frame comes. So a
//          session is small, keeps no buffer between two calls unless a frame has come in part or
//          an answer waits, and the frames that Go clients answer DATA with (PING, WINDOW_UPDATE:
//          two of three reads of a signal server) touch nothing but the session itself.
// Parts    http2_session.cc (bytes in), http2_frames.cc (what frames mean), http2_output.cc (what
//          is sent, streams), http2_life.cc (time limits, GOAWAY).
#pragma once

#include "net/closed_streams.h"
#include "net/context.h"
#include "net/flood_count.h"
#include "net/hpack_decoder.h"
#include "net/hpack_encoder.h"
#include "net/http2_stream.h"
#include "net/http2_wire.h"
#include "net/session.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::net {

class Http2Session final : public Session {
 public:
  Http2Session(Carrier& carrier, ServerContext& context);
  ~Http2Session() override;
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  /// RFC 7540 §3.2: the request that asked for the upgrade becomes stream 1, complete.
  /// False: the settings are malformed.
  bool upgrade(std::string_view settings_payload, const HeaderBlock& request,
               std::string_view body);

  void prefetch() const override;
  void receive(std::span<const std::uint8_t> bytes) override;
  void produce(OutputBuffer& out) override;
  [[nodiscard]] bool finished() const override { return dead_ || over_; }
  [[nodiscard]] bool abandoned() const override { return dead_; }
  [[nodiscard]] bool has_more() const override { return output_full_; }
  void on_end_of_input() override { dead_ = true; }
  Instant on_timer(Instant now) override;
  void drain() override;
  void shut() override;

  // For streams.
  [[nodiscard]] ServerContext& context() { return context_; }
  [[nodiscard]] Carrier& carrier() { return carrier_; }
  /// HEADERS; with `body` the stream's offer() is asked for DATA, without it the stream ends.
  void respond(Http2Stream& stream, std::span<const HeaderField> headers, bool body);
  /// From on_body_end() only.
  void trailers(Http2Stream& stream, std::span<const HeaderField> headers);
  /// The stream has something to offer().
  void resume(Http2Stream& stream);
  /// Response bytes queued by all streams; the sum is what a slow reader may cost.
  void add_queued(std::ptrdiff_t bytes) {
    queued_ = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(queued_) + bytes);
  }
  [[nodiscard]] bool over_write_limit() const {
    return queued_ > context_.limits().write_buffer_bytes_max;
  }
  /// Bytes of unfinished requests.
  void add_held(std::ptrdiff_t bytes) {
    held_ = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(held_) + bytes);
  }
  [[nodiscard]] bool over_held_limit() const;
  /// Asks for on_input_end() before this receive() returns.
  void note_input(Http2Stream& stream) {
    if (reading_ != nullptr && reading_ != &stream) reading_->on_input_end();
    reading_ = &stream;
  }
  /// From take(): asks for on_writable() after this produce().
  void note_writable(Http2Stream& stream);
  /// Counts calls of produce(): what was queued two of them ago has waited for a slow reader.
  [[nodiscard]] std::uint32_t turn() const { return turn_; }

 private:
  enum class State : std::uint8_t { kOpen, kDraining, kGone };
  /// What is to become of a header block, which must be decoded in any case.
  enum class BlockUse : std::uint8_t { kRequest, kTrailers, kRefuse, kIgnore };
  using Bytes = std::span<const std::uint8_t>;

  // Bytes in. Each takes the beginning of `bytes` and says how much.
  [[nodiscard]] std::size_t take(Bytes bytes);
  [[nodiscard]] std::size_t take_preface(Bytes bytes);
  [[nodiscard]] std::size_t take_part(Bytes bytes);
  [[nodiscard]] std::size_t take_data(Bytes bytes);
  [[nodiscard]] bool accept(const http2::FrameHead& head);
  void begin_data(const http2::FrameHead& head);
  void count_data(const Http2Stream* stream, std::uint32_t bytes);
  void end_data();
  [[nodiscard]] bool half_received() const { return !part_.empty() || block_stream_ != 0; }

  // What frames mean.
  void on_frame(const http2::FrameHead& head, Bytes payload);
  void on_headers(const http2::FrameHead& head, Bytes payload);
  void on_continuation(const http2::FrameHead& head, Bytes payload);
  void on_priority(const http2::FrameHead& head, Bytes payload);
  void on_reset(const http2::FrameHead& head, Bytes payload);
  void on_settings(const http2::FrameHead& head, Bytes payload);
  void on_ping(const http2::FrameHead& head, Bytes payload);
  void on_goaway(const http2::FrameHead& head, Bytes payload);
  void on_window_update(const http2::FrameHead& head, Bytes payload);
  [[nodiscard]] bool apply(Bytes settings);
  [[nodiscard]] http2::ErrorCode apply(http2::Setting setting, std::uint32_t value);
  [[nodiscard]] http2::ErrorCode change_first_window(std::uint32_t window);
  [[nodiscard]] BlockUse open_stream(std::int32_t id);
  [[nodiscard]] http2::ErrorCode error_for(std::int32_t id) const;
  [[nodiscard]] BlockUse reopen_stream(std::int32_t id);
  void on_block(Bytes block);
  void on_trailers(Http2Stream& stream, const HeaderBlock& trailers);
  void on_body(Http2Stream& stream, Bytes bytes);
  void end_of_request(Http2Stream& stream);
  void consumed(std::size_t bytes);
  void release_window(Http2Stream& stream);

  // Streams and what is sent.
  void dispatch(std::int32_t id, const HeaderBlock& headers, bool ended,
                std::int64_t content_length);
  [[nodiscard]] Http2Stream* find(std::int32_t id) const;
  void reset(Http2Stream& stream, http2::ErrorCode error);
  /// RST_STREAM for a stream that need not exist, because of what the peer has sent.
  void refuse(std::int32_t id, http2::ErrorCode error);
  void end_response(Http2Stream& stream);
  void end_stream(Http2Stream& stream);
  void close(Http2Stream& stream);
  void close_ended();
  void end_all_streams();
  void queue(Http2Stream& stream);
  void feed_starved();
  void greet();
  void put_bodies(OutputBuffer& out);
  void put_data(OutputBuffer& out, Http2Stream& stream, const Http2Stream::Offer& offer);
  void put_headers(std::int32_t id, std::span<const HeaderField> headers, bool end);
  void put_ping(Bytes payload, std::uint8_t flags);
  void put_window_update(std::int32_t id, std::int32_t& window, std::uint32_t& consumed);
  void put_reset(std::int32_t id, http2::ErrorCode error);
  void put_goaway(std::int32_t last, http2::ErrorCode error);
  void put(const void* bytes, std::size_t size);
  void flush_soon() { carrier_.want_flush(); }

  // Ends.
  [[nodiscard]] std::chrono::milliseconds age_limit() const;
  [[nodiscard]] bool count_control() {
    return flood_.control_frame(context_.loop.now(), context_.limits().control_frames_max);
  }
  [[nodiscard]] bool count_reset() {
    return flood_.reset(context_.loop.now(), context_.limits().resets_max);
  }
  void flooded(std::string_view what);
  /// GOAWAY, and no frame is read any more.
  void fail(http2::ErrorCode error);
  /// … for what the peer did wrong.
  void fail_protocol(http2::ErrorCode error = http2::ErrorCode::kProtocolError);

  struct OpenStream {
    std::int32_t id;
    Http2Stream* stream;  // owned
  };

  // In the order of use: the first lines are all that most frames need.
  Carrier& carrier_;
  ServerContext& context_;
  Instant received_;     // last bytes of the peer
  Instant ping_sent_{};  // epoch: none outstanding
  FloodCount flood_;
  std::int32_t send_window_ = http2::kFirstWindow;  // of the connection, as the peer allows
  std::int32_t receive_window_ = http2::kFirstWindow;
  std::uint32_t unconsumed_ = 0;  // taken out of receive_window_ and not given back yet
  std::uint32_t data_left_ = 0;   // of the DATA frame that is being received
  std::uint8_t padding_left_ = 0;
  bool padding_unknown_ = false;  // its first byte, which tells, is still to come
  bool in_data_ = false;
  bool data_ends_stream_ = false;
  bool dead_ = false;    // nothing can be read or written any more
  bool failed_ = false;  // our last GOAWAY is written: nothing is read any more
  bool over_ = false;    // … or everything is done, and it has left
  bool ping_waits_ = false;
  std::array<std::uint8_t, http2::kPingBytes> ping_{};  // to be acknowledged, the first of them
  State state_ = State::kOpen;
  bool greeted_ = false;  // our first SETTINGS frame is written
  bool settled_ = false;  // the peer's first SETTINGS frame has come
  bool output_full_ = false;
  bool goaway_sent_ = false;
  bool goaway_received_ = false;
  std::uint8_t preface_left_ = http2::kPreface.size();
  std::uint16_t pings_queued_ = 0;  // acknowledgements in control_
  std::int32_t data_stream_ = 0;
  std::int32_t processed_ = 0;  // the newest stream that got an answer, or will
  std::int32_t first_window_ = http2::kFirstWindow;  // of streams, as the peer allows
  StreamQueue ready_;                                // have something to send
  OutputBuffer* out_ = nullptr;                      // during produce()
  Http2Stream* reading_ = nullptr;
  std::string part_;                 // of a frame that has not come whole
  std::string control_;              // frames to be sent before any DATA
  std::vector<OpenStream> streams_;  // by id
  std::uint32_t turn_ = 0;
  HpackDecoder decoder_;
  HpackEncoder encoder_;
  ClosedStreams closed_;
  StreamQueue ended_;  // to be closed once nobody uses them
  std::size_t queued_ = 0;
  std::size_t held_ = 0;
  std::vector<std::int32_t> writable_;  // streams whose queue has run empty in produce()
  // Of a header block that has not come whole.
  std::string block_;
  std::int32_t block_stream_ = 0;  // 0: there is none
  BlockUse block_use_ = BlockUse::kIgnore;
  bool block_ends_stream_ = false;

  Instant started_;
  Instant half_received_since_;
  Instant draining_since_{};
  float age_jitter_;
};

}  // namespace nb::net
