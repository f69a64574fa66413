// management/auth: who speaks, and for which account.
//
// Purpose      tokens of the identity provider (JWT) and personal access tokens, verified and led
//              to a user and an account, which may be founded on the way.
// Not here     what a user may do (domain/permissions.h); logging in (idp); single use of a token
//              for a peer's login (app).
// Start with   Authority below; claims.h for the rules of tokens, key_cache.h for the keys.
// Threads      any executor.
// Limits       tokens <= 16 KiB; key refreshes as in key_cache.h.
// Failure      kUnauthenticated: not a good token; kPermissionDenied: outside of the allowed JWT
//              groups; kUnavailable: keys or database out of reach, which says nothing of the
//              token.
// Decisions    docs/decisions/0090-no-token-cache.md
#pragma once

#include "management/app/changes.h"
#include "management/app/identity_provider.h"
#include "management/app/token_validator.h"
#include "management/auth/claims.h"
#include "management/auth/key_cache.h"
#include "management/store/identity_store.h"

#include <memory>
#include <string>
#include <utility>

namespace nb::management::auth {

/// How the caller was recognised.
enum class Scheme : std::uint8_t { kJwt, kPersonalToken };

struct Caller {
  KnownUser known;
  Scheme scheme = Scheme::kJwt;
  TokenId token{};  // of a personal access token
};

struct AuthorityOptions {
  ClaimRules rules;
  /// Everybody joins the one account; its domain where it has to be made.
  bool single_account = true;
  std::string single_account_domain = "netbird.selfhosted";
  bool default_policy = true;
  /// Nobody founds an account but users with a password of the embedded provider: whoever happens
  /// to come first from a connected provider must not own the installation.
  bool local_founders_only = false;
};

struct AuthorityPorts {
  IdentityStore& store;
  KeyCache* keys = nullptr;  // null: no identity provider is configured; only personal tokens work
  app::Changes& changes;
  IdentityProvider* provider = nullptr;  // null: not the embedded one
  const Clock& clock;
  Logger log{};
};

class Authority final : public app::TokenValidator {
 public:
  Authority(AuthorityPorts ports, AuthorityOptions options);
  /// From now on tokens follow these rules.
  void learn(ClaimRules rules) { rules_.learn(std::move(rules)); }

  /// A JWT of a dashboard or API client.
  Task<Caller> bearer(Instant deadline, std::string jwt);
  /// A personal access token, in plain.
  Task<Caller> personal_token(Instant deadline, std::string token);
  /// A JWT of an agent; errors as the port says.
  Task<app::TokenUser> identify(Instant deadline, Secret token) override;

 private:
  Task<Claims> verified(Instant deadline, std::string jwt);
  Task<Enrolled> resolved(Instant deadline, Claims claims);
  /// Allowed at all by the account's JWT groups? Then the user's groups follow the token's.
  Task<> apply_groups(Instant deadline, Claims claims, KnownUser known);
  boost::asio::awaitable<void> note_login(Instant deadline, Claims claims, KnownUser known);
  [[nodiscard]] Enrolment enrolment(const Claims& claims) const;

  AuthorityPorts ports_;
  AuthorityOptions options_;
  LateRules rules_;
};

}  // namespace nb::management::auth
