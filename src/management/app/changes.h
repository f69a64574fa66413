// Where use cases report what they committed, so that agents' streams follow.
#pragma once

#include "management/domain/ids.h"

#include <cstdint>

namespace nb::management::app {

/// Why the server ends a stream (contract/management-grpc.md §5.6).
enum class EndReason : std::uint8_t {
  kSuperseded,  // a newer stream of the same peer exists, here or elsewhere
  kDeleted,     // the peer is gone: cleanup message first
  kRefused,     // login expired or user blocked
  kDraining,
};

/// Called after a commit, never inside a transaction. Which peers a change affects is worked out by
/// each instance from what it loads, so a report names only the account.
/// Threads  any; returns at once.
class Changes {
 public:
  virtual ~Changes() = default;
  /// `serial`: the account's network serial after the commit.
  virtual void committed(const AccountId& account, std::uint64_t serial) = 0;
  /// The peer's streams end now, on whatever instance they are.
  virtual void end_peer(const AccountId& account, const PeerId& peer, EndReason reason) = 0;
  /// Something about proxies that no account's serial shows: a token was revoked.
  virtual void proxies_changed() {}
};

}  // namespace nb::management::app
