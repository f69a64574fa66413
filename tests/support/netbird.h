// What tests ask of our servers, whichever it is.
#pragma once

#include "support/process.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace nb::test {

/// Variables of a server with HA over the Redis at this address; none without one.
[[nodiscard]] std::map<std::string, std::string> ha_environment(const std::string& redis,
                                                                const std::string& instance);
/// Value of a line of a server's /metrics page, labels included: `registrations_total` or
/// `x_total{queue="peer"}`; -1: not there.
[[nodiscard]] double metric_line(std::uint16_t metrics_port, const std::string& line,
                                 const std::string& host = "127.0.0.1");
/// A loopback address of this process alone: old agents' ports have fixed numbers.
[[nodiscard]] std::string own_address();
/// What `setup-key create` printed; throws with its output where that failed.
[[nodiscard]] std::string printed_setup_key(const Finished& done);

}  // namespace nb::test
