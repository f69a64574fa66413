// Invitations to become a user. Source: contract/rest-api.md §7.5.
#include "base/text.h"
#include "crypto/access_token.h"
#include "management/store/edits/perform.h"
#include "management/store/edits/user_sql.h"
#include "management/store/open_logins.h"

#include <algorithm>

namespace nb::management::work {
namespace {

constexpr std::string_view kColumns =
    "id, account_id, email, name, role, auto_groups, expires_at, created_at, created_by";
constexpr std::string_view kUnknown = "user invite not found";

crypto::FieldPlace place(std::string_view column, const InviteId& id) {
  return {"user_invites", column, id.value()};
}

UserInvite read_invite(const Context& context, const sql::Row& raw) {
  sql::RowReader row(raw);
  columns::Damage damage;
  UserInvite out;
  out.id = InviteId(row.string());
  out.account_id = AccountId(row.string());
  out.email = context.codec.open_or_plain(row.text(), place("email", out.id));
  out.name = context.codec.open_or_plain(row.text(), place("name", out.id));
  out.role = row.string();
  out.auto_groups = columns::read_ids<GroupId>(row.text(), damage);
  out.expires_at = row.time();
  out.created_at = row.time();
  out.created_by = UserId(row.string());
  context.report(damage, "user invite", out.id.value());
  return out;
}

Result<std::vector<UserInvite>> all_invites(AccountEdit& edit) {
  static const std::string kText = fmt::format(
      "SELECT {} FROM user_invites WHERE account_id = $1 ORDER BY created_at, id", kColumns);
  NB_LET(const sql::Rows rows, edit.session().query(kText, {edit.account_id().value()}));
  std::vector<UserInvite> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(read_invite(edit.context(), rows[i]));
  return out;
}

Result<UserInvite> find_invite(AccountEdit& edit, const InviteId& id) {
  NB_LET(const std::vector<UserInvite> all, all_invites(edit));
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const UserInvite& invite) { return invite.id == id; });
  if (it == all.end()) return fail(Code::kNotFound, std::string(kUnknown));
  return *it;
}

Result<WallTime> expiry(AccountEdit& edit, std::int64_t seconds) {
  if (seconds <= 0) seconds = kInviteSecondsDefault;
  if (seconds < kInviteSecondsMin)
    return fail(Code::kInvalidArgument, "invite expiration must be at least 1 hour");
  if (seconds > kInviteSecondsMax)
    return fail(Code::kInvalidArgument, "invite expiration must be at most 365 days");
  return edit.now() + std::chrono::seconds(seconds);
}

Result<> check_no_invite(AccountEdit& edit, const std::string& email) {
  NB_LET(const std::vector<UserInvite> all, all_invites(edit));
  const bool open = std::any_of(all.begin(), all.end(), [&](const UserInvite& invite) {
    return equals_ignore_case(invite.email, email);
  });
  if (open) return fail(Code::kAlreadyExists, "invite already exists for this email");
  return {};
}

Result<> insert_invite(AccountEdit& edit, const UserInvite& invite, const std::string& hash) {
  const FieldCodec& codec = edit.context().codec;
  NB_TRY(edit.session().exec(
      "INSERT INTO user_invites (id, account_id, email, name, role, auto_groups, hashed_token, "
      "expires_at, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
      {invite.id.value(), invite.account_id.value(),
       codec.seal(invite.email, place("email", invite.id)),
       codec.seal(invite.name, place("name", invite.id)), invite.role,
       columns::ids(invite.auto_groups), hash, invite.expires_at, invite.created_at,
       invite.created_by.value()}));
  return {};
}

Result<std::string> hash_of(const std::string& token) {
  const auto known = crypto::check_token(crypto::TokenKind::kInvite, token);
  if (!known) return fail(Code::kInvalidArgument, "invalid invite token: {}", known.error().text);
  return crypto::hash_token(token);
}

/// Some of the groups may have gone since the invitation.
Result<std::vector<GroupId>> remaining_groups(AccountEdit& edit, const std::vector<GroupId>& ids) {
  NB_LET(const HeldGroups held, edit.hold_groups(ids));
  std::vector<GroupId> out = ids;
  std::erase_if(out, [&](const GroupId& id) {
    const auto it = held.find(id);
    return it == held.end() || it->second == kGroupAllName;
  });
  return out;
}

}  // namespace

Result<NewInvite> perform(AccountEdit& edit, const CreateInvite& command) {
  NewInvite out;
  UserInvite& invite = out.invite;
  NB_LET(invite.role,
         check_new_human(edit, {command.name, command.email, command.role, command.auto_groups},
                         "user with this email already exists"));
  NB_TRY(check_no_invite(edit, command.email));
  NB_LET(invite.expires_at, expiry(edit, command.expires_in_seconds));
  out.plain = crypto::generate_token(crypto::TokenKind::kInvite, edit.context().random);
  invite.id = InviteId(edit.new_id());
  invite.account_id = edit.account_id();
  invite.email = command.email;
  invite.name = command.name;
  invite.auto_groups = without_repetitions(command.auto_groups);
  invite.created_at = edit.now();
  invite.created_by = edit.actor().user;
  NB_TRY(insert_invite(edit, invite, crypto::hash_token(out.plain.reveal())));
  edit.event(Activity::kInviteCreated, invite.id.value(), {{"email", invite.email}});
  return out;
}

Result<NewInvite> perform(AccountEdit& edit, const RegenerateInvite& command) {
  NewInvite out;
  NB_LET(out.invite, find_invite(edit, command.id));
  NB_LET(out.invite.expires_at, expiry(edit, command.expires_in_seconds));
  out.invite.created_by = edit.actor().user;
  out.plain = crypto::generate_token(crypto::TokenKind::kInvite, edit.context().random);
  NB_TRY(edit.session().exec(
      "UPDATE user_invites SET hashed_token = $2, expires_at = $3, created_by = $4 WHERE id = $1",
      {out.invite.id.value(), crypto::hash_token(out.plain.reveal()), out.invite.expires_at,
       out.invite.created_by.value()}));
  edit.event(Activity::kInviteRegenerated, out.invite.id.value(), {{"email", out.invite.email}});
  return out;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteInvite& command) {
  NB_LET(const UserInvite invite, find_invite(edit, command.id));
  NB_TRY(edit.session().exec("DELETE FROM user_invites WHERE id = $1", {invite.id.value()}));
  edit.event(Activity::kInviteDeleted, invite.id.value(), {{"email", invite.email}});
  return Nothing{};
}

Result<std::vector<UserInvite>> perform(AccountEdit& edit, const ListInvites& /*command*/) {
  return all_invites(edit);
}

Result<FoundInvite> perform(AccountEdit& edit, const FindInvite& command) {
  static const std::string kText =
      fmt::format("SELECT {} FROM user_invites WHERE hashed_token = $1", kColumns);
  NB_LET(const std::string hash, hash_of(command.token));
  NB_LET(const sql::Rows rows, edit.session().query(kText, {hash}));
  if (rows.empty()) return fail(Code::kNotFound, std::string(kUnknown));
  FoundInvite out;
  out.invite = read_invite(edit.context(), rows[0]);
  out.valid = !out.invite.expired_at(edit.now());
  ObjectReader reader(edit.session(), edit.context(), out.invite.account_id);
  const std::vector<std::string> creator = {out.invite.created_by.value()};
  NB_LET(const std::vector<User> users, reader.users(&creator));
  if (!users.empty())
    out.invited_by = users[0].is_service_user ? users[0].service_user_name : users[0].name;
  return out;
}

Result<User> perform(AccountEdit& edit, const AcceptInvite& command) {
  // Whoever deletes the row has it: of two at the same time the second finds nothing.
  static const std::string kText = fmt::format(
      "DELETE FROM user_invites WHERE account_id = $1 AND hashed_token = $2 RETURNING {}",
      kColumns);
  NB_LET(const std::string hash, hash_of(command.token));
  NB_LET(const sql::Rows rows, edit.session().query(kText, {edit.account_id().value(), hash}));
  if (rows.empty()) return fail(Code::kNotFound, std::string(kUnknown));
  const UserInvite invite = read_invite(edit.context(), rows[0]);
  if (invite.expired_at(edit.now())) return fail(Code::kInvalidArgument, "invite has expired");
  User user;
  user.id = edit.actor().user;
  user.account_id = invite.account_id;
  user.role = invite.role;
  NB_LET(user.auto_groups, remaining_groups(edit, invite.auto_groups));
  user.issued = kIssuedApi;
  user.created_at = edit.now();
  user.name = invite.name;
  user.email = invite.email;
  NB_TRY(insert_new_user(edit, user));
  if (command.closes_login) NB_TRY(open_logins::close(edit.session(), user.id));
  edit.event(Activity::kInviteAccepted, user.id.value(), {{"email", invite.email}});
  return user;
}

}  // namespace nb::management::work
