// RateLimiter: token buckets that all instances draw from.
#pragma once

#include "base/rate_limit.h"

#include <boost/asio/awaitable.hpp>

#include <string>

namespace nb::ha {

/// Failure  without the shared store each instance limits by itself: a client may get its budget
///          once per instance, and nobody is locked out.
/// Threads  any.
class RateLimiter {
 public:
  virtual ~RateLimiter() = default;
  /// Takes one token of the bucket named `key`, which starts full. False: it is empty.
  virtual boost::asio::awaitable<bool> take(std::string key, RateLimit limit) = 0;
};

}  // namespace nb::ha
