// Server side of one HTTP/2 connection, on nghttp2. No sockets: bytes in, bytes out.
//
// Source   RFC 9113, RFC 9110; nghttp2 does framing, HPACK, flow control and message validation,
//          this class limits, time-outs, and the way between frames and streams. Its parts:
//          http2_session.cc (bytes in and out), http2_frames.cc, http2_life.cc, http2_callbacks.h.
#pragma once

#include "net/context.h"
#include "net/control_frames.h"
#include "net/flood_count.h"
#include "net/header_table_limit.h"
#include "net/http2_stream.h"
#include "net/session.h"
#include "net/stream_history.h"

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <span>
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
  void respond(Http2Stream& stream, std::span<const nghttp2_nv> headers, bool body);
  void trailers(Http2Stream& stream, std::span<const nghttp2_nv> headers);
  void resume(Http2Stream& stream);
  void reset(Http2Stream& stream, std::uint32_t error);
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
  void note_input(Http2Stream& stream) { reading_ = &stream; }
  /// The stream may be less congested than before.
  void release_window(Http2Stream& stream);
  /// From take(): asks for on_writable() after this produce().
  void note_writable(Http2Stream& stream);
  /// Counts calls of produce(): what was queued two of them ago has waited for a slow reader.
  [[nodiscard]] std::uint32_t turn() const { return turn_; }

 private:
  friend struct Http2Callbacks;
  enum class State : std::uint8_t { kOpen, kDraining, kGone };

  void on_begin_frame(const nghttp2_frame_hd& header);
  int on_begin_headers(const nghttp2_frame& frame);
  int on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int on_frame(const nghttp2_frame& frame);
  int on_data(std::int32_t id, std::span<const std::uint8_t> bytes);
  void on_stream_close(std::int32_t id);
  void on_sent(const nghttp2_frame& frame);
  ssize_t on_read(Http2Stream& stream, std::size_t length, std::uint32_t* flags);
  void on_send_data(Http2Stream& stream, const std::uint8_t* frame_header, std::size_t length);

  [[nodiscard]] std::span<const std::uint8_t> take_control(std::span<const std::uint8_t> bytes);
  void give_window();
  void feed(std::span<const std::uint8_t> bytes);
  void pack(OutputBuffer& out);
  void greet(OutputBuffer& out, std::span<const std::uint8_t> settings);
  void flush_soon();
  void dispatch(std::int32_t id, const HeaderBlock& headers, bool ended);
  void wait_for_produce(Http2Stream& stream);
  void resume_waiting();
  void link(Http2Stream& stream);
  void unlink(Http2Stream& stream);
  void end_of_request(Http2Stream& stream);
  [[nodiscard]] std::chrono::milliseconds age_limit() const;
  [[nodiscard]] bool count_control() {
    return flood_.control_frame(context_.loop.now(), context_.limits().control_frames_max);
  }
  void flooded(std::string_view what);
  void fail(std::uint32_t error);
  void fail_on(std::uint32_t error);  // unless it is NO_ERROR
  void end_all_streams();
  [[nodiscard]] Http2Stream* find(std::int32_t id) const {
    return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session_, id));
  }

  Carrier& carrier_;
  ServerContext& context_;
  nghttp2_session* session_;
  Http2Stream* streams_ = nullptr;
  Http2Stream* reading_ = nullptr;
  OutputBuffer* out_ = nullptr;           // during produce()
  std::unique_ptr<HeaderBlock> headers_;  // of the block being received
  Http2Stream* waiting_ = nullptr;        // streams to resume in the next produce()
  std::vector<std::int32_t> writable_;    // streams whose queue has run empty in produce()
  std::size_t queued_ = 0;
  std::size_t held_ = 0;
  Instant started_;
  Instant received_;  // last bytes of the peer
  Instant headers_began_;
  Instant ping_sent_{};  // epoch: none outstanding
  Instant draining_since_{};
  FloodCount flood_;
  StreamHistory history_;
  HeaderTableLimit table_limit_;
  ControlFrames control_frames_;
  std::uint32_t stream_count_ = 0;
  std::uint32_t turn_ = 0;
  float age_jitter_;
  bool greeted_ = false;  // our first SETTINGS frame is written
  bool settled_ = false;  // the peer's first SETTINGS frame has come
  bool due_ = false;      // nghttp2 may have something to send
  bool over_ = false;     // nghttp2 wants neither to read nor to send
  /// nghttp2's window of the connection was used up at the end of the last produce().
  bool window_empty_ = false;
  bool giving_window_ = false;
  bool data_sent_ = false;             // since the peer's last bytes
  bool answers_with_control_ = false;  // last time, to DATA, and with nothing else
  bool output_full_ = false;
  bool dead_ = false;  // nothing can be read or written any more
  bool final_goaway_ = false;
  State state_ = State::kOpen;
};

}  // namespace nb::net
