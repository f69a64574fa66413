// A relay with one honest peer and one that says whatever the input says, message by message.
#include "base/clock.h"
#include "net/event_loop.h"
#include "net/http.h"
#include "relay/messages.h"
#include "relay/service.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {
using namespace nb;
using relay::PeerId;

class Channel final : public net::WebSocketChannel {
 public:
  explicit Channel(net::EventLoop& loop) : loop_(loop) {}
  [[nodiscard]] net::EventLoop& loop() const override { return loop_; }
  [[nodiscard]] const net::ClientAddress& client() const override { return client_; }
  void want_flush() override {}
  void wake_at(Instant /*at*/) override {}
  [[nodiscard]] bool blocked() const override { return false; }
  void close(net::websocket::CloseCode /*code*/) override { closed = true; }
  void abort() override { closed = true; }
  bool closed = false;

 private:
  net::EventLoop& loop_;
  net::ClientAddress client_;
};

struct World {
  static World& instance() {
    static World world;
    return world;
  }
  World() { service.add_to(router); }
  std::unique_ptr<net::WebSocketEndpoint> connect(net::WebSocketChannel& channel) {
    return router.find_websocket("/relay")->make(channel);
  }
  static relay::Options options() {
    relay::Options out;
    out.instance_url = "rel://relay.test:1";
    out.subscriptions_max = 8;
    out.queue_bytes_max = 64 * 1024;
    return out;
  }
  SystemClock clock;
  MetricRegistry registry;
  relay::RelayMetrics metrics{registry};
  net::LoopPool loops{1};
  crypto::RelayTokens tokens{{Secret("secret")}};
  relay::Service service{loops, options(), tokens, metrics, clock, {}};
  net::HttpRouter router;
};

void say(net::WebSocketEndpoint& endpoint, Channel& channel, std::string_view message, bool text) {
  if (channel.closed) return;
  endpoint.on_message(
      {text, {reinterpret_cast<const std::uint8_t*>(message.data()), message.size()}, 0});
}

/// Everything the relay writes is one of its messages in a frame of its size.
void check_output(net::WebSocketEndpoint& endpoint) {
  net::OutputBuffer out;
  while (endpoint.has_more()) {
    out.clear();
    endpoint.produce(out);
    if (out.empty()) std::abort();
    auto bytes = out.view();
    while (!bytes.empty()) {
      std::size_t size = bytes[1];
      std::size_t head = 2;
      if (size == 126) {
        size = static_cast<std::size_t>(bytes[2]) << 8 | bytes[3];
        head = 4;
      }
      if (bytes.size() < head + size || size < 2 || size > relay::kMessageMax) std::abort();
      if (!relay::server_type(bytes[head], bytes[head + 1])) std::abort();
      bytes = bytes.subspan(head + size);
    }
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World& world = World::instance();
  auto& loop = static_cast<net::EventLoop&>(world.loops.at(0));
  const auto token =
      world.tokens.make(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) +
                        std::chrono::hours(1));
  Channel honest_channel(loop);
  Channel channel(loop);
  auto honest = world.connect(honest_channel);
  say(*honest, honest_channel, relay::make_auth(crypto::relay_peer_id("honest"), token), false);
  auto peer = world.connect(channel);
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  // An odd first byte: begin as a peer that is let in.
  if (!rest.empty() && (rest[0] & 1) != 0)
    say(*peer, channel, relay::make_auth(crypto::relay_peer_id("peer"), token), false);
  while (!rest.empty()) {
    const std::size_t length = std::min<std::size_t>(
        static_cast<unsigned char>(rest[0]) * std::size_t{36} / 32, rest.size() - 1);
    say(*peer, channel, rest.substr(1, length), static_cast<unsigned char>(rest[0]) == 255);
    rest.remove_prefix(1 + length);
    check_output(*honest);
  }
  check_output(*peer);
  peer->on_timer(loop.now());
  peer->drain();
  peer->shut();
  check_output(*peer);
  if (honest_channel.closed) std::abort();
  peer.reset();
  honest.reset();
  if (world.service.peers() != 0 || world.metrics.handshakes.value() != 0 ||
      world.metrics.subscriptions.value() != 0)
    std::abort();
  return 0;
}
