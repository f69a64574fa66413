// Rules of leases, pure: the store's side (LeaseTable) and the holder's (LeaseHolder).
#pragma once

#include "ha/leases.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace nb::ha {

/// What the store answers to a request for, or a renewal of, a lease.
struct LeaseReply {
  bool granted = false;
  std::uint64_t fence = 0;                 // granted: of this holder
  std::chrono::milliseconds remaining{0};  // refused: of the present holder, as far as known
};

/// The store's side. Time is the store's own.
class LeaseTable {
 public:
  /// Grants when free. The fence is greater than all before, also after data loss, as long as the
  /// store's wall clock does not go back further than the loss: it starts from the clock.
  LeaseReply take(const std::string& key, const std::string& token, std::chrono::milliseconds ttl,
                  Instant now, WallTime wall);
  /// Extends if the key still holds `token`. A key that is gone is not taken again: somebody else
  /// may have had it in between.
  bool renew(const std::string& key, const std::string& token, std::chrono::milliseconds ttl,
             Instant now);
  bool release(const std::string& key, const std::string& token, Instant now);

  struct Entry {
    std::string token;
    Instant expires;  // Instant::max(): an outsider's lock without expiry
  };
  std::map<std::string, Entry> locks;
  std::map<std::string, std::uint64_t> fences;

 private:
  Entry* live(const std::string& key, Instant now);
};

/// The holder's side of one lease: counts from the moment of asking, with a margin for clocks that
/// run at different speeds, and says when to renew.
class LeaseHolder {
 public:
  LeaseHolder(std::chrono::milliseconds ttl, Instant asked);

  /// No step that needs the lease may begin at or after this.
  [[nodiscard]] Instant until() const { return until_; }
  [[nodiscard]] bool held(Instant now) const { return !lost_ && now < until_; }
  /// When to send the next renewal.
  [[nodiscard]] Instant renew_at() const { return renew_at_; }

  void renewed(Instant asked);
  /// The store did not answer: sooner again, until the lease is over.
  void unanswered(Instant now);
  /// The store says that it is not ours any more.
  void gone() { lost_ = true; }

 private:
  std::chrono::milliseconds ttl_;
  Instant until_;
  Instant renew_at_;
  bool lost_ = false;
};

/// Pause before the next attempt while somebody else has the lease: a random part of a span that
/// doubles with each attempt, never past the present holder's expiry by much.
[[nodiscard]] std::chrono::milliseconds lease_backoff(int attempt,
                                                      std::chrono::milliseconds remaining,
                                                      std::uint64_t random);

/// Errors   kInvalidArgument.
[[nodiscard]] Result<> check(const Resource& resource, const AcquireOptions& options);

}  // namespace nb::ha
