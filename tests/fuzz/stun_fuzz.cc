// STUN datagrams: any request is answered with something that reads back; no response is trusted.
#include "stun/message.h"

#include <cstdlib>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb::stun;
  const std::span<const std::uint8_t> bytes(data, size);
  if (const auto id = parse_request(bytes)) {
    nb::net::PeerAddress from;
    from.port = static_cast<std::uint16_t>(size);
    std::memcpy(&from.ip, data + 4, sizeof from.ip);
    std::array<std::uint8_t, kResponseBytesMax> out{};
    const std::size_t answered = write_response(out, *id, from);
    const auto mapped = parse_response(std::span(out).first(answered), *id);
    if (!mapped || !(*mapped == from) || mapped->port != from.port) std::abort();
    if (parse_request(std::span(out).first(answered))) std::abort();  // nobody answers an answer
  }
  if (size >= kHeaderBytes) {
    TransactionId id;
    std::memcpy(id.data(), data + 8, id.size());
    const auto ignored = parse_response(bytes, id);
    static_cast<void>(ignored);
  }
  return 0;
}
