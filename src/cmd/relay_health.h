// GET /health of the relay: what upstream's health checks ask for.
// Source   contract/signal-relay-ops.md §3.9
#pragma once

#include "base/clock.h"
#include "base/health.h"
#include "net/http.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace nb::cmd {

struct RelayHealthOptions {
  std::string instance_url{};   // of the relay
  std::string local_address{};  // where its listener is bound
  bool local_tls = false;
  bool quic = false;  // is served, too
  /// Bound port, 0 while there is no listener.
  std::function<std::uint16_t()> local_port{};
};

/// Asks the local listener, which decides over health, and the exposed address, which is reported:
/// it may belong to a balancer or not be reachable from here. One probe every 3 s at most. Errors
/// kInvalidArgument: no HTTP client can be made.
Result<> add_relay_health(net::HttpRouter& router, RelayHealthOptions options, const Clock& clock);
/// The same document for a process without a relay: healthy while it is ready.
void add_process_health(net::HttpRouter& router, const Health& health, const Clock& clock);

}  // namespace nb::cmd
