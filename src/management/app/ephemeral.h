// Ephemeral peers leave ten minutes after they were last connected.
// Source   contract/management-grpc.md §8.6, network-map.md §5.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/task_group.h"
#include "ha/deadlines.h"
#include "management/app/changes.h"
#include "management/app/session_peer.h"
#include "management/store/store.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace nb::management::app {

struct EphemeralOptions {
  std::chrono::milliseconds lifetime{std::chrono::minutes(10)};
  std::chrono::milliseconds sweep{std::chrono::seconds(30)};
  /// The database is asked without a deadline that came due: the set may have lost some.
  std::chrono::milliseconds full_sweep{std::chrono::seconds(120)};
  std::chrono::milliseconds claim{std::chrono::seconds(60)};  // to work on what is due
  std::size_t batch = 100;
};

/// The set of deadlines (nb:mgmt:ephemeral) says when to look; the database says who has no session
/// and was last seen long enough ago, and gives each of them to one instance. So the set may be
/// lost, forged or behind: a peer leaves a little later then, and never too early.
/// Threads  idle() and busy() from anywhere, the rest on home, where the deadlines live.
class Ephemeral : public std::enable_shared_from_this<Ephemeral> {
 public:
  Ephemeral(boost::asio::any_io_executor home, ha::Deadlines& deadlines, Store& store,
            Changes& changes, Clock& clock, EphemeralOptions options, Logger log);
  void start();
  boost::asio::awaitable<void> stop();
  void idle(const SessionPeer& peer);
  void busy(const SessionPeer& peer);
  [[nodiscard]] std::uint64_t cleaned() const { return cleaned_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t runs() const { return runs_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t pending() const { return pending_.load(std::memory_order_relaxed); }

 private:
  boost::asio::awaitable<void> run();
  /// Whether a deadline came due; takes those that did off the set.
  boost::asio::awaitable<bool> take_due();
  boost::asio::awaitable<void> remove_idle();
  boost::asio::awaitable<void> schedule(std::string id, std::chrono::milliseconds in);
  boost::asio::awaitable<void> unschedule(std::string id);

  const boost::asio::any_io_executor home_;
  ha::Deadlines& deadlines_;
  Store& store_;
  Changes& changes_;
  Clock& clock_;
  const EphemeralOptions options_;
  const Logger log_;
  TaskGroup tasks_;
  bool stopped_ = false;
  std::atomic<std::uint64_t> cleaned_{0};
  std::atomic<std::uint64_t> runs_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> pending_{0};
};

}  // namespace nb::management::app
