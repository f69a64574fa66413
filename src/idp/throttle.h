// Slows guessing down without letting strangers lock somebody out (auth-idp T6, T7).
//
// Rules   account from one address: five failures lock it there for 5, then 15, then 60 minutes;
//         account from anywhere: only a growing delay; address: 100 failures in 15 minutes lock it.
// Where   in the database, so that all instances count together.
#pragma once

#include "idp/store.h"

#include <chrono>
#include <string>
#include <string_view>

namespace nb::idp {

struct ThrottleVerdict {
  bool locked = false;
  std::chrono::milliseconds delay{0};
};

/// Pure: what the counters of account, address and pair mean.
[[nodiscard]] ThrottleVerdict throttle_verdict(const std::vector<ThrottleRow>& rows, Millis now);
/// How long a pair is locked at its n-th failure; zero: not.
[[nodiscard]] std::chrono::minutes pair_lock(std::int64_t failures);
/// An address as counters see it: IPv6 by its /64, which one customer has whole.
[[nodiscard]] std::string address_group(std::string_view ip);

class Throttle {
 public:
  explicit Throttle(Store& store) : store_(store) {}
  Task<ThrottleVerdict> check(Instant deadline, std::string account, std::string ip);
  Task<void> failed(Instant deadline, std::string account, std::string ip);
  Task<void> passed(Instant deadline, std::string account, std::string ip);
  /// Guesses of user codes from one address: ten in ten minutes. Counts if `count`.
  Task<bool> code_guess_allowed(Instant deadline, std::string ip, bool count);

 private:
  static std::vector<std::string> names(const std::string& account, const std::string& ip);
  Store& store_;
};

}  // namespace nb::idp
