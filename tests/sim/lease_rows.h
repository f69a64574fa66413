// The rows of nb_instances in a simulated database, with what the statements of work_leases.cc do
// to them. Time is the database's.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace nb::sim {

class LeaseRows {
 public:
  /// Since when the lease is held without a gap.
  Result<std::int64_t> heartbeat(const std::string& instance, std::int64_t incarnation,
                                 std::chrono::milliseconds ttl, Instant now) {
    Lease& lease = leases_[instance];
    if (lease.incarnation > incarnation) return fail(Code::kAborted, "a newer process");
    if (lease.incarnation != incarnation || lease.until <= now) lease.held_since = ++last_held_;
    lease.incarnation = incarnation;
    lease.until = now + ttl;
    return lease.held_since;
  }
  [[nodiscard]] bool lives(const std::string& instance, std::int64_t incarnation,
                           Instant now) const {
    const auto lease = leases_.find(instance);
    return lease != leases_.end() && lease->second.incarnation == incarnation &&
           lease->second.until > now;
  }
  [[nodiscard]] std::string mark(Instant now) const {
    std::string out;
    for (const auto& [id, lease] : leases_)
      out += fmt::format("{} {} {},", id, lease.incarnation, lease.until > now);
    return out;
  }

 private:
  struct Lease {
    std::int64_t incarnation = 0;
    Instant until{};
    std::int64_t held_since = 0;
  };
  std::map<std::string, Lease> leases_;
  std::int64_t last_held_ = 0;
};

}  // namespace nb::sim
