#include "tests/conformance/interop_service.h"

#include "net/loop.h"
#include "tests/conformance/interop.pb.h"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace nb::conformance {

namespace {
namespace pb = grpc::testing;
using net::GrpcCall;
using net::GrpcStatus;
using net::Metadata;

constexpr std::string_view kEchoInitial = "x-grpc-test-echo-initial";
constexpr std::string_view kEchoTrailing = "x-grpc-test-echo-trailing-bin";
constexpr int kSizeMax = 64 * 1024 * 1024;

Metadata echo(const GrpcCall& call, std::string_view name) {
  const std::string_view value = call.metadata(name);
  if (value.empty()) return {};
  return {{std::string(name), std::string(value)}};
}

template <class Message>
bool parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

template <class Request>
bool compressed_as_expected(const GrpcCall& call, const Request& request) {
  return !request.has_expect_compressed() || !request.expect_compressed().value() ||
         call.message_was_compressed();
}

GrpcStatus status_of(const pb::EchoStatus& status) {
  return {static_cast<Code>(status.code() & 15), status.message()};
}

void empty_call(GrpcCall& call, std::string_view /*request*/) {
  call.send_headers(echo(call, kEchoInitial));
  call.write({});
  call.finish({}, echo(call, kEchoTrailing));
}

void unary_call(GrpcCall& call, std::string_view bytes) {
  pb::SimpleRequest request;
  if (!parse(bytes, request) || request.response_size() < 0 || request.response_size() > kSizeMax) {
    return call.finish({Code::kInvalidArgument, "not a SimpleRequest"});
  }
  if (!compressed_as_expected(call, request)) {
    return call.finish({Code::kInvalidArgument, "the request should have come compressed"});
  }
  if (request.response_status().code() != 0) {
    call.send_headers(echo(call, kEchoInitial));
    return call.finish(status_of(request.response_status()), echo(call, kEchoTrailing));
  }
  call.use_gzip(request.response_compressed().value());
  call.send_headers(echo(call, kEchoInitial));
  pb::SimpleResponse response;
  response.mutable_payload()->mutable_body()->resize(
      static_cast<std::size_t>(request.response_size()));
  call.write(response.SerializeAsString());
  call.finish({}, echo(call, kEchoTrailing));
}

class StreamingInput final : public net::GrpcStreamHandler {
 public:
  void on_start(GrpcCall& /*call*/) override {}
  void on_message(GrpcCall& call, std::string_view bytes) override {
    pb::StreamingInputCallRequest request;
    if (!parse(bytes, request) || !compressed_as_expected(call, request)) {
      return call.finish({Code::kInvalidArgument, "not the expected StreamingInputCallRequest"});
    }
    total_ += request.payload().body().size();
  }
  void on_half_close(GrpcCall& call) override {
    pb::StreamingInputCallResponse response;
    response.set_aggregated_payload_size(static_cast<std::int32_t>(total_));
    call.write(response.SerializeAsString());
    call.finish({});
  }
  void on_end(GrpcCall& /*call*/) override {}

 private:
  std::size_t total_ = 0;
};

/// Answers each request's parameters in order, each after its interval; waits for a slow reader.
class StreamingOutput final : public net::GrpcStreamHandler {
 public:
  void on_start(GrpcCall& call) override {
    initial_ = echo(call, kEchoInitial);
    trailing_ = echo(call, kEchoTrailing);
    timer_ = std::make_unique<boost::asio::steady_timer>(call.loop().executor());
  }
  void on_message(GrpcCall& call, std::string_view bytes) override {
    if (!initial_.empty()) call.send_headers(std::exchange(initial_, {}));
    pb::StreamingOutputCallRequest request;
    if (!parse(bytes, request)) {
      return call.finish({Code::kInvalidArgument, "not a StreamingOutputCallRequest"});
    }
    if (request.response_status().code() != 0) {
      return call.finish(status_of(request.response_status()), trailing_);
    }
    for (const auto& parameters : request.response_parameters()) {
      if (parameters.size() < 0 || parameters.size() > kSizeMax) {
        return call.finish({Code::kInvalidArgument, "response size out of bounds"});
      }
      if (parameters.compressed().value()) call.use_gzip(true);  // announced in the headers
      due_.push_back(parameters);
    }
    advance(call);
  }
  void on_half_close(GrpcCall& call) override {
    half_closed_ = true;
    advance(call);
  }
  void on_writable(GrpcCall& call) override { advance(call); }
  void on_end(GrpcCall& /*call*/) override { timer_.reset(); }

 private:
  static constexpr std::size_t kQueuedMax = 256 * 1024;

  void advance(GrpcCall& call) {
    while (!due_.empty() && !waiting_ && call.queued_bytes() < kQueuedMax) {
      if (due_.front().interval_us() > 0) return wait(call);
      answer(call);
    }
    if (due_.empty() && half_closed_) {
      if (!initial_.empty()) call.send_headers(std::exchange(initial_, {}));
      call.finish({}, trailing_);
    }
  }
  void answer(GrpcCall& call) {
    const pb::ResponseParameters parameters = due_.front();
    due_.pop_front();
    call.send_headers({});
    call.use_gzip(parameters.compressed().value());
    pb::StreamingOutputCallResponse response;
    response.mutable_payload()->mutable_body()->resize(static_cast<std::size_t>(parameters.size()));
    call.write(response.SerializeAsString());
  }
  void wait(GrpcCall& call) {
    waiting_ = true;
    timer_->expires_after(std::chrono::microseconds(due_.front().interval_us()));
    timer_->async_wait([this, handle = call.handle()](const boost::system::error_code& error) {
      GrpcCall* const here = handle.get();
      if (error || here == nullptr) return;
      waiting_ = false;
      answer(*here);
      advance(*here);
    });
  }

  Metadata initial_;
  Metadata trailing_;
  std::deque<pb::ResponseParameters> due_;
  std::unique_ptr<boost::asio::steady_timer> timer_;
  bool waiting_ = false;
  bool half_closed_ = false;
};

boost::asio::awaitable<net::HttpResponse> echo_http(net::HttpRequest request) {
  co_return net::HttpResponse::text(
      200, request.body.empty() ? request.method + " " + request.path + "\n" : request.body);
}

}  // namespace

void add_test_service(net::GrpcRouter& router) {
  router.keep(std::string(kEchoInitial));
  router.keep(std::string(kEchoTrailing));
  const std::string service = "/grpc.testing.TestService/";
  router.unary(service + "EmptyCall", empty_call);
  router.unary(service + "UnaryCall", unary_call);
  router.unary(service + "CacheableUnaryCall", unary_call);
  router.stream(service + "StreamingInputCall",
                [](GrpcCall&) { return std::make_unique<StreamingInput>(); });
  for (const char* method : {"StreamingOutputCall", "FullDuplexCall", "HalfDuplexCall"}) {
    router.stream(service + method, [](GrpcCall&) { return std::make_unique<StreamingOutput>(); });
  }
}

void add_echo_routes(net::HttpRouter& router) {
  router.exact("/", echo_http);
  router.prefix("/echo", echo_http);
}

}  // namespace nb::conformance
