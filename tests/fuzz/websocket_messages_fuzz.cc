// Whole WebSocket messages: what comes out must not depend on how the bytes were cut.
#include "net/websocket_messages.h"

#include <cstdlib>
#include <string>

namespace {
using namespace nb::net;

struct Collected final : websocket::MessageSink {
  bool on_message(const WebSocketMessage& message) override {
    std::string bytes(message.size(), '\0');
    message.copy(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    text += (message.text() ? "|t" : "|b") + std::to_string(bytes.size()) + "|" + bytes;
    return bytes != "stop";
  }
  bool on_control(websocket::Opcode type, std::string_view payload) override {
    text += "|" + std::to_string(static_cast<int>(type)) + "|";
    text += payload;
    return true;
  }
  std::string text;
};

constexpr std::size_t kMessageMax = 4'096;

std::string read_in_steps(std::span<const std::uint8_t> bytes, std::size_t step) {
  websocket::MessageReader reader(kMessageMax);
  Collected sink;
  while (!bytes.empty()) {
    const std::size_t part = std::min(step, bytes.size());
    const auto code = reader.feed(bytes.first(part), sink);
    if (reader.kept() > 2 * kMessageMax + 14) std::abort();
    if (code != websocket::CloseCode::kNone)
      return sink.text + "!" + std::to_string(static_cast<int>(code));
    bytes = bytes.subspan(part);
  }
  return sink.text;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  if (size > 0 && read_in_steps(bytes, size) != read_in_steps(bytes, 1)) std::abort();
  return 0;
}
