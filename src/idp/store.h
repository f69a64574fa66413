// Everything the provider reads and writes in its database. Each public member is one transaction;
// every one-time artefact is consumed by one conditional UPDATE (contract §9.2), so that of several
// requests on several instances exactly one wins.
#pragma once

#include "base/clock.h"
#include "idp/options.h"
#include "idp/records.h"
#include "idp/vault.h"
#include "sql/database.h"

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::idp {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

/// Milliseconds by the database's clock, so that instances with clocks apart agree on expiry.
Result<Millis> database_now(sql::Session& session);
// Pieces that the import shares.
Result<> insert_connector(sql::Session& session, const Vault& vault, const Connector& connector,
                          bool is_static, Millis now);
Result<> upsert_identity(sql::Session& session, const Vault& vault, const Identity& identity,
                         Millis login);
Result<> insert_key(sql::Session& session, const Vault& vault, const KeyRow& key);
/// Ends sessions, codes, logins under way and refresh tokens, except the session with hash `keep`.
Result<> drop_logins(sql::Session& session, const IdpSubject& who, const std::string& keep,
                     Millis now);
using management::IdpNote;
/// In the transaction of the change that it is of.
Result<> insert_note(sql::Session& session, const IdpNote& note, Millis now);

enum class PollState : std::uint8_t { kUnknown, kPending, kTooFast, kDenied, kExpired, kRedeemed };
struct PollResult {
  PollState state = PollState::kUnknown;
  Grant grant;  // with kRedeemed
};

enum class CodeState : std::uint8_t { kInvalid, kReplayed, kGood };
struct RefreshRotation {
  CodeState state = CodeState::kInvalid;
  Grant grant;
};

/// What login throttling knows of one name (account at address, account, address).
struct ThrottleRow {
  std::int64_t failures = 0;
  Millis since = 0;
  Millis until = 0;
};

struct TotpState {
  Totp totp;
  std::int64_t last_counter = 0;
  Millis locked_until = 0;
  Millis now = 0;
  std::string recovery;
};

/// Thread-safe.
class Store {
 public:
  Store(sql::Database& database, const Vault& vault, const Lifetimes& lifetimes)
      : database_(database), vault_(vault), lifetimes_(lifetimes) {}

  // --- store_users.cc
  Task<bool> has_local_users(Instant deadline);
  /// Errors   kAlreadyExists; kFailedPrecondition with `only_first` if there is any local user.
  Task<void> insert_user(Instant deadline, LocalUser user, bool only_first);
  Task<std::optional<LocalUser>> user_by_email(Instant deadline, std::string email);
  Task<std::optional<LocalUser>> user_by_id(Instant deadline, std::string id);
  /// Stores `hash` if the stored one is still `expected` (any, if empty). False: it was not.
  Task<bool> replace_hash(Instant deadline, std::string id, std::string expected, std::string hash);
  /// Another password: with it all logins of the user end.
  Task<bool> change_hash(Instant deadline, std::string id, std::string expected, std::string hash,
                         IdpNote note);
  /// Removes the user, his second factors and logins; remembers the sub. False: no such user.
  Task<bool> delete_user(Instant deadline, IdpSubject subject);
  /// Deleted after `issued_at`.
  Task<bool> tombstoned(Instant deadline, std::string sub, Millis issued_at);
  /// Sessions, codes and refresh tokens, except the session with hash `keep`.
  Task<void> end_logins(Instant deadline, IdpSubject subject, std::string keep);
  /// Nothing: gone, or disabled.
  Task<std::optional<Identity>> identity(Instant deadline, IdpSubject subject);
  Task<void> save_identity(Instant deadline, Identity identity);

  // --- store_mfa.cc
  Task<std::optional<TotpState>> totp(Instant deadline, std::string user);
  /// A secret for enrolment: the unconfirmed one that is there, else `secret`.
  Task<Totp> start_totp(Instant deadline, std::string user, std::string secret);
  /// Accepts `counter` if it is newer than the last one. False: used before.
  Task<bool> accept_totp(Instant deadline, std::string user, std::uint64_t counter);
  /// Consumes one recovery code by its hash.
  Task<bool> accept_recovery(Instant deadline, std::string user, std::string hash);
  Task<void> set_recovery(Instant deadline, std::string user, std::string hashes);
  /// Counts a wrong code; the fifth in a row locks for five minutes.
  Task<void> reject_totp(Instant deadline, std::string user);
  /// With all logins of the user.
  Task<void> reset_mfa(Instant deadline, std::string user);

  // --- store_flow.cc
  Task<void> insert_request(Instant deadline, AuthRequest request);
  Task<std::optional<AuthRequest>> request(Instant deadline, std::string id);
  Task<std::optional<AuthRequest>> request_by_state(Instant deadline, std::string state_hash);
  /// False: the request moved on meanwhile.
  Task<bool> start_upstream(Instant deadline, AuthRequest request);
  Task<bool> first_factor_passed(Instant deadline, std::string id, IdpSubject subject,
                                 bool remember);
  /// Ends the login: the request moves from `from` to its end (or to kConfirm, for a device), the
  /// old session goes, a new one comes, and a code is made. The subject is that of `session`.
  /// False: somebody else ended it.
  Task<bool> finish(Instant deadline, AuthRequest request, Stage from, LoginSession session,
                    std::string old_session_hash, std::string ip, std::string user_agent,
                    std::string code_hash);
  /// A code out of a session that was there already.
  Task<void> insert_code(Instant deadline, std::string code_hash, Grant grant);

  // --- store_sessions.cc
  /// Alive and not idle too long; marks it as seen.
  Task<std::optional<LoginSession>> session(Instant deadline, std::string hash);
  /// What was in it, for logging out upstream.
  Task<std::optional<LoginSession>> delete_session(Instant deadline, std::string hash);
  Task<void> delete_sessions_of(Instant deadline, IdpSubject subject);
  Task<void> insert_logout(Instant deadline, std::string state_hash, std::string target);
  Task<std::optional<std::string>> take_logout(Instant deadline, std::string state_hash);

  // --- store_grants.cc
  /// Takes the code if it belongs to the client and redirect. A second try revokes what the first
  /// one led to (T2).
  Task<std::pair<CodeState, Grant>> take_code(Instant deadline, std::string hash,
                                              std::string client_id, std::string redirect_uri,
                                              std::string challenge);
  Task<void> insert_device(Instant deadline, DeviceCode device);
  Task<std::optional<DeviceCode>> device_by_user_code(Instant deadline, std::string user_code);
  Task<std::optional<DeviceCode>> device_by_hash(Instant deadline, std::string hash);
  /// The user's answer to the confirmation page; also ends `request_id`. False: too late.
  Task<bool> decide_device(Instant deadline, std::string request_id, std::string device_hash,
                           bool allow, std::string session_hash);
  Task<PollResult> poll_device(Instant deadline, std::string hash, std::string client_id);
  /// A new family for `grant`; `token_hash` is of the whole token.
  Task<void> insert_refresh(Instant deadline, std::string id, std::string token_hash, Grant grant);
  /// What a token, current or just before, was granted; nothing if it is of no use.
  Task<std::optional<std::string>> refresh_scopes(Instant deadline, std::string id,
                                                  std::string token_hash, std::string client_id);
  Task<RefreshRotation> rotate_refresh(Instant deadline, std::string id, std::string old_hash,
                                       std::string new_hash, std::string client_id);
  /// The family of the token with this id and secret, current or just before.
  Task<void> revoke_refresh(Instant deadline, std::string id, std::string token_hash,
                            std::string client_id);

  // --- store_misc.cc
  Task<std::vector<Connector>> connectors(Instant deadline);
  Task<std::optional<Connector>> connector(Instant deadline, std::string id);
  Task<void> insert_connector_row(Instant deadline, Connector connector, bool is_static,
                                  IdpNote note);
  /// False: gone, or not of the version any more that `connector` was read at.
  Task<bool> update_connector(Instant deadline, Connector connector, IdpNote note);
  Task<bool> delete_connector(Instant deadline, std::string id, IdpNote note);
  Task<std::vector<IdpNote>> notes(Instant deadline, std::size_t limit);
  Task<void> forget_note(Instant deadline, std::string key);
  Task<std::vector<KeyRow>> keys(Instant deadline);
  /// Makes the successor if it is due, under a lock of all instances; `make` runs only then, inside
  /// the transaction. True: a key was added.
  Task<bool> rotate_keys(Instant deadline, std::function<Result<KeyRow>()> make);
  Task<std::vector<ThrottleRow>> throttle(Instant deadline, std::vector<std::string> names,
                                          Millis& now);
  Task<std::vector<ThrottleRow>> throttle_failure(Instant deadline, std::vector<std::string> names);
  Task<void> throttle_success(Instant deadline, std::string name);
  Task<void> set_throttle(Instant deadline, std::string name, Millis lock_for);
  /// What has expired goes, one instance at a time. Answers the number of logins under way.
  Task<std::int64_t> purge(Instant deadline);
  /// The stored value of `name`, which becomes `value` if there is none.
  Task<std::string> meta(Instant deadline, std::string name, std::string value);
  Task<void> set_meta(Instant deadline, std::string name, std::string value);

  /// For tests: adds to the database's clock.
  void shift_clock(std::chrono::milliseconds by) { shift_ += by.count(); }

 private:
  template <class T>
  Task<T> tx(Instant deadline, std::function<Result<T>(sql::Session&, Millis now)> work);
  template <class T>
  Task<T> read(Instant deadline, std::function<Result<T>(sql::Session&, Millis now)> work);
  [[nodiscard]] Result<LocalUser> user_of(sql::Row row) const;
  [[nodiscard]] Result<AuthRequest> request_of(sql::Row row) const;
  [[nodiscard]] Result<Connector> connector_of(sql::Row row) const;

  sql::Database& database_;
  const Vault& vault_;
  const Lifetimes& lifetimes_;
  std::atomic<Millis> shift_ = 0;
};

template <class T>
Task<T> Store::tx(Instant deadline, std::function<Result<T>(sql::Session&, Millis now)> work) {
  return database_.run<T>(
      deadline, {},
      [work = std::move(work), shift = shift_.load()](sql::Session& session) -> Result<T> {
        NB_LET(const Millis now, database_now(session));
        return work(session, now + shift);
      });
}

template <class T>
Task<T> Store::read(Instant deadline, std::function<Result<T>(sql::Session&, Millis now)> work) {
  return database_.run<T>(
      deadline, {.read_only = true},
      [work = std::move(work), shift = shift_.load()](sql::Session& session) -> Result<T> {
        NB_LET(const Millis now, database_now(session));
        return work(session, now + shift);
      });
}

/// Two parts of a statement.
[[nodiscard]] inline std::string joined(std::string_view first, std::string_view second) {
  std::string out;
  out.reserve(first.size() + second.size());
  return out.append(first).append(second);
}

[[nodiscard]] inline Millis to_millis(std::chrono::milliseconds time) {
  return time.count();
}

}  // namespace nb::idp
