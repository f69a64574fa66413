// Who knows a service's PIN, password or header comes in; who guesses runs out of tries.
#pragma once

#include "base/lru_cache.h"
#include "base/secret.h"
#include "crypto/random.h"
#include "ha/rate_limiter.h"
#include "management/app/hasher.h"
#include "management/domain/ids.h"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::app {

/// What a visitor shows, as a proxy passes it on.
enum class VisitorSecret : std::uint8_t { kPin, kPassword, kHeader };

struct VisitorAttempt {
  ServiceId service{};
  VisitorSecret kind = VisitorSecret::kPin;
  std::string proxy{};  // through which it came: the visitor's own address is not in the request
  std::vector<std::string> hashes{};  // any of them lets in
  Secret secret{};
};

/// Tries are counted over all instances, for each service and kind of secret: per proxy, and as a
/// brake over all proxies that is twice as wide, so that who guesses at one proxy takes away
/// nothing from the others. API clients show their header with each request and keep no session:
/// a long header that was right before costs no try and no hashing. Short ones can be guessed, so
/// they count.
/// Any thread.
class VisitorGate {
 public:
  VisitorGate(ha::RateLimiter& limiter, Hasher& hasher, crypto::RandomSource& random);

  /// Errors   kResourceExhausted: too many tries, or too much hashing at once.
  boost::asio::awaitable<Result<bool>> open(VisitorAttempt attempt);

  static constexpr RateLimit kOfAProxy{.per_second = 1, .burst = 60};
  static constexpr RateLimit kOfAll{.per_second = 2, .burst = 120};
  static constexpr std::size_t kKnownBytesMin = 16;
  static constexpr std::size_t kKnownMax = 4'096;

 private:
  [[nodiscard]] boost::asio::awaitable<bool> may_try(std::string what, std::string proxy);
  /// Names nothing that it is made of.
  [[nodiscard]] std::string mark(const VisitorAttempt& attempt, std::string_view hash) const;
  [[nodiscard]] bool is_known(const VisitorAttempt& attempt);

  ha::RateLimiter& limiter_;
  Hasher& hasher_;
  const std::string key_;
  std::mutex mutex_;
  LruCache<std::string, char, TextHash> known_{kKnownMax};
};

}  // namespace nb::management::app
