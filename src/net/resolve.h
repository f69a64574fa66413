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

}  // namespace nb::net
