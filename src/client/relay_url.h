// rel://host[:port] and rels://host[:port]: where a relay listens.
// Source   contract/signal-relay-ops.md §3.5
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace nb::client {

struct RelayUrl {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
};
/// Without a port 80, with TLS 443; a path is ignored, as official agents do.
/// Errors   kInvalidArgument: another scheme, no host, a port that is none.
Result<RelayUrl> parse_relay_url(std::string_view text);

}  // namespace nb::client
