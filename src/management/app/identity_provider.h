// The identity provider as management sees it: a port. The embedded provider (idp/) implements it;
// where none is configured, management has a null pointer.
//
// Purpose      local users and their passwords, external providers ("connectors"), key set, ending
//              of logins.
// Not here     OIDC over HTTP (idp/), token validation and roles (management/auth).
// Threads      any executor; each call answers on the caller's.
// Failure      kUnavailable, kDeadlineExceeded: database away; kResourceExhausted: try again later
//              (throttled, or hashing queue full). Texts of kInvalidArgument and
//              kFailedPrecondition are made for users; no text holds a password.
// Source       contract/auth-idp.md §3, §6.1
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "management/domain/event.h"
#include "management/domain/ids.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

inline constexpr std::string_view kLocalConnector = "local";

/// The two halves of an embedded provider's user id ("sub"; contract §4.6).
struct IdpSubject {
  std::string user_id;
  std::string connector_id;
  friend bool operator==(const IdpSubject&, const IdpSubject&) = default;
};
[[nodiscard]] UserId encode_subject(const IdpSubject& subject);
/// Both base64 alphabets, padded or not. Nothing for ids of stand-alone providers.
[[nodiscard]] std::optional<IdpSubject> decode_subject(std::string_view id);

struct IdpUser {
  UserId id;  // encoded
  std::string email;
  std::string name;
};

enum class PasswordRule : std::uint8_t {
  kLength,  // 8..72 bytes, no NUL
  // Also a digit, an upper-case letter and a character that is neither letter nor digit, by the
  // classes of Unicode.
  kComplex,
};
/// Errors   kInvalidArgument, with the rule that is broken.
Result<> check_password(const Secret& password, PasswordRule rule);

struct NewIdpUser {
  UserId id{};        // of new_user_id(); empty: one is made
  std::string email;  // a bare mailbox
  std::string name;
  Secret password;  // empty: one is generated
  PasswordRule rule = PasswordRule::kComplex;
};
struct MadeIdpUser {
  IdpUser user;
  Secret password;  // only if generated
};

/// What the activity log is to say of a change. Kept in the provider's database by the transaction
/// of the change itself, until the caller has told the log.
struct IdpNote {
  std::string key{};  // unique; given by the provider
  WallTime at{};      // given by the provider
  Activity activity{};
  UserId actor{};
  AccountId account{};   // empty: there is nothing to be told
  std::string target{};  // empty: the connector that is made or changed
  std::string name{};    // of that connector; given by the provider
};

struct PasswordChange {
  Secret old_password;
  Secret new_password;
  std::string address{};  // of the client; wrong old passwords count for it, as at logins
  IdpNote note{};
};

struct IdpConnector {
  std::string id;
  std::string type;  // oidc, zitadel, entra, google, okta, pocketid, microsoft, authentik, …
  std::string name;
  std::string issuer;
  std::string client_id;
};
struct IdpConnectorChange {
  std::string type;
  std::string name;
  std::string issuer;
  std::string client_id;
  Secret client_secret;  // empty on update: keep
  IdpNote note{};
};

struct IdpKeySet {
  std::string jwks;                  // {"keys":[…]}
  std::chrono::seconds valid_for{};  // ask again after this, and at an unknown kid
};

class IdentityProvider {
 public:
  template <class T>
  using Task = boost::asio::awaitable<Result<T>>;

  virtual ~IdentityProvider() = default;

  /// Normalised: no trailing slash. Tokens carry exactly this.
  [[nodiscard]] virtual const std::string& issuer() const = 0;
  [[nodiscard]] virtual bool local_auth_disabled() const = 0;
  /// False: device_code is not among the configured grant types.
  [[nodiscard]] virtual bool device_flow_enabled() const = 0;
  /// Straight from the database; no HTTP to ourselves.
  virtual Task<IdpKeySet> keys(Instant deadline) = 0;

  /// For a local user that is not made yet.
  [[nodiscard]] virtual UserId new_user_id() = 0;
  virtual Task<bool> has_local_users(Instant deadline) = 0;
  /// For set-up: makes the user only if there is no local user yet, decided under a lock that
  /// spans all instances.
  /// Errors   kFailedPrecondition: there is one; kInvalidArgument: address, name or password.
  virtual Task<MadeIdpUser> create_first_user(Instant deadline, NewIdpUser user) = 0;
  /// Errors   kAlreadyExists: address taken (any case); kFailedPrecondition: local users are off;
  ///          kInvalidArgument: address, name or password.
  virtual Task<MadeIdpUser> create_user(Instant deadline, NewIdpUser user) = 0;
  /// Ends the user's logins; his tokens are refused (see deleted()) until the last has expired.
  /// Undoes create_user() too. Also for users of connectors, of whom only the logins exist.
  /// Errors   kNotFound: no such local user; the logins are ended all the same.
  virtual Task<void> delete_user(Instant deadline, UserId id) = 0;
  /// Errors   kNotFound: not a local user.
  virtual Task<IdpUser> find_user(Instant deadline, UserId id) = 0;
  virtual Task<std::optional<IdpUser>> find_user_by_email(Instant deadline, std::string email) = 0;
  /// The user was deleted after a token with this "iat" was issued: it must not make him anew.
  virtual Task<bool> deleted(Instant deadline, UserId id, WallTime issued_at) = 0;

  /// By the user. Ends all other logins of the user.
  /// Errors   kUnauthenticated: the old one is wrong; kInvalidArgument: rule; kNotFound;
  ///          kResourceExhausted: too many wrong ones, or busy.
  virtual Task<void> change_password(Instant deadline, UserId id, PasswordChange change) = 0;
  /// By an operator. Ends all logins of the user.
  virtual Task<void> set_password(Instant deadline, UserId id, Secret password) = 0;
  /// Forgets second factors and ends all logins of the user.
  virtual Task<void> reset_mfa(Instant deadline, UserId id) = 0;
  /// Ends sessions and refresh tokens: the user was blocked.
  virtual Task<void> end_logins(Instant deadline, UserId id) = 0;

  /// Without `local`, by name.
  virtual Task<std::vector<IdpConnector>> connectors(Instant deadline) = 0;
  virtual Task<IdpConnector> connector(Instant deadline, std::string id) = 0;
  /// Fetches the discovery document and compares its issuer before anything is stored.
  /// Errors   kInvalidArgument: a rule of contract §6.1.
  virtual Task<IdpConnector> create_connector(Instant deadline, IdpConnectorChange change) = 0;
  /// Effective on every instance with the next login.
  /// Errors   kNotFound; kInvalidArgument, also for another type or "local".
  virtual Task<IdpConnector> update_connector(Instant deadline, std::string id,
                                              IdpConnectorChange change) = 0;
  virtual Task<void> delete_connector(Instant deadline, std::string id, IdpNote note) = 0;

  /// Notes that wait, oldest first. Others may be given the same ones.
  virtual Task<std::vector<IdpNote>> notes(Instant deadline, std::size_t limit) = 0;
  virtual Task<void> forget_note(Instant deadline, std::string key) = 0;
};

}  // namespace nb::management
