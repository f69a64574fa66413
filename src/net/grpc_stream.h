// A gRPC call on an HTTP/2 stream: length-prefixed messages in and out, status in the trailers.
// Kept small: thousands of idle ones exist. What only some calls need hangs on Extra.
#pragma once

#include "net/grpc.h"
#include "net/http2_session.h"
#include "net/http2_stream.h"
#include "net/message_queue.h"
#include "net/timer_heap.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::net {

class AsyncCall;

class GrpcStream final : public Http2Stream, public GrpcCall, private Timer {
 public:
  GrpcStream(Http2Session& session, std::int32_t id);
  ~GrpcStream() override;
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;

  /// Right after construction; the block goes away afterwards.
  void start(const HeaderBlock& headers);

  // Http2Stream
  void on_data(std::span<const std::uint8_t> bytes) override;
  void on_input_end() override;
  void on_half_close() override;
  void on_closed() override;
  void on_shut() override;
  Offer offer(std::size_t limit) override;
  void take(OutputBuffer& out, std::size_t bytes) override;
  void on_body_end() override;
  void on_writable() override;
  [[nodiscard]] bool congested() const override;

  // GrpcCall
  [[nodiscard]] std::string_view path() const override;
  [[nodiscard]] std::string_view metadata(std::string_view name) const override;
  [[nodiscard]] ClientAddress client() const override;
  [[nodiscard]] std::optional<Instant> deadline() const override;
  [[nodiscard]] Loop& loop() const override;
  void send_headers(const Metadata& initial) override;
  [[nodiscard]] bool message_was_compressed() const override { return was_gzip_; }
  void use_gzip(bool on) override;
  void write(std::string_view message) override;
  void write_owned(std::string message) override;
  void finish(GrpcStatus status, const Metadata& trailers) override;
  void abort(GrpcStatus status) override;
  [[nodiscard]] std::size_t queued_bytes() const override {
    if (!out_.empty()) wants_writable_ = true;
    return out_.bytes();
  }
  [[nodiscard]] GrpcCallHandle handle() override;

 private:
  struct Extra {
    std::vector<std::pair<std::string, std::string>> kept;  // request headers, -bin decoded
    std::optional<ClientAddress> client;                    // when a proxy names it
    std::string user_agent;
    std::string status_text;
    Metadata trailers;
    std::unique_ptr<AsyncCall> async;
  };

  void on_timer(Instant now) override;
  Extra& extra();
  /// False: the call takes no more messages.
  bool begin_message();
  template <class Message>
  void queue(Message&& message);
  bool accept_encodings(const HeaderBlock& headers);
  bool begin_deadline(const HeaderBlock& headers);
  void keep_headers(const HeaderBlock& headers);
  void deliver(bool compressed, std::string_view payload);
  void message(std::string_view text);
  void run_unary();
  void refuse(Code code, std::string text);
  /// `only`: as the response headers, when nothing was sent before.
  void submit_trailers(bool only);

  const GrpcRouter::Method* method_ = nullptr;
  const HeaderBlock* headers_ = nullptr;  // during start()
  std::unique_ptr<GrpcStreamHandler> handler_;
  std::unique_ptr<Extra> extra_;
  std::unique_ptr<std::string> partial_;  // received part of a message; of a unary call the message
  std::string_view unary_;  // … or where it stands in the input, until on_input_end()
  MessageQueue out_;
  std::shared_ptr<GrpcCall*> self_;
  std::uint32_t queued_turn_ = 0;
  Code status_ = Code::kOk;
  bool headers_sent_ : 1 = false;
  bool finished_ : 1 = false;
  bool ended_ : 1 = false;         // on_closed() ran
  bool request_gzip_ : 1 = false;  // grpc-encoding of the caller
  bool accepts_gzip_ : 1 = false;
  bool gzip_ : 1 = false;  // compress from now on
  bool gzip_announced_ : 1 = false;
  bool was_gzip_ : 1 = false;  // the message being delivered
  bool have_unary_ : 1 = false;
  bool too_many_ : 1 = false;
  mutable bool wants_writable_ = false;  // queued_bytes() has told of a queue
};

}  // namespace nb::net
