// What counts once, whichever instance hears of it.
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"

#include <chrono>
#include <string>

namespace nb::management {

/// A JWT about to log a peer in (contract/management-grpc.md §5.2.5), or a request that must not be
/// made again (§2).
struct TokenUse {
  std::string token_hash;  // hexadecimal SHA-256
  PeerKey peer;
  WallTime expires_at{};
  /// For so long the same peer may come again with it: its answer may have been lost.
  std::chrono::seconds repeat{300};
};

}  // namespace nb::management
