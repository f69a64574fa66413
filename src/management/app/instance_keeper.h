// This instance's lease in the database, and the clean-up after instances that lost theirs.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "management/store/store.h"

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace nb::management::app {

struct InstanceKeeperOptions {
  InstanceId instance;
  std::int64_t incarnation = 0;
  std::chrono::milliseconds ttl{30'000};
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds reap_interval{2'000};
  std::size_t reap_batch = 500;
  /// A peer may lose its lease although no lease ends: marked late by an instance that had none, or
  /// by a server of another kind.
  std::chrono::milliseconds reap_all_interval{60'000};
};

/// Lives on one executor. Without Redis too: leases are rows, so that a crashed instance's peers
/// turn disconnected whatever else is broken.
class InstanceKeeper {
 public:
  struct Handlers {
    /// The lease had run out and is held again: others may have marked our peers disconnected.
    std::function<void()> on_lapse;
    /// kOk: lease held; kAborted: another process uses our id; kUnavailable: no database.
    std::function<void(Code)> on_state;
    std::function<void(const ReapedPeer&)> on_reaped;
  };
  InstanceKeeper(Store& store, Clock& clock, InstanceKeeperOptions options, Handlers handlers,
                 Logger log);

  /// The first heartbeat; before the listeners open.
  Task<> begin();
  /// Until cancelled; for a TaskGroup.
  boost::asio::awaitable<void> run();
  /// Gives the lease back, so that others need not wait for its end.
  boost::asio::awaitable<void> retire();
  /// The lease is held, as far as known.
  [[nodiscard]] bool holds() const { return clock_.now() < held_until_; }
  [[nodiscard]] std::uint64_t reaped() const { return reaped_.load(std::memory_order_relaxed); }

 private:
  boost::asio::awaitable<void> beat();
  boost::asio::awaitable<void> reap();
  /// Whether anybody may have been left by a dead instance since the last looks, which found
  /// nobody.
  boost::asio::awaitable<bool> has_to_look();

  Store& store_;
  Clock& clock_;
  const InstanceKeeperOptions options_;
  const Handlers handlers_;
  const Logger log_;
  Instant held_until_{};
  std::int64_t held_since_ = 0;  // by the database's clock
  Instant steady_since_{};       // no heartbeat failed since
  bool steady_ = false;
  std::string leases_{};   // as they were before the last look
  int looks_in_vain_ = 0;  // since then; a peer whose row is held at the moment is left out
  Instant look_at_{};      // at the latest
  std::atomic<std::uint64_t> reaped_{0};
};

}  // namespace nb::management::app
