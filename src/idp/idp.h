// idp: the OpenID Connect provider that management serves under /oauth2.
//
// Purpose      login of people (password, second factor, other providers), tokens for dashboard,
//              command line and devices; the management::IdentityProvider port.
// Not here     who may do what (management); validation of other providers' tokens at the API.
// Start with   Provider below; core.h lists the endpoints; store.h every step that must be atomic;
//              docs/idp.md the threats and where each is met.
// Threads      handlers run on the connection's loop, SQL and hashing on their own threads; all
//              state is in the database, so any step of a login may meet any instance.
// Limits       Options::lifetimes; forms 64 KiB; 64 passwords waiting to be hashed; logins under
//              way 50'000.
// Failure      database away: 503, and keys that are known go on verifying and signing.
// Decisions    docs/decisions/0030-own-idp-tables.md, 0031-idp-throttling-in-sql.md
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "idp/options.h"
#include "management/app/identity_provider.h"
#include "net/http.h"
#include "net/http_client.h"
#include "sql/database.h"

#include <functional>
#include <memory>
#include <vector>

namespace prometheus {
class Registry;
}

namespace nb::idp {

/// What the provider asks management.
struct Hooks {
  /// Whether local users need a second factor (account setting local_mfa_enabled), read anew at
  /// each login. Unset: no.
  std::function<boost::asio::awaitable<Result<bool>>(Instant deadline)> mfa_required{};
};

struct Parts {
  sql::Database& database;        // of the IdP
  std::vector<Secret> data_keys;  // DataStoreEncryptionKey, current first
  crypto::RandomSource& random;
  Clock& clock;
  std::shared_ptr<net::HttpClient> http;
  prometheus::Registry& registry;
  Hooks hooks;
  Logger log;
};

class Provider final : public management::IdentityProvider {
 public:
  /// Brings the schema up to date, imports a Dex store, seeds owner and connectors, makes the first
  /// signing key. Blocks; for start-up. Any number of instances may do it at once.
  /// Errors   kInvalidArgument: an option; kFailedPrecondition: no way to log in would be left;
  ///          kUnavailable: database.
  static Result<std::unique_ptr<Provider>> make(Parts parts, Options options);
  ~Provider() override;

  /// Everything below the issuer's path.
  void add_routes(net::HttpRouter& router);
  /// Rotation and purge; until cancelled.
  boost::asio::awaitable<void> run();
  /// Deletes what has expired; too much that has not holds up new logins until the next time (T22).
  /// Done by run() too.
  boost::asio::awaitable<void> purge();
  /// For tests: adds to the database's clock.
  void shift_clock(std::chrono::milliseconds by);

  [[nodiscard]] const std::string& issuer() const override;
  [[nodiscard]] bool local_auth_disabled() const override;
  [[nodiscard]] bool device_flow_enabled() const override;
  using UserId = management::UserId;
  Task<management::IdpKeySet> keys(Instant deadline) override;
  [[nodiscard]] management::UserId new_user_id() override;
  Task<bool> has_local_users(Instant deadline) override;
  Task<management::MadeIdpUser> create_first_user(Instant deadline,
                                                  management::NewIdpUser user) override;
  Task<management::MadeIdpUser> create_user(Instant deadline, management::NewIdpUser user) override;
  Task<void> delete_user(Instant deadline, UserId id) override;
  Task<management::IdpUser> find_user(Instant deadline, UserId id) override;
  Task<std::optional<management::IdpUser>> find_user_by_email(Instant deadline,
                                                              std::string email) override;
  Task<bool> deleted(Instant deadline, UserId id, WallTime issued_at) override;
  Task<void> change_password(Instant deadline, UserId id,
                             management::PasswordChange change) override;
  Task<void> set_password(Instant deadline, UserId id, Secret password) override;
  Task<void> reset_mfa(Instant deadline, UserId id) override;
  Task<void> end_logins(Instant deadline, UserId id) override;
  Task<std::vector<management::IdpConnector>> connectors(Instant deadline) override;
  Task<management::IdpConnector> connector(Instant deadline, std::string id) override;
  Task<management::IdpConnector> create_connector(Instant deadline,
                                                  management::IdpConnectorChange change) override;
  Task<management::IdpConnector> update_connector(Instant deadline, std::string id,
                                                  management::IdpConnectorChange change) override;
  Task<void> delete_connector(Instant deadline, std::string id, management::IdpNote note) override;
  Task<std::vector<management::IdpNote>> notes(Instant deadline, std::size_t limit) override;
  Task<void> forget_note(Instant deadline, std::string key) override;

 private:
  explicit Provider(std::unique_ptr<struct Core> core);
  Task<management::MadeIdpUser> make_user(Instant deadline, management::NewIdpUser user,
                                          bool only_first);
  std::unique_ptr<struct Core> core_;
};

/// Whether a local user (raw id) has enrolled one; for verbs.
Result<bool> has_second_factor(sql::Database& database, const std::string& user, Instant deadline);

}  // namespace nb::idp
