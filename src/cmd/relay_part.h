// The relay and STUN as parts of a process: netbird-relay, or netbird-server.
#pragma once

#include "base/result.h"
#include "cmd/host.h"
#include "cmd/relay_config.h"

#include <memory>
#include <string>

namespace nb::cmd {

/// A peer's socket keeps at most this much that has not left yet; the rest waits in its queue,
/// where it counts, and where messages about presence and health pass it.
inline constexpr std::size_t kRelayUnsentBytesMax = 256 * 1024;
/// Beyond the time over which goodbyes are spread, for peers to take theirs.
inline constexpr std::chrono::milliseconds kRelayGoodbyeMargin{1'000};

struct RelayPartOptions {
  std::string health_prefix{};  // of the names in /readyz
};

/// GET /relay on the main port, GET /health on the others. `host` and `loops` outlive the part.
/// Errors   kInvalidArgument: Redis settings.
Result<std::unique_ptr<Part>> make_relay_part(const RelayServerConfig& config, Host& host,
                                              net::LoopPool& loops,
                                              const RelayPartOptions& options = {});
std::unique_ptr<Part> make_stun_part(const RelayServerConfig& config, Host& host,
                                     net::LoopPool& loops);

}  // namespace nb::cmd
