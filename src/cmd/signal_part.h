// The signal service as a part of a process: netbird-signal, or netbird-server.
#pragma once

#include "base/result.h"
#include "cmd/host.h"
#include "cmd/signal_config.h"

#include <memory>
#include <string>

namespace nb::cmd {

struct SignalPartOptions {
  std::string metrics_prefix{};  // of upstream's metrics
  std::string health_prefix{};   // of the names in /readyz
};

/// `host` and `loops` outlive the part.
/// Errors   kInvalidArgument: Redis settings.
Result<std::unique_ptr<Part>> make_signal_part(const SignalConfig& config, Host& host,
                                               net::LoopPool& loops,
                                               const SignalPartOptions& options = {});

}  // namespace nb::cmd
