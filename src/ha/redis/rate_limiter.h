// Token buckets in Redis: one hash per key, gone when it would be full again.
#pragma once

#include "ha/local/rate_limiter.h"
#include "redis/client.h"

#include <boost/asio/any_io_executor.hpp>

#include <string>

namespace nb::ha {

class RedisRateLimiter final : public RateLimiter {
 public:
  /// `client` lives on `home`.
  RedisRateLimiter(boost::asio::any_io_executor home, redis::Client& client, std::string prefix,
                   const Clock& clock);
  boost::asio::awaitable<bool> take(std::string key, RateLimit limit) override;

 private:
  boost::asio::awaitable<bool> take_at_home(std::string key, RateLimit limit);

  const boost::asio::any_io_executor home_;
  redis::Client& client_;
  const std::string prefix_;
  LocalRateLimiter fallback_;
};

}  // namespace nb::ha
