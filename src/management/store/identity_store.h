// Users and their tokens as authentication sees them.
//
// Everything is read from the database with each request: a blocked user, a deleted token or a
// token written by SQL counts at once on every instance, and nothing has to be invalidated.
// Source   contract/auth-idp.md §7, rest-api.md §4, network-map.md §6.
#pragma once

#include "management/domain/account.h"
#include "management/domain/new_account.h"
#include "management/domain/user.h"
#include "management/store/store.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

struct KnownUser {
  User user;
  Account account;
};

/// The row behind a personal access token, with its owner.
struct TokenHolder {
  TokenId token;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> last_used;
  KnownUser owner;
};

/// A person who shows a valid token of the identity provider.
struct Enrolment {
  UserId user;
  std::string name{};
  std::string email{};
  /// The domain that accounts are found by; empty: the person has none of that kind.
  std::string private_domain{};
  /// Everybody joins the only account, whatever domain it has, while there is at most one.
  bool single_account = false;
  bool default_policy = true;  // of a new account
  bool may_found = true;       // an account, where there is none to join
  bool closes_login = false;   // which open_login() announced
};

struct Enrolled {
  KnownUser known;
  enum class How { kKnown, kJoined, kFounded } how = How::kKnown;
  std::optional<std::uint64_t> serial{};  // raised by joining
};

struct GroupSync {
  std::vector<GroupId> auto_groups;  // as stored now
  bool changed = false;
  std::optional<std::uint64_t> serial{};  // raised
};

/// What a login tells about a user; empty texts change nothing.
struct LoginSeen {
  UserId user;
  std::string name{};
  std::string email{};
  std::optional<WallTime> last_login{};
  bool record_event = false;  // dashboard.login
};

/// What is left to be ended at the identity provider.
struct OpenLogin {
  UserId user;
  bool sessions_only = false;  // the user stays, logged out everywhere
  friend bool operator==(const OpenLogin&, const OpenLogin&) = default;
};

class IdentityStore {
 public:
  virtual ~IdentityStore() = default;
  /// Errors   kNotFound "user: <id> not found".
  virtual Task<KnownUser> user(Instant deadline, UserId id) = 0;
  /// Errors   kNotFound "token not found"; says nothing of the hash.
  virtual Task<TokenHolder> token(Instant deadline, std::string hash) = 0;
  /// Writes unless that was done less than `at_most_every` before `at`.
  virtual Task<> token_used(Instant deadline, TokenId id, WallTime at,
                            std::chrono::seconds at_most_every) = 0;
  /// The user, who joins an account or founds one at the first time, later makes it its domain's
  /// one if none is. Under one lock of the deployment: many first logins make one account.
  /// Errors   kFailedPrecondition: no account to join, and the person may not found one;
  ///          kUnauthenticated: the login is being made or ended (open_login()).
  virtual Task<Enrolled> enrol(Instant deadline, Enrolment person) = 0;
  /// Sets the auto groups that came from tokens to `names`, making missing groups; the user's peers
  /// follow if the account propagates groups. Writes nothing when nothing differs.
  virtual Task<GroupSync> sync_token_groups(Instant deadline, UserId user,
                                            std::vector<std::string> names) = 0;
  virtual Task<> login_seen(Instant deadline, LoginSeen seen) = 0;

  // The provider's database is another one: what a crash leaves there is found by these (decision
  // 0136).
  /// Takes an event that is to be kept once, however often it is told.
  virtual Task<> tell(Instant deadline, std::string key, Event event) = 0;
  /// Before a login is made there. Who holds it becomes a user only by a command that closes it.
  virtual Task<> open_login(Instant deadline, UserId id) = 0;
  /// The login is gone there, or its sessions are.
  virtual Task<> forget_login(Instant deadline, OpenLogin login) = 0;
  /// What was opened `age` ago: logins that have no user, and sessions of users who were blocked.
  /// The caller ends them, and says so with forget_login(). One caller gets each, and another after
  /// `age` once more.
  virtual Task<std::vector<OpenLogin>> take_open_logins(Instant deadline,
                                                        std::chrono::milliseconds age,
                                                        std::size_t limit) = 0;
};

struct SqlStoreParts;
struct SqlStoreOptions;
/// The schema must have been prepared.
std::unique_ptr<IdentityStore> make_sql_identity_store(const SqlStoreParts& parts,
                                                       SqlStoreOptions options);

}  // namespace nb::management
