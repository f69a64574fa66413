// HTTP/1.1 with its ways out: keep-alive, pipelining, upgrade to h2c and to a WebSocket tunnel.
#include "net/http1_session.h"
#include "tests/fuzz/net_carrier.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb;
  fuzz::run({data, size}, [](net::Carrier& carrier) {
    return std::make_unique<net::Http1Session>(carrier, fuzz::World::instance().context());
  });
  return 0;
}
