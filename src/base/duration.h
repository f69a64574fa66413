// Durations as Go writes them: "1h30m", "800ms", "1.5s", "2us".
#pragma once

#include "base/result.h"

#include <chrono>
#include <string>
#include <string_view>

namespace nb {

/// Shape    [+-](digits[.digits]unit)+ with ns, us, µs, ms, s, m, h; or "0".
/// Errors   kInvalidArgument: anything else, or beyond ±292 years; the text is not repeated.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);
/// Go's Duration.String: "1h30m0s", "800ms", "0s".
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds time);

}  // namespace nb
