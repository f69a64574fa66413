// What a token says about its bearer, and how it is read.
// Source   contract/auth-idp.md §2.1, §2.2, §2.4.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "management/domain/ids.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management::auth {

struct ClaimRules {
  std::string issuer;                  // exact; empty: not known yet, no token is good
  std::vector<std::string> audiences;  // the first is also the prefix of our own claims
  std::string user_id_claim = "sub";
  // Clocks of two machines differ.
  std::chrono::seconds not_before_leeway{60};
  std::chrono::seconds expiry_leeway{30};
};

struct Claims {
  UserId user;
  std::string email;
  std::string name;
  std::string preferred_username;
  std::string domain;
  std::string domain_category;
  std::optional<WallTime> issued_at;
  std::optional<WallTime> auth_time;
  std::optional<WallTime> last_login;
  WallTime expires_at{};
  std::string payload;  // the JSON, for claims that an account's settings name
};

/// Rules of a provider that may be reached only while the server runs already. Any thread.
class LateRules {
 public:
  explicit LateRules(ClaimRules rules) { learn(std::move(rules)); }
  void learn(ClaimRules rules);
  /// Errors   kUnavailable: the issuer is not known yet, which says nothing of a token.
  [[nodiscard]] Result<std::shared_ptr<const ClaimRules>> known() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ClaimRules> rules_;
};

/// Agents are told these two as they are (contract/management-grpc.md §4.1).
inline constexpr std::string_view kNoExpiration = "jwt token has no expiration";
inline constexpr std::string_view kNoUserId = "jwt token did not yield a user id";  // an empty one

/// Claims of a payload whose signature was verified.
/// Errors   kUnauthenticated: kNoExpiration, kNoUserId, issuer, audience, times, no user id claim.
///          The text holds nothing of the token.
[[nodiscard]] Result<Claims> read_claims(std::string payload, const ClaimRules& rules,
                                         WallTime now);

/// A claim that is a text or a list of texts; anything else in it is left out.
[[nodiscard]] std::vector<std::string> text_list(const Claims& claims, std::string_view name);

}  // namespace nb::management::auth
