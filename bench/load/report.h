// Results as lines for people.
#pragma once

#include "load/management_load.h"
#include "load/relay_load.h"
#include "load/signal_load.h"

#include <string>

namespace nb::bench {
[[nodiscard]] std::string describe(const SignalResult& result);
[[nodiscard]] std::string describe(const ManagementResult& result);
[[nodiscard]] std::string describe(const RelayResult& result);
[[nodiscard]] std::string milliseconds_text(std::uint64_t ns);
}  // namespace nb::bench
