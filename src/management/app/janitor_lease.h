// Which of several instances tidies up: rows that are merely old, for everybody.
//
// One at a time saves the others the work, and no more depends on it: the database decides whatever
// must not happen twice. So all may tidy up while Redis is away, and what must not wait for a dead
// holder's lease (logins that end, peers of dead instances) does not ask.
// Source   contract/network-map.md §5, design.md §4 (Leases).
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "ha/leases.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>

namespace nb::management::app {

/// Lives on the home of the leases.
class JanitorLease {
 public:
  /// `leases` null: a single instance, whose turn it always is. `ttl`: until a dead holder's work
  /// is taken over, 1 s..10 min.
  JanitorLease(ha::Leases* leases, Clock& clock, std::chrono::milliseconds ttl, Logger log);

  /// Until cancelled; for a TaskGroup. Whoever stops the leases gives this one back.
  boost::asio::awaitable<void> run();
  /// Nobody else is known to do the work.
  [[nodiscard]] bool mine() const { return lease_.held() || !elsewhere_; }

 private:
  ha::Leases* const leases_;
  Clock& clock_;
  const std::chrono::milliseconds ttl_;
  const Logger log_;
  ha::Lease lease_;
  bool elsewhere_ = false;
};

}  // namespace nb::management::app
