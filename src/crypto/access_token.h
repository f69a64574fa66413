// Tokens that users, invited users and proxies show: personal access tokens and their kin.
//
// Form     prefix, 30 characters of secret, 6 characters of checksum: 40 in all.
// Source   contract/network-map.md §1.1; contract/rest-api.md (personal access tokens)
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "crypto/random.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace nb::crypto {

enum class TokenKind : std::uint8_t { kPersonal, kInvite, kProxy };  // nbp_, nbi_, nbx_

[[nodiscard]] Secret generate_token(TokenKind kind, RandomSource& random);
/// Form and checksum only, no look-up.
/// Errors   kUnauthenticated "token invalid".
[[nodiscard]] Result<> check_token(TokenKind kind, std::string_view token);
/// As stored: base64 of SHA-256 over all 40 characters.
[[nodiscard]] std::string hash_token(std::string_view token);
/// Base62 of CRC-32 (digits, upper, lower), padded to 6 with '0'.
[[nodiscard]] std::string token_checksum(std::string_view secret_part);

}  // namespace nb::crypto
