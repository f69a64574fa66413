// Sessions of a reverse proxy's visitors: tokens that the service's own key signs, so that a proxy
// checks them without asking.
//
// Form     compact JWS, EdDSA, claims iss, sub, aud (the domain), exp, iat, nbf, method, email,
//          groups, group_names.
// Limits   tokens <= 16 KiB.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace nb::crypto {

inline constexpr std::chrono::hours kSessionLife{24};

struct SessionClaims {
  std::string user;
  std::string domain;
  std::string method;  // "pin", "password", "header", "oidc"
  std::string email{};
  std::vector<std::string> groups{};
  std::vector<std::string> group_names{};  // of `groups`, in their order
};

/// `private_key` as SignKeyPair has it; the token is good for kSessionLife.
/// Errors   kInternal: it is no such key.
[[nodiscard]] Result<std::string> sign_session(const Secret& private_key,
                                               const SessionClaims& claims, WallTime now);

/// The user of a token that was signed with the key to `public_key` for `domain` and has not
/// ended.
/// Errors   kInternal: no such key; kUnauthenticated.
[[nodiscard]] Result<std::string> session_user(std::string_view token, std::string_view public_key,
                                               std::string_view domain, WallTime now);

}  // namespace nb::crypto
