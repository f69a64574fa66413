// HTTP/2 and gRPC framing: what any byte stream of a client does to a server's session. With a
// first byte of 255 the preface and SETTINGS are put in front, so that mutations reach the streams
// sooner.
#include "net/http2_session.h"
#include "tests/fuzz/net_carrier.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb;
  std::vector<std::uint8_t> input(data, data + size);
  if (!input.empty() && input[0] == 255) {
    constexpr std::string_view kHello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
    input.insert(input.begin() + 1, kHello.begin(), kHello.end());
  }
  fuzz::run(input, [](net::Carrier& carrier) {
    return std::make_unique<net::Http2Session>(carrier, fuzz::World::instance().context());
  });
  return 0;
}
