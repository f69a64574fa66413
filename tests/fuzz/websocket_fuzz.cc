// WebSocket frames: the payload that comes out must not depend on how the bytes were cut; and the
// tunnel around an HTTP/2 session survives anything.
#include "net/tunnel_session.h"
#include "net/websocket.h"
#include "tests/fuzz/net_carrier.h"

#include <cstdlib>

namespace {

struct Collected final : nb::net::websocket::Sink {
  void on_payload(nb::net::websocket::Opcode type, std::span<const std::uint8_t> bytes) override {
    seen.push_back(static_cast<char>(type));
    for (const std::uint8_t byte : bytes) text.push_back(static_cast<char>(byte));
  }
  void on_control(nb::net::websocket::Opcode type, std::string_view payload) override {
    text += "|" + std::to_string(static_cast<int>(type)) + "|";
    text += payload;
  }
  std::string text;
  std::string seen;
};

std::string read_in_steps(std::span<const std::uint8_t> bytes, std::size_t step) {
  nb::net::websocket::Reader reader(4'096);
  Collected sink;
  while (!bytes.empty()) {
    const std::size_t part = std::min(step, bytes.size());
    const auto code = reader.feed(bytes.first(part), sink);
    if (code != nb::net::websocket::CloseCode::kNone) {
      return sink.text + "!" + std::to_string(static_cast<int>(code));
    }
    bytes = bytes.subspan(part);
  }
  return sink.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb;
  const std::span<const std::uint8_t> bytes(data, size);
  if (size > 0 && read_in_steps(bytes, size) != read_in_steps(bytes, 1)) std::abort();
  fuzz::run(bytes, [](net::Carrier& carrier) {
    return std::make_unique<net::TunnelSession>(carrier, fuzz::World::instance().context(),
                                                net::PeerAddress{});
  });
  return 0;
}
