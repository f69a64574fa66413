#include "management/app/people.h"

#include "base/log_keys.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t kPasswordMin = 8;
constexpr std::size_t kPasswordMax = 72;
constexpr std::int64_t kTokenDaysTop = 365;
constexpr auto kCompensation = 15s;
constexpr auto kLookEvery = 10s;
/// Longer than any request lasts. Who is slower all the same is refused, not overtaken.
constexpr auto kOpenFor = 30s;
constexpr std::size_t kFinishedAtOnce = 100;

Actor actor_of(const User& user) {
  return {user.account_id, user.id, user.role, user.is_service_user};
}

Error nowhere() {
  return fail(Code::kInternal, "there is no embedded identity provider");
}

IdpNote note_of(const Actor& actor, Activity activity) {
  IdpNote note;
  note.activity = activity;
  note.actor = actor.user;
  note.account = actor.account;
  return note;
}

Error no_provider() {
  return fail(Code::kFailedPrecondition, "idp manager must be enabled to send user invites");
}

Result<> check_first_owner(const FirstOwner& owner) {
  const auto refuse = [](std::string_view why) { return fail(Code::kInvalidArgument, "{}", why); };
  if (owner.with_token && (owner.token_days < 1 || owner.token_days > kTokenDaysTop))
    return refuse("pat_expire_in must be between 1 and 365");
  if (owner.email.empty()) return refuse("email is required");
  if (!is_mail_address(owner.email)) return refuse("invalid email format");
  if (owner.name.empty()) return refuse("name is required");
  const std::string_view password = owner.password.reveal();
  if (password.empty()) return refuse("password is required");
  if (password.size() < kPasswordMin) return refuse("password must be at least 8 characters");
  if (password.size() > kPasswordMax) return refuse("password must be at most 72 characters");
  if (password.find('\0') != password.npos) return refuse("password must not hold a NUL byte");
  return {};
}

}  // namespace

bool is_mail_address(std::string_view text) {
  if (text.size() < 3 || text.size() > 254) return false;
  const auto at = text.find('@');
  if (at == 0 || at == text.npos || at + 1 == text.size()) return false;
  if (text.find('@', at + 1) != text.npos) return false;
  const auto bad = [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7F || c == '<' || c == '>' || c == '(' ||
           c == ')' || c == ',' || c == ';' || c == ':' || c == '\\' || c == '"' || c == '[' ||
           c == ']';
  };
  if (std::any_of(text.begin(), text.end(), bad)) return false;
  const std::string_view domain = text.substr(at + 1);
  return domain.front() != '.' && domain.back() != '.' && domain.find("..") == domain.npos;
}

People::People(AccountCommands& commands, IdentityStore& identities, Catalog& catalog,
               IdentityProvider* provider, PeopleOptions options, Logger log)
    : commands_(commands),
      identities_(identities),
      catalog_(catalog),
      provider_(provider),
      options_(std::move(options)),
      log_(std::move(log)) {}

bool People::has_login(const UserId& id) const {
  return provider_ != nullptr && decode_subject(id.value());
}

asio::awaitable<void> People::forget(UserId id) {
  if (!has_login(id)) co_return;
  const Instant until = std::chrono::steady_clock::now() + kCompensation;
  const auto done = co_await provider_->delete_user(until, id);
  if (!done && done.error().code != Code::kNotFound) {
    log_.warn("a login without a user stays at the identity provider for now",
              {log::f(log::kError, done.error().text)});
    co_return;
  }
  OpenLogin login{std::move(id)};
  const auto noted = co_await identities_.forget_login(until, std::move(login));
  ignore(noted, "it is ended once more a moment later, which changes nothing");
}

asio::awaitable<void> People::run(Clock& clock) {
  if (provider_ == nullptr) co_return;
  for (;;) {
    co_await clock.sleep_for(kLookEvery);
    co_await finish_logins(clock.now() + kCompensation);
    co_await tell_notes(clock.now() + kCompensation);
  }
}

asio::awaitable<void> People::finish_logins(Instant deadline) {
  const auto left = co_await identities_.take_open_logins(deadline, kOpenFor, kFinishedAtOnce);
  if (!left) {
    log_.debug("logins without users were not looked for",
               {log::f(log::kError, left.error().text)});
    co_return;
  }
  for (const OpenLogin& login : *left) {
    log_.info(login.sessions_only ? "sessions that were left to a blocked user are ended"
                                  : "a login that was left without a user is ended",
              {log::f(log::kUser, login.user.value())});
    UserId user = login.user;
    if (login.sessions_only)
      co_await end_logins(std::move(user));
    else
      co_await forget(std::move(user));
  }
}

asio::awaitable<void> People::tell_notes(Instant deadline) {
  const auto notes = co_await provider_->notes(deadline, kFinishedAtOnce);
  if (!notes) {
    log_.debug("changes at the identity provider were not looked for",
               {log::f(log::kError, notes.error().text)});
    co_return;
  }
  for (const IdpNote& note : *notes) {
    Event event;
    event.at = note.at;
    event.activity = note.activity;
    event.initiator_id = note.actor.value();
    event.target_id = note.target;
    event.account_id = note.account;
    if (!note.name.empty()) event.meta.emplace_back("name", note.name);
    const auto told = co_await identities_.tell(deadline, note.key, std::move(event));
    if (!told) {
      log_.limited().warn("a change at the identity provider is not in the activity log yet",
                          {log::f(log::kError, told.error().text)});
      co_return;
    }
    const auto forgotten = co_await provider_->forget_note(deadline, note.key);
    ignore(forgotten, "it is told once more a moment later, which changes nothing");
  }
}

asio::awaitable<void> People::end_logins(UserId id) {
  if (!has_login(id)) co_return;
  const Instant until = std::chrono::steady_clock::now() + kCompensation;
  const auto done = co_await provider_->end_logins(until, id);
  if (!done) {
    log_.warn("a blocked user stays logged in at the identity provider for now",
              {log::f(log::kError, done.error().text)});
    co_return;
  }
  OpenLogin login{std::move(id), true};
  const auto noted = co_await identities_.forget_login(until, std::move(login));
  ignore(noted, "they are ended once more a moment later, which changes nothing");
}

Task<bool> People::set_up_required(Instant deadline) {
  if (provider_ == nullptr) co_return false;
  const auto accounts = co_await catalog_.has_accounts(deadline);
  if (!accounts) co_return accounts.error();
  if (*accounts) co_return false;
  const auto users = co_await provider_->has_local_users(deadline);
  if (!users) co_return users.error();
  co_return !*users;
}

Task<Secret> People::first_token(Instant deadline, IdpUser user, std::int64_t days) {
  Enrolment person;
  person.user = user.id;
  person.name = user.name;
  person.email = user.email;
  person.private_domain = options_.single_account_domain;
  person.single_account = true;
  person.default_policy = options_.default_policy;
  person.closes_login = true;
  auto enrolled = co_await identities_.enrol(deadline, std::move(person));
  if (!enrolled) co_return std::move(enrolled).error();
  const User owner = enrolled->known.user;
  CreateToken command{owner.id, "setup-token", days};
  auto token = co_await commands_.execute(deadline, actor_of(owner), std::move(command));
  if (token) co_return std::move(token->plain);
  if (enrolled->how == Enrolled::How::kFounded) {
    DeleteAccount undo{owner.account_id, true};
    const auto undone = co_await commands_.execute(deadline, actor_of(owner), std::move(undo));
    if (!undone)
      log_.error("the account of a failed set-up stays",
                 {log::f(log::kError, undone.error().text)});
  }
  co_return std::move(token).error();
}

// Everybody can try this until somebody has: what was tried, and from where, is worth a line.
Task<SetUp> People::set_up(Instant deadline, FirstOwner owner) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const std::string address = owner.address;
  auto done = co_await first_owner(deadline, std::move(owner));
  if (done)
    log_.info("instance set up", {log::f(log::kAddress, address)});
  else
    log_.limited().warn("set-up refused",
                        {log::f(log::kAddress, address), log::f(log::kReason, done.error().text)});
  co_return done;
}

Task<SetUp> People::first_owner(Instant deadline, FirstOwner owner) {
  if (const auto good = check_first_owner(owner); !good) co_return good.error();
  if (provider_ == nullptr) co_return fail(Code::kInternal, "there is no embedded provider");
  const auto accounts = co_await catalog_.has_accounts(deadline);
  if (!accounts) co_return accounts.error();
  if (*accounts) co_return fail(Code::kFailedPrecondition, "setup already completed");
  NewIdpUser login{.email = owner.email,
                   .name = owner.name,
                   .password = std::move(owner.password),
                   .rule = PasswordRule::kLength};
  // Without a token the login is all: its owner founds the account by coming.
  if (owner.with_token) {
    login.id = provider_->new_user_id();
    NB_CO_TRY(co_await identities_.open_login(deadline, login.id));
  }
  const UserId opened = login.id;
  // Which of several set-ups is the first is decided there, under a lock of the deployment.
  auto made = co_await provider_->create_first_user(deadline, std::move(login));
  if (!made && owner.with_token) co_await forget(opened);
  if (!made && made.error().code == Code::kFailedPrecondition)
    co_return fail(Code::kFailedPrecondition, "setup already completed");
  if (!made) co_return std::move(made).error();
  SetUp out{made->user.id, made->user.email, Secret()};
  if (owner.with_token) {
    auto token = co_await first_token(deadline, made->user, owner.token_days);
    if (!token) {
      co_await forget(made->user.id);
      co_return std::move(token).error();
    }
    out.token = *std::move(token);
  }
  co_return out;
}

Task<AddedPerson> People::add(Instant deadline, Actor actor, NewPerson person) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (provider_ == nullptr) co_return no_provider();
  CheckNewUser check{person.name, person.email, person.role, person.auto_groups};
  auto checked = co_await commands_.execute(deadline, actor, std::move(check));
  const bool taken = !checked && checked.error().code == Code::kAlreadyExists;
  if (!checked && !taken) co_return std::move(checked).error();
  if (provider_->local_auth_disabled())
    co_return fail(Code::kFailedPrecondition,
                   "local user creation is disabled - use an external identity provider");
  if (taken)
    co_return fail(Code::kAlreadyExists, "can't invite a user with an existing NetBird account");
  NewIdpUser login{
      .id = provider_->new_user_id(), .email = person.email, .name = person.name, .password = {}};
  const UserId id = login.id;
  NB_CO_TRY(co_await identities_.open_login(deadline, id));
  auto made = co_await provider_->create_user(deadline, std::move(login));
  if (!made) {
    co_await forget(id);
    if (made.error().code == Code::kAlreadyExists)
      co_return fail(Code::kAlreadyExists, "can't invite a user with an existing NetBird account");
    co_return std::move(made).error();
  }
  AddUser command;
  command.id = made->user.id;
  command.closes_login = true;
  command.name = std::move(person.name);
  command.email = std::move(person.email);
  command.role = std::move(person.role);
  command.auto_groups = std::move(person.auto_groups);
  auto user = co_await commands_.execute(deadline, std::move(actor), std::move(command));
  if (!user) {
    co_await forget(made->user.id);
    co_return std::move(user).error();
  }
  co_return AddedPerson{*std::move(user), std::move(made->password)};
}

Task<User> People::update(Instant deadline, Actor actor, UpdateUser command) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  command.ends_sessions = has_login(command.id);
  auto user = co_await commands_.execute(deadline, std::move(actor), std::move(command));
  if (user && user->blocked) co_await end_logins(user->id);
  co_return user;
}

Task<> People::remove(Instant deadline, Actor actor, UserId id) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const bool login = has_login(id);
  DeleteUser command{std::move(id), login};
  auto gone = co_await commands_.execute(deadline, std::move(actor), std::move(command));
  if (!gone) co_return std::move(gone).error();
  co_await forget(gone->id);
  co_return Result<>{};
}

Task<> People::reject(Instant deadline, Actor actor, UserId id) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  const bool login = has_login(id);
  RejectUser command{std::move(id), login};
  auto gone = co_await commands_.execute(deadline, std::move(actor), std::move(command));
  if (!gone) co_return std::move(gone).error();
  co_await forget(gone->id);
  co_return Result<>{};
}

Task<> People::remove_account(Instant deadline, Actor actor, AccountId id) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  DeleteAccount command{std::move(id), provider_ != nullptr};
  auto users = co_await commands_.execute(deadline, std::move(actor), std::move(command));
  if (!users) co_return std::move(users).error();
  for (const UserId& user : *users) co_await forget(user);
  co_return Result<>{};
}

Task<> People::change_password(Instant deadline, Actor actor, UserId id, PasswordChange change) {
  if (provider_ == nullptr)
    co_return fail(Code::kFailedPrecondition,
                   "password change is only available with embedded identity provider");
  if (change.old_password.empty())
    co_return fail(Code::kInvalidArgument, "old password is required");
  if (change.new_password.empty())
    co_return fail(Code::kInvalidArgument, "new password is required");
  const auto failed = [](std::string_view why) {
    return fail(Code::kInvalidArgument, "failed to update password: {}", why);
  };
  if (actor.user != id) co_return failed("users can only change their own password");
  if (const auto good = check_password(change.new_password, PasswordRule::kComplex); !good)
    co_return failed(good.error().text);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  change.note = note_of(actor, Activity::kUserPasswordChanged);
  change.note.target = id.value();
  auto changed = co_await provider_->change_password(deadline, id, std::move(change));
  if (!changed) {
    const Error& error = changed.error();
    if (error.code == Code::kInvalidArgument || error.code == Code::kNotFound ||
        error.code == Code::kPermissionDenied || error.code == Code::kUnauthenticated)
      co_return failed(error.text);
    co_return error;
  }
  co_await tell_notes(deadline);
  co_return Result<>{};
}

Task<IdpConnector> People::add_connector(Instant deadline, Actor actor, IdpConnectorChange change) {
  if (provider_ == nullptr) co_return nowhere();
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  change.note = note_of(actor, Activity::kIdentityProviderCreated);
  auto made = co_await provider_->create_connector(deadline, std::move(change));
  if (made) co_await tell_notes(deadline);
  co_return made;
}

Task<IdpConnector> People::change_connector(Instant deadline, Actor actor, std::string id,
                                            IdpConnectorChange change) {
  if (provider_ == nullptr) co_return nowhere();
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  change.note = note_of(actor, Activity::kIdentityProviderUpdated);
  auto stored = co_await provider_->update_connector(deadline, std::move(id), std::move(change));
  if (stored) co_await tell_notes(deadline);
  co_return stored;
}

Task<> People::remove_connector(Instant deadline, Actor actor, std::string id) {
  if (provider_ == nullptr) co_return nowhere();
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  IdpNote note = note_of(actor, Activity::kIdentityProviderDeleted);
  auto gone = co_await provider_->delete_connector(deadline, std::move(id), std::move(note));
  if (gone) co_await tell_notes(deadline);
  co_return gone;
}

Result<> People::check_invites() const {
  if (provider_ == nullptr)
    return fail(Code::kFailedPrecondition,
                "invite links are only available with embedded identity provider");
  return {};
}

Task<NewInvite> People::invite(Instant deadline, Actor actor, CreateInvite command) {
  if (const auto possible = check_invites(); !possible) co_return possible.error();
  if (provider_->local_auth_disabled())
    co_return fail(Code::kFailedPrecondition,
                   "local user creation is disabled - use an external identity provider");
  co_return co_await commands_.execute(deadline, std::move(actor), std::move(command));
}

Task<NewInvite> People::regenerate_invite(Instant deadline, Actor actor, RegenerateInvite command) {
  if (const auto possible = check_invites(); !possible) co_return possible.error();
  co_return co_await commands_.execute(deadline, std::move(actor), std::move(command));
}

Task<FoundInvite> People::find_invite(Instant deadline, std::string token) {
  if (const auto possible = check_invites(); !possible) co_return possible.error();
  FindInvite command{std::move(token)};
  // Named: gcc 12 destroys an aggregate twice that is made inside a co_await expression.
  Actor nobody;
  co_return co_await commands_.execute(deadline, std::move(nobody), std::move(command));
}

Task<User> People::accept_invite(Instant deadline, std::string token, Secret password) {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (const auto possible = check_invites(); !possible) co_return possible.error();
  if (provider_->local_auth_disabled())
    co_return fail(Code::kFailedPrecondition,
                   "local user creation is disabled - use an external identity provider");
  auto found = co_await find_invite(deadline, token);
  if (!found) co_return std::move(found).error();
  if (!found->valid) co_return fail(Code::kInvalidArgument, "invite has expired");
  if (password.empty()) co_return fail(Code::kInvalidArgument, "password is required");
  if (const auto good = check_password(password, PasswordRule::kComplex); !good)
    co_return fail(Code::kInvalidArgument, "invalid password: {}", good.error().text);
  const UserInvite& invite = found->invite;
  NewIdpUser login{.id = provider_->new_user_id(),
                   .email = invite.email,
                   .name = invite.name,
                   .password = std::move(password)};
  const UserId id = login.id;
  NB_CO_TRY(co_await identities_.open_login(deadline, id));
  auto made = co_await provider_->create_user(deadline, std::move(login));
  if (!made) {
    co_await forget(id);
    // Somebody accepted it a moment ago: there is no invite any more.
    if (made.error().code == Code::kAlreadyExists)
      co_return fail(Code::kNotFound, "user invite not found");
    co_return std::move(made).error();
  }
  Actor actor{invite.account_id, made->user.id, invite.role, false};
  AcceptInvite command{std::move(token), true};
  auto user = co_await commands_.execute(deadline, std::move(actor), std::move(command));
  if (!user) co_await forget(made->user.id);
  co_return user;
}

}  // namespace nb::management::app
