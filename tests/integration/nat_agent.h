// An agent as a process, for a network namespace of its own: joins, sends a numbered packet to
// every peer all the time, and writes what happens to stdout, a line each:
//
//   stun ADDRESS:PORT…          how each STUN server of the command line saw it; none: no answer
//   joined KEY
//   link KEY URL                relay through which the peer is reached from now on; "-": none
//   packet KEY NUMBER           one that arrived
#pragma once

#include <string>
#include <vector>

namespace nb::test {

/// `arguments`: management's host:port, the host name, then STUN servers ("192.0.2.1:3478"). The
/// setup key comes from NB_SETUP_KEY. Returns only with a failure, told on stderr.
int run_nat_agent(const std::vector<std::string>& arguments);

}  // namespace nb::test
