// Use cases about persons that touch the identity provider and our own database: the login is made
// there first, our rows second, and what was made there is taken back when ours fail. A login whose
// user may be missing is noted in our database meanwhile, so that nothing is left half done by a
// process that dies.
// Source   contract/rest-api.md §7.1, §7.3, §7.5; auth-idp.md §3, §9.2. Decision 0136.
#pragma once

#include "base/log.h"
#include "base/secret.h"
#include "management/app/account_commands.h"
#include "management/app/identity_provider.h"
#include "management/store/catalog.h"
#include "management/store/identity_store.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management::app {

struct NewPerson {
  std::string name{};
  std::string email{};
  std::string role{};
  std::vector<GroupId> auto_groups{};
};

struct AddedPerson {
  User user;
  Secret password;  // shown once
};

struct FirstOwner {
  std::string email{};
  std::string name{};
  Secret password{};
  bool with_token = false;
  std::int64_t token_days = 1;
  std::string address{};  // of the client, for the log
};

struct SetUp {
  UserId user;
  std::string email;
  Secret token;  // empty: none was asked for
};

struct PeopleOptions {
  /// Domain of the account that a set-up with a token founds.
  std::string single_account_domain = "netbird.selfhosted";
  bool default_policy = true;
};

class People {
 public:
  /// `provider` null: logins are made elsewhere, and nobody can be added or invited from here.
  People(AccountCommands& commands, IdentityStore& identities, Catalog& catalog,
         IdentityProvider* provider, PeopleOptions options, Logger log);

  /// No account and no local user yet.
  Task<bool> set_up_required(Instant deadline);
  /// Errors   kInvalidArgument: the texts of rest-api.md §7.1; kFailedPrecondition "setup already
  ///          completed"; kInternal: no identity provider here.
  Task<SetUp> set_up(Instant deadline, FirstOwner owner);

  Task<AddedPerson> add(Instant deadline, Actor actor, NewPerson person);
  /// Who is blocked by it is logged out at the identity provider, too.
  Task<User> update(Instant deadline, Actor actor, UpdateUser command);
  Task<> remove(Instant deadline, Actor actor, UserId id);
  Task<> reject(Instant deadline, Actor actor, UserId id);
  Task<> remove_account(Instant deadline, Actor actor, AccountId id);
  Task<> change_password(Instant deadline, Actor actor, UserId id, PasswordChange change);

  // Other identity providers.
  Task<IdpConnector> add_connector(Instant deadline, Actor actor, IdpConnectorChange change);
  Task<IdpConnector> change_connector(Instant deadline, Actor actor, std::string id,
                                      IdpConnectorChange change);
  Task<> remove_connector(Instant deadline, Actor actor, std::string id);

  Task<NewInvite> invite(Instant deadline, Actor actor, CreateInvite command);
  Task<NewInvite> regenerate_invite(Instant deadline, Actor actor, RegenerateInvite command);
  Task<FoundInvite> find_invite(Instant deadline, std::string token);
  Task<User> accept_invite(Instant deadline, std::string token, Secret password);

  /// Does what somebody who died left undone: logins without a user end, and sessions of blocked
  /// ones; the activity log is told of changes at the provider. Until it is cancelled.
  boost::asio::awaitable<void> run(Clock& clock);

  /// Errors   kFailedPrecondition: there is no embedded provider.
  [[nodiscard]] Result<> check_invites() const;
  [[nodiscard]] IdentityProvider* provider() const { return provider_; }

 private:
  Task<SetUp> first_owner(Instant deadline, FirstOwner owner);
  Task<Secret> first_token(Instant deadline, IdpUser user, std::int64_t days);
  boost::asio::awaitable<void> end_logins(UserId id);
  [[nodiscard]] bool has_login(const UserId& id) const;
  boost::asio::awaitable<void> finish_logins(Instant deadline);
  /// Carries what the provider has noted into the activity log; what fails is done later.
  boost::asio::awaitable<void> tell_notes(Instant deadline);
  /// Takes the login back, or ends what is left of it; never an error for the caller. What fails
  /// here is done later (run()).
  boost::asio::awaitable<void> forget(UserId id);

  AccountCommands& commands_;
  IdentityStore& identities_;
  Catalog& catalog_;
  IdentityProvider* const provider_;
  const PeopleOptions options_;
  const Logger log_;
};

/// A bare mail address: one '@', nothing around it, no blanks or controls.
[[nodiscard]] bool is_mail_address(std::string_view text);

}  // namespace nb::management::app
