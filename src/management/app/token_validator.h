// From a user's token to a user and account of ours, as agents' logins need it.
// Source   contract/management-grpc.md §5.2.5, auth-idp.md §2, §7.
#pragma once

#include "base/clock.h"
#include "base/secret.h"
#include "management/domain/ids.h"
#include "management/store/store.h"

namespace nb::management::app {

/// Who a token speaks for.
struct TokenUser {
  AccountId account;
  UserId user;
  std::string email{};    // may be empty
  WallTime expires_at{};  // the token's `exp`
};

/// Verifies a JWT, finds or makes its account and user, refuses users outside of the allowed JWT
/// groups and synchronises their groups.
class TokenValidator {
 public:
  virtual ~TokenValidator() = default;
  /// Serials that the group synchronisation raised were announced already.
  /// Errors   code and text are what the agent gets (management-grpc.md §4.1):
  ///          kInvalidArgument  "invalid jwt token, err: <detail>": signature, issuer, audience,
  ///                            time, no user id; the detail holds nothing of the token.
  ///          kUnauthenticated  "jwt token has no expiration".
  ///          kPermissionDenied "user does not belong to any of the allowed JWT groups".
  ///          kInternal         "unable to fetch account with claims, err: <detail>".
  ///          kUnavailable      keys of the provider or the database are out of reach.
  /// Threads  any executor; finishes on the caller's.
  virtual Task<TokenUser> identify(Instant deadline, Secret token) = 0;
};

}  // namespace nb::management::app
