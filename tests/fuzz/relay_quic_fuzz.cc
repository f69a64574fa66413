// QUIC sessions of a relay that get whatever datagrams the input holds: two bytes of length, then
// so many bytes, from one of two addresses.
#include "base/clock.h"
#include "net/event_loop.h"
#include "relay/quic/sessions.h"
#include "relay/service.h"
#include "support/certificate.h"
#include "support/process.h"

#include <arpa/inet.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

namespace {
using namespace nb;
namespace quic = relay::quic;

quic::Remote address(std::uint16_t port) {
  quic::Remote out;
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  out.size = sizeof v4;
  return out;
}

struct World {
  static World& instance() {
    static World world;
    return world;
  }
  World() {
    test::make_certificate(files / "cert.pem", files / "key.pem");
    if (!tls().load()) throw std::runtime_error("no certificate");
  }
  [[nodiscard]] quic::Tls tls() const { return {files / "cert.pem", files / "key.pem", {}}; }
  static relay::Options options() {
    relay::Options out;
    out.instance_url = "rels://relay.test:1";
    return out;
  }
  test::TempDir files;
  SystemClock clock;
  MetricRegistry registry;
  relay::RelayMetrics metrics{registry};
  quic::Metrics quic_metrics{registry};
  net::LoopPool loops{1};
  crypto::RelayTokens tokens{{Secret("secret")}};
  relay::Service service{loops, options(), tokens, metrics, clock, {}};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World& world = World::instance();
  auto& loop = static_cast<net::EventLoop&>(world.loops.at(0));
  quic::Tls tls = world.tls();
  if (!tls.load()) std::abort();
  std::size_t received = 0;
  std::size_t sent = 0;
  quic::Sessions sessions(
      {.loop = loop,
       .local = address(443).storage,
       .send = [&](const quic::Remote&,
                   std::span<const std::uint8_t> packet) { sent += packet.size(); },
       .serve =
           [&](net::WebSocketChannel& channel) {
             return world.service.serve(channel, relay::Transport::kQuic);
           },
       .metrics = world.quic_metrics},
      std::move(tls), {.sessions_max = 8, .handshakes_max = 4, .retry_from = 2}, {});
  while (size >= 2) {
    const bool second = (data[0] & 0x80U) != 0;
    const std::size_t wanted = static_cast<std::size_t>(data[0] & 0x07U) << 8U | data[1];
    const std::size_t bytes = std::min(wanted, size - 2);
    sessions.receive(address(second ? 1'001 : 1'000), {data + 2, bytes});
    received += bytes;
    loop.poll();
    data += 2 + bytes;
    size -= 2 + bytes;
  }
  sessions.finish();
  loop.poll();
  // Nobody has proven an address, so RFC 9000 §8.1 holds for all of them together.
  if (sent > 3 * received + 4 * 1'452) std::abort();
  return 0;
}
