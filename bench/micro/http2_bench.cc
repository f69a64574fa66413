// The frame path of one Send without sockets: frames in, handler, answer and delivery out.
#include "load/hpack_encoder.h"
#include "load/signal_message.h"
#include "net/grpc.h"
#include "net/http2_session.h"

#include <benchmark/benchmark.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace nb;  // NOLINT: the file's only subject

struct Receiver final : net::GrpcStreamHandler {
  explicit Receiver(net::GrpcCallHandle& to) : handle(to) {}
  void on_start(net::GrpcCall& call) override {
    handle = call.handle();
    call.send_headers({{"x-wiretrustee-peer-registered", "1"}});
  }
  void on_message(net::GrpcCall& /*call*/, std::string_view /*message*/) override {}
  void on_end(net::GrpcCall& /*call*/) override {}
  net::GrpcCallHandle& handle;
};

/// A connection that goes nowhere.
struct Nowhere final : net::Carrier {
  void want_flush() override {}
  void wake_at(Instant /*at*/) override {}
  void replace_session(std::unique_ptr<net::Session> /*next*/, std::string_view /*first*/,
                       std::span<const std::uint8_t> /*rest*/) override {}
  const net::PeerAddress& peer() const override { return address; }
  bool tls() const override { return false; }
  net::PeerAddress address;
};

class Pair {
 public:
  Pair() {
    router_.unary("/signalexchange.SignalExchange/Send",
                  [this](net::GrpcCall& call, std::string_view request) {
                    if (net::GrpcCall* to = receiver_.get()) to->write(request);
                    call.write({});
                    call.finish({});
                  });
    router_.stream("/signalexchange.SignalExchange/ConnectStream",
                   [this](net::GrpcCall&) { return std::make_unique<Receiver>(receiver_); });
    context_ = std::make_unique<net::ServerContext>(
        net::ServerContext{loop_, router_, http_, config_, proxies_, metrics_, {}});
    session_ = std::make_unique<net::Http2Session>(carrier_, *context_);
    receive("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, {}));
    send_headers("/signalexchange.SignalExchange/ConnectStream", 1, bench::peer_key(1), false);
    bench::write_message(message_, bench::peer_key(0), bench::peer_key(1), 400, {});
    body_ = std::string("\0", 1);
    for (int shift = 24; shift >= 0; shift -= 8)
      body_.push_back(static_cast<char>(message_.size() >> shift));
    body_ += message_;
  }

  /// The bytes that would have left.
  std::size_t send_one() {
    send_headers("/signalexchange.SignalExchange/Send", 0, {}, true);
    receive(frame(0, 1, stream_ - 2, body_) + frame(8, 0, 0, std::string("\0\0\2\x24", 4)) +
            frame(8, 0, 1, std::string("\0\0\2\x24", 4)) + frame(6, 0, 0, "12345678"));
    out_.clear();
    session_->produce(out_);
    return out_.size();
  }

 private:
  static std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                           std::string_view payload) {
    std::string out;
    for (int shift = 16; shift >= 0; shift -= 8)
      out.push_back(static_cast<char>(payload.size() >> shift));
    out.push_back(static_cast<char>(type));
    out.push_back(static_cast<char>(flags));
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(stream >> shift));
    out += payload;
    return out;
  }
  void send_headers(std::string_view path, std::size_t slot, std::string_view peer, bool timeout) {
    std::string block;
    encoder_.encode(block, bench::HpackEncoder::make_call(path, slot, peer, timeout, false),
                    9'999'000 + stream_ % 990);
    receive(frame(1, 4, stream_, block));
    stream_ += 2;
  }
  void receive(const std::string& bytes) {
    session_->receive({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  }

  net::EventLoop loop_{0};
  net::GrpcRouter router_;
  net::HttpRouter http_;
  net::ServerConfig config_;
  net::ProxyRules proxies_;
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  net::NetMetrics metrics_{*registry_};
  Nowhere carrier_;
  std::unique_ptr<net::ServerContext> context_;
  net::GrpcCallHandle receiver_;
  bench::HpackEncoder encoder_{"127.0.0.1:10000", false};
  std::string message_;
  std::string body_;
  net::OutputBuffer out_;
  std::uint32_t stream_ = 1;
  std::unique_ptr<net::Http2Session> session_;
};

/// `sessions` connections in turn: with many of them each finds a cold cache, as in a server.
void BM_SignalSend(benchmark::State& state) {
  std::vector<std::unique_ptr<Pair>> pairs;
  for (std::int64_t i = 0; i < state.range(0); ++i) pairs.push_back(std::make_unique<Pair>());
  std::size_t next = 0;
  for (auto _ : state) {
    if (pairs[next]->send_one() < 400) state.SkipWithError("message not delivered");
    next = (next + 7919) % pairs.size();
  }
}
BENCHMARK(BM_SignalSend)->ArgName("sessions")->Arg(1)->Arg(64)->Arg(1024);

}  // namespace

BENCHMARK_MAIN();
