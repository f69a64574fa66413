// Host names to endpoints, within a deadline.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <vector>

namespace nb::net {

/// On the caller's executor; ends at the deadline even if the system's look-up does not.
/// Errors   kUnavailable: no such name; kDeadlineExceeded; kCancelled. Texts name the host.
boost::asio::awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> resolve(
    std::string host, std::string port, Instant deadline);

/// What the name is an alias of, in lower case without a dot at its end; the name itself if it is
/// none. Otherwise as resolve().
boost::asio::awaitable<Result<std::string>> canonical_name(std::string host, Instant deadline);

}  // namespace nb::net
