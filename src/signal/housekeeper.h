// What an instance does for the cluster in the background: it beats, and it tidies up after the
// dead.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/task_group.h"
#include "ha/beat_due.h"
#include "ha/leases.h"
#include "ha/membership.h"
#include "ha/peer_directory.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

namespace nb::signal {

/// Lives on home; stop() before destruction.
class Housekeeper {
 public:
  struct Options {
    std::chrono::milliseconds beat_interval{10'000};
    std::chrono::milliseconds retry_interval{1'000};   // after a beat without answer
    std::chrono::milliseconds purge_interval{60'000};  // entries of the dead, also without a death
    std::size_t page = 1'000;
  };
  struct Events {
    std::function<void()> on_store_lost;   // the store forgot us: write everything again
    std::function<void(bool up)> on_beat;  // after each beat
    std::function<void(std::size_t entries)> on_purged;
  };
  /// `leases` keeps several instances from purging at once; null: they may, which costs only work.
  Housekeeper(boost::asio::any_io_executor home, ha::Membership& membership,
              ha::PeerDirectory& directory, ha::Leases* leases, Clock& clock, Options options,
              Events events, Logger log);

  void start();
  /// The next beat is due now: the store came back.
  void beat_soon();
  /// Ends the background work. Leaving is the caller's, after its entries are released.
  boost::asio::awaitable<void> stop();

 private:
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> beat();
  boost::asio::awaitable<void> purge();
  [[nodiscard]] bool somebody_died();

  ha::Membership& membership_;
  ha::PeerDirectory& directory_;
  ha::Leases* leases_;
  Clock& clock_;
  const Options options_;
  const Events events_;
  Logger log_;
  std::vector<ha::InstanceId> known_;  // members at the last beat
  bool purge_wanted_ = true;
  Instant purged_{};
  ha::BeatDue beat_due_;
  TaskGroup tasks_;
};

}  // namespace nb::signal
