// A connection without sockets, for the fuzzers of net/: feeds a session and takes what it
// produces.
#pragma once

#include "net/context.h"
#include "net/session.h"
#include "tests/conformance/interop_service.h"

#include <prometheus/registry.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::fuzz {

/// Built once per process; a run only makes a session.
class World {
 public:
  static World& instance() {
    static World world;
    return world;
  }
  net::ServerContext& context() { return context_; }
  /// Lets coroutines of handlers run to their end.
  void settle() { loop_.poll(); }

 private:
  World() {
    conformance::add_test_service(grpc_);
    conformance::add_echo_routes(http_);
    config_.grpc_tunnel_paths = {"/ws-proxy/test"};
    config_.limits.message_bytes_max = 64 * 1024;
    config_.limits.body_bytes_max = 64 * 1024;
    config_.limits.write_buffer_bytes_max = 256 * 1024;
  }

  net::EventLoop loop_{0};
  net::GrpcRouter grpc_;
  net::HttpRouter http_;
  net::ServerConfig config_;
  net::ProxyRules proxies_;
  prometheus::Registry registry_;
  net::NetMetrics metrics_{registry_};
  net::ServerContext context_{.loop = loop_,
                              .grpc = grpc_,
                              .http = http_,
                              .config = config_,
                              .proxies = proxies_,
                              .metrics = metrics_,
                              .log = {}};
};

class FakeCarrier final : public net::Carrier {
 public:
  void want_flush() override { wanted_ = true; }
  void wake_at(Instant /*at*/) override {}
  void replace_session(std::unique_ptr<net::Session> next, std::string_view /*first*/,
                       std::span<const std::uint8_t> rest) override {
    next_ = std::move(next);
    rest_.assign(rest.begin(), rest.end());
  }
  [[nodiscard]] const net::PeerAddress& peer() const override { return peer_; }
  [[nodiscard]] bool tls() const override { return false; }

  /// As Connection does it: read, handlers, write. False: the session is over.
  bool turn(std::unique_ptr<net::Session>& session, std::span<const std::uint8_t> bytes) {
    session->receive(bytes);
    World::instance().settle();
    while (next_ != nullptr) {
      session = std::move(next_);
      const std::vector<std::uint8_t> rest = std::exchange(rest_, {});
      session->receive(rest);
    }
    for (int round = 0; round < 8; ++round) {
      out_.clear();
      session->produce(out_);
      if (out_.empty() && !session->has_more()) break;
    }
    return !session->finished();
  }

 private:
  net::PeerAddress peer_;
  net::OutputBuffer out_;
  std::unique_ptr<net::Session> next_;
  std::vector<std::uint8_t> rest_;
  bool wanted_ = false;
};

/// Runs one input through a fresh session. The first byte chooses how the rest is cut into reads.
template <class Make>
void run(std::span<const std::uint8_t> input, Make make) {
  if (input.empty()) return;
  const std::size_t step = input[0] == 0 ? input.size() : std::size_t{input[0]};
  input = input.subspan(1);
  FakeCarrier carrier;
  std::unique_ptr<net::Session> session = make(carrier);
  while (!input.empty()) {
    const std::size_t part = std::min(step, input.size());
    // In memory that goes away, as what a session keeps of its input must not be a view of it.
    const auto read = input.first(part);
    const std::vector<std::uint8_t> bytes(read.begin(), read.end());
    if (!carrier.turn(session, bytes)) break;
    input = input.subspan(part);
  }
  session->on_timer(World::instance().context().loop.now());
  session->on_end_of_input();
  session->shut();
  net::OutputBuffer out;
  session->produce(out);
  session.reset();
  World::instance().settle();
}

}  // namespace nb::fuzz
