// Membership: which instances of a service are alive.
#pragma once

#include "base/result.h"
#include "ha/ids.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace nb::ha {

struct MembershipConfig {
  std::string service = "signal";         // keys nb:<service>:instances, nb:<service>:alive:<id>
  std::chrono::milliseconds ttl{30'000};  // an instance that is silent this long is dead
  std::chrono::milliseconds interval{10'000};  // between beats; at most ttl/2 (S21)
  std::string metadata = {};                   // shown to others: version, address; <= 1 KiB
};

/// Errors   kInvalidArgument: interval > ttl/2, ttl outside 100 ms..1 h, service not [a-z0-9-].
[[nodiscard]] Result<> check(const MembershipConfig& config);

struct Member {
  InstanceId id;
  Incarnation incarnation;  // of its newest known start; outsiders may have written anything
  std::string metadata;
  Instant expires;  // alive until then unless it beats again
};

/// What one heartbeat found out.
struct Beat {
  /// Our key was gone although it should have lived: the store lost data or somebody deleted it.
  /// Whatever else this instance keeps in the store has to be written again.
  bool store_lost = false;
};

/// Lives on its home executor. Call beat() every `interval`, and after a failure about every 500 ms
/// until it succeeds (it costs nothing while the breaker is open), so that a Redis that comes back
/// is filled again within 2 s (contract/signal-relay-ops.md §2.4).
class Membership {
 public:
  virtual ~Membership() = default;
  [[nodiscard]] virtual const InstanceId& self() const = 0;
  [[nodiscard]] virtual const Incarnation& incarnation() const = 0;

  /// One heartbeat: refreshes our key and reads the others, in two round trips.
  /// Errors   kUnavailable: the store did not answer; the view stays as it was.
  virtual boost::asio::awaitable<Result<Beat>> beat() = 0;
  /// Says good-bye, so that others know at once. Leaves a successor with our id alone.
  virtual boost::asio::awaitable<Result<>> leave() = 0;

  /// From the last beat, without I/O. An instance is alive until the expiry of its key as last
  /// seen, also when the key vanished before (flush, DEL), unless it left. We are always alive.
  [[nodiscard]] virtual bool alive(const InstanceId& instance) const = 0;
  /// Also false when the claim comes from an earlier start of an instance that started again since.
  [[nodiscard]] virtual bool alive(const Claim& claim) const = 0;
  /// The living, ourselves included, ordered by id.
  [[nodiscard]] virtual std::vector<Member> members() const = 0;
  /// Whether the view is at most one ttl old. Decide nothing about the death of others without.
  [[nodiscard]] virtual bool fresh() const = 0;

  /// Another live instance uses our id and started before us: be not ready, say so, go on serving
  /// what is connected. Goes back to false when the other one is gone.
  [[nodiscard]] virtual bool duplicate() const = 0;
  /// Another live instance uses our id but started after us; it is the one that yields.
  [[nodiscard]] virtual bool contested() const = 0;
};

}  // namespace nb::ha
