// Local users as management's port sees them.
#include "base/text.h"
#include "crypto/password.h"
#include "idp/core.h"

#include <algorithm>

namespace nb::idp {
namespace {

using management::IdpUser;
using management::MadeIdpUser;
using management::NewIdpUser;
using management::UserId;

Error not_local() {
  return fail(Code::kNotFound, "user is not a local user");
}

// Encoded, or the bare UUID (contract §3.3).
std::optional<std::string> local_id(const UserId& id) {
  const auto subject = management::decode_subject(id.value());
  if (subject)
    return subject->connector_id == kLocalConnector ? std::optional(subject->user_id)
                                                    : std::nullopt;
  if (id.value().size() != 36 || !clean(id.value())) return std::nullopt;
  return id.value();
}

IdpSubject subject_of(const UserId& id) {
  if (auto subject = management::decode_subject(id.value())) return *std::move(subject);
  return {id.value(), std::string(kLocalConnector)};
}

IdpUser port_user(const LocalUser& user) {
  return {.id = management::encode_subject({user.id, std::string(kLocalConnector)}),
          .email = user.email,
          .name = user.name};
}

// 16 characters: two of each class that the rule asks for, the rest from all, shuffled.
Secret generate_password(crypto::RandomSource& random) {
  constexpr std::string_view kLower = "abcdefghijkmnopqrstuvwxyz";
  constexpr std::string_view kUpper = "ABCDEFGHJKLMNPQRSTUVWXYZ";
  constexpr std::string_view kDigits = "23456789";
  constexpr std::string_view kSpecial = "!@#$%&*";
  const std::string all = std::string(kLower) + std::string(kUpper) + std::string(kDigits);
  std::string text;
  const auto take = [&](std::string_view from, int count) {
    for (int i = 0; i < count; ++i) text += from[random.below(from.size())];
  };
  take(kSpecial, 2);
  take(kDigits, 2);
  take(kUpper, 2);
  take(all, 10);
  for (std::size_t i = text.size() - 1; i > 0; --i) std::swap(text[i], text[random.below(i + 1)]);
  return Secret(std::move(text));
}

}  // namespace

UserId Provider::new_user_id() {
  return management::encode_subject(
      {crypto::make_uuid(core_->random), std::string(kLocalConnector)});
}

Task<bool> Provider::has_local_users(Instant deadline) {
  return core_->store.has_local_users(deadline);
}

Task<MadeIdpUser> Provider::create_first_user(Instant deadline, NewIdpUser user) {
  return make_user(deadline, std::move(user), true);
}

Task<MadeIdpUser> Provider::create_user(Instant deadline, NewIdpUser user) {
  return make_user(deadline, std::move(user), false);
}

Task<MadeIdpUser> Provider::make_user(Instant deadline, NewIdpUser wanted, bool only_first) {
  if (core_->options.local_auth_disabled)
    co_return fail(Code::kFailedPrecondition,
                   "local user creation is disabled - use an external identity provider");
  if (!is_mailbox(wanted.email)) co_return fail(Code::kInvalidArgument, "email is not valid");
  if (wanted.name.empty() || !clean(wanted.name, 255))
    co_return fail(Code::kInvalidArgument, "name is missing or not valid");
  MadeIdpUser made;
  Secret password = wanted.password;
  if (password.empty()) {
    password = generate_password(core_->random);
    made.password = password;
  } else {
    NB_CO_TRY(management::check_password(password, wanted.rule));
  }
  LocalUser user;
  const UserId id = wanted.id.empty() ? new_user_id() : wanted.id;
  const auto local = local_id(id);
  if (!local) co_return fail(Code::kInvalidArgument, "the id is not a local user's");
  user.id = *local;
  user.email = wanted.email;
  user.name = wanted.name;
  NB_CO_LET(user.hash, co_await core_->hasher.hash(password));
  NB_CO_TRY(co_await core_->store.insert_user(deadline, user, only_first));
  made.user = port_user(user);
  co_return made;
}

Task<void> Provider::delete_user(Instant deadline, UserId id) {
  NB_CO_LET(const bool gone, co_await core_->store.delete_user(deadline, subject_of(id)));
  if (!gone) co_return not_local();
  co_return Result<>();
}

Task<IdpUser> Provider::find_user(Instant deadline, UserId id) {
  const auto local = local_id(id);
  if (!local) co_return not_local();
  NB_CO_LET(const std::optional<LocalUser> user,
            co_await core_->store.user_by_id(deadline, *local));
  if (!user) co_return not_local();
  co_return port_user(*user);
}

Task<std::optional<IdpUser>> Provider::find_user_by_email(Instant deadline, std::string email) {
  NB_CO_LET(const std::optional<LocalUser> user,
            co_await core_->store.user_by_email(deadline, std::move(email)));
  co_return user ? std::optional(port_user(*user)) : std::nullopt;
}

Task<bool> Provider::deleted(Instant deadline, UserId id, WallTime issued_at) {
  const auto issued =
      std::chrono::floor<std::chrono::milliseconds>(issued_at).time_since_epoch().count();
  return core_->store.tombstoned(deadline, id.value(), issued);
}

Task<void> Provider::change_password(Instant deadline, UserId id,
                                     management::PasswordChange change) {
  const auto local = local_id(id);
  if (!local) co_return not_local();
  NB_CO_TRY(management::check_password(change.new_password, management::PasswordRule::kComplex));
  NB_CO_LET(const std::optional<LocalUser> user,
            co_await core_->store.user_by_id(deadline, *local));
  if (!user) co_return not_local();
  // The same counters as logins, so that a stolen session cannot guess the password here.
  const std::string account = core_->vault.email_key(user->email);
  NB_CO_LET(const ThrottleVerdict verdict,
            co_await core_->throttle.check(deadline, account, change.address));
  if (verdict.locked)
    co_return fail(Code::kResourceExhausted, "too many failed attempts, try again later");
  if (verdict.delay.count() > 0) co_await core_->clock.sleep_for(verdict.delay);
  const std::string stored = user->hash;
  NB_CO_LET(const bool right, co_await core_->hasher.verify(stored, change.old_password));
  if (!right) {
    NB_CO_TRY(co_await core_->throttle.failed(deadline, account, change.address));
    co_return fail(Code::kUnauthenticated, "the old password is not correct");
  }
  NB_CO_LET(const std::string fresh, co_await core_->hasher.hash(change.new_password));
  change.note.key = core_->new_token();
  NB_CO_LET(const bool replaced,
            co_await core_->store.change_hash(deadline, user->id, stored, fresh, change.note));
  if (!replaced) co_return fail(Code::kAborted, "the password was changed meanwhile");
  co_return co_await core_->throttle.passed(deadline, account, change.address);
}

Task<void> Provider::set_password(Instant deadline, UserId id, Secret password) {
  const auto local = local_id(id);
  if (!local) co_return not_local();
  NB_CO_TRY(management::check_password(password, management::PasswordRule::kComplex));
  NB_CO_LET(const std::string fresh, co_await core_->hasher.hash(password));
  std::string any_hash;
  IdpNote nobody;  // to be told of
  NB_CO_LET(const bool replaced,
            co_await core_->store.change_hash(deadline, *local, std::move(any_hash), fresh,
                                              std::move(nobody)));
  if (!replaced) co_return not_local();
  co_return Result<>();
}

Task<void> Provider::reset_mfa(Instant deadline, UserId id) {
  const auto local = local_id(id);
  if (!local) co_return not_local();
  co_return co_await core_->store.reset_mfa(deadline, *local);
}

Task<void> Provider::end_logins(Instant deadline, UserId id) {
  return core_->store.end_logins(deadline, subject_of(id), "");
}

}  // namespace nb::idp
