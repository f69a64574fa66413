// What an external identity provider says of itself (HttpConfig.OIDCConfigEndpoint).
// Source   contract/signal-relay-ops.md §6.1, auth-idp.md §1 "Start-up order".
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cmd/mgmt_config.h"

#include <chrono>
#include <string_view>

namespace nb::cmd {

struct DiscoveryOptions {
  std::chrono::milliseconds timeout{10'000};  // of one attempt
  std::chrono::milliseconds wait{60'000};     // while nothing else says who the provider is
};

/// Puts the issuer, keys and endpoints of a discovery document in the place of the file's.
/// Errors   kInvalidArgument: no JSON, or no issuer or keys in it; the text repeats nothing of it.
Result<> apply_discovery(MgmtConfig& config, std::string_view document);

/// Fetches the document, if the file names one, and applies it. The last good one stays in the data
/// directory: with that, or with issuer and keys in the file, a provider that is away stops no
/// start.
Result<> discover_provider(MgmtConfig& config, const DiscoveryOptions& options, Clock& clock,
                           const Logger& log);

}  // namespace nb::cmd
