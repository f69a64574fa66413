// Time-based one-time passwords (RFC 6238): SHA-1, 6 digits, 30 seconds, as authenticator apps do.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nb::crypto {

/// RFC 4648 base32, upper case, unpadded.
[[nodiscard]] std::string to_base32(std::string_view bytes);
/// Either case, padded or not, blanks ignored.
Result<std::string> from_base32(std::string_view text);

[[nodiscard]] std::string totp_code(std::string_view secret, std::uint64_t counter);
[[nodiscard]] std::uint64_t totp_counter(WallTime at);
/// The counter within ±1 of now that `code` belongs to. Constant time in the code. The caller
/// stores it and refuses it and older ones from then on.
[[nodiscard]] std::optional<std::uint64_t> match_totp(std::string_view secret,
                                                      std::string_view code, WallTime now);

}  // namespace nb::crypto
