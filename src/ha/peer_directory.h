// PeerDirectory: which instance serves which peer.
#pragma once

#include "base/result.h"
#include "ha/ids.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace nb::ha {

struct DirectoryConfig {
  /// HASH peer -> bare instance id; the fencing tokens are in `<registry_key>:epoch`.
  std::string registry_key = "nb:signal:registry";
  /// Both keys live ten times as long from each write on; their TTL is always > 0.
  std::chrono::milliseconds peer_ttl{30'000};
};

/// Errors   kInvalidArgument: key not printable ASCII of 1..128, ttl outside 100 ms..24 h.
[[nodiscard]] Result<> check(const DirectoryConfig& config);

/// Who serves a peer, as the directory says.
struct Holder {
  InstanceId instance;
  /// Empty when the entry has no token, or one of another instance: an outsider wrote the field.
  std::optional<Claim> claim = {};

  friend bool operator==(const Holder&, const Holder&) = default;
};

struct Claimed {
  Claim claim;                          // ours: seq may be greater than proposed
  std::optional<Holder> previous = {};  // whom we displaced, if anybody
};

enum class Kept : std::uint8_t {
  kKept,      // it was there, untouched
  kRestored,  // it was missing, damaged or older, and is ours again
  kLost,      // somebody else's newer claim stands: end the superseded stream
};

struct Reasserted {
  Kept kept = Kept::kKept;
  std::optional<Holder> holder = {};  // kLost: who has it
};

struct PeerClaim {
  PeerKey peer;
  Claim claim;
};

struct PeerHolder {
  PeerKey peer;
  Holder holder;
};

/// One page of a scan. Pages may repeat an entry; entries written meanwhile may be missing.
struct DirectoryPage {
  std::vector<PeerHolder> entries;
  std::string next = {};  // empty: that was the last page
};

/// The store's copy of who is where. Each instance's own peers are the truth; this is for others
/// to find them. Every call is atomic per peer. Outsiders may DEL, HDEL, HSET and EXPIRE at any
/// time: nothing here breaks by it, and reassert() heals it (contract/signal-relay-ops.md §2.3).
/// Errors   kUnavailable from every call: the store is away; the effect may have happened or not.
/// Order    two calls on one peer may overtake each other: have one under way per peer at a time.
class PeerDirectory {
 public:
  virtual ~PeerDirectory() = default;

  /// Makes `claim` the peer's entry whoever had it before; seq becomes at least previous + 1.
  virtual boost::asio::awaitable<Result<Claimed>> claim(PeerKey peer, Claim claim) = 0;

  /// Deletes the entry if it is still exactly this claim's; true when it was.
  virtual boost::asio::awaitable<Result<bool>> release(PeerKey peer, Claim claim) = 0;
  /// The same for many (drain), pipelined; how many were still ours.
  virtual boost::asio::awaitable<Result<std::size_t>> release_all(
      std::vector<PeerClaim> claims) = 0;

  /// Who serves the peer; empty when nobody. One round trip. Whether that instance is alive is
  /// Membership's to say: an entry of a dead one reads as absent (forget it, in the background).
  virtual boost::asio::awaitable<Result<std::optional<Holder>>> find(PeerKey peer) = 0;

  /// Writes again what is missing and renews the TTLs; one answer per claim, in order. A missing
  /// or damaged entry is restored, an older claim is replaced, a newer one is left alone (kLost).
  /// An entry of an unknown writer without token is left alone as well, so that nobody's live peer
  /// is stolen; forget() it first when its instance is dead.
  virtual boost::asio::awaitable<Result<std::vector<Reasserted>>> reassert(
      std::vector<PeerClaim> claims) = 0;

  /// Deletes somebody's stale entry if it is still exactly as seen; true when it was.
  virtual boost::asio::awaitable<Result<bool>> forget(PeerKey peer, Holder seen) = 0;
  /// The same for many (janitor), pipelined; how many were deleted.
  virtual boost::asio::awaitable<Result<std::size_t>> forget_all(std::vector<PeerHolder> seen) = 0;

  /// Entries from `cursor` on (empty: from the start), about `limit` of them, for the janitor.
  virtual boost::asio::awaitable<Result<DirectoryPage>> scan(std::string cursor,
                                                             std::size_t limit) = 0;
  /// How many entries there are, of all instances, dead ones included.
  virtual boost::asio::awaitable<Result<std::size_t>> count() = 0;
};

}  // namespace nb::ha
