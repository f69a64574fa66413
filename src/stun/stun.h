// stun: tells a peer under which address the world sees it.
//
// Purpose      RFC 8489 Binding over UDP, the embedded server of the relay, and the codec that
//              clients use too.
// Not here     ICE, TURN (coturn does that), TCP and TLS.
// Start with   Server in server.h; message.h for the bytes; source_limit.h for the rate limit.
// Threads      a socket per loop and port (SO_REUSEPORT); nothing is shared but counters.
// Limits       32 datagrams a turn, 1,500 bytes each; a rate per source address.
// Failure      what is no Binding request gets no answer, so nobody can be made to talk to itself.
// Source       RFC 8489; contract/signal-relay-ops.md §4.1
#pragma once

#include "base/metrics.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::stun {

struct Options {
  std::string listen_address = "::";  // numeric; "::" is dual-stack
  std::vector<std::uint16_t> ports = {3478};
  std::uint32_t source_per_second = 100;  // answers to one IPv4 address or IPv6 /64; 0: no limit
  std::uint32_t source_burst = 500;
};

struct StunMetrics {
  explicit StunMetrics(MetricRegistry& registry);
  FastCounter& answered;  // stun_requests_total{result=…}
  FastCounter& ignored;   // no Binding request
  FastCounter& limited;   // more than the rate of its source
  FastCounter& unsent;    // the socket did not take the answer
};

}  // namespace nb::stun
