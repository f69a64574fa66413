// Logins that end: peers whose login is too old, and peers that were away too long.
// Source   contract/management-grpc.md §8.5, network-map.md §5.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "management/app/changes.h"
#include "management/store/store.h"

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace nb::management::app {

struct ExpiryOptions {
  std::chrono::milliseconds logins{2'000};  // between two sweeps; longer if they take long
  std::chrono::milliseconds logins_max{15'000};
  std::chrono::milliseconds inactive{15'000};
  std::chrono::milliseconds deadline{10'000};
  std::size_t batch = 500;
};

/// Every instance sweeps; the database gives each peer to one of them, by its own clock, so that
/// neither a dead instance nor a wrong clock delays or doubles anything.
class Expiry {
 public:
  Expiry(Store& store, Changes& changes, Clock& clock, ExpiryOptions options, Logger log);
  /// Until cancelled; for a TaskGroup.
  boost::asio::awaitable<void> run();
  [[nodiscard]] std::uint64_t expired() const { return expired_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }

 private:
  using Sweep = Task<Swept> (Store::*)(Instant, std::size_t);
  boost::asio::awaitable<void> sweep(Sweep what);

  Store& store_;
  Changes& changes_;
  Clock& clock_;
  const ExpiryOptions options_;
  const Logger log_;
  std::atomic<std::uint64_t> expired_{0};
  std::atomic<std::uint64_t> errors_{0};
};

}  // namespace nb::management::app
