#include "management/store/edits/users.h"

#include "base/text.h"
#include "crypto/random.h"
#include "management/domain/permissions.h"
#include "management/domain/user_rules.h"
#include "management/store/edits/auto_groups.h"
#include "management/store/edits/membership.h"
#include "management/store/edits/peer_deletion.h"
#include "management/store/edits/perform.h"
#include "management/store/edits/user_sql.h"
#include "management/store/open_logins.h"

#include <algorithm>

namespace nb::management::work {
namespace {

constexpr std::size_t kMailBytesMax = 254;
constexpr std::string_view kEmailTaken = "can't invite a user with an existing NetBird account";

Result<std::string> role_of(const std::string& text, bool service_user) {
  auto role = parse_role(text);
  if (!role) return fail(Code::kInvalidArgument, "unknown user role {}", text);
  if (*role == kRoleOwner)
    return fail(Code::kInvalidArgument, "{}",
                service_user ? "can't create a service user with owner role"
                             : "can't invite a user with owner role");
  return *std::move(role);
}

EventMeta group_meta(const User& user) {
  return {{"is_service_user", user.is_service_user}, {"user_name", user.service_user_name}};
}

/// Events of what is different; before rows are written.
void change_events(AccountEdit& edit, const User& before, const User& after, bool transferred) {
  const std::string& id = after.id.value();
  if (before.blocked != after.blocked)
    edit.event(after.blocked ? Activity::kUserBlocked : Activity::kUserUnblocked, id);
  if (transferred)
    edit.event(Activity::kOwnerRoleTransferred, id);
  else if (before.role != after.role)
    edit.event(Activity::kUserRoleUpdated, id, {{"role", after.role}});
}

/// Peers follow the user's groups while propagation is on.
Result<> propagate(AccountEdit& edit, const User& before, const User& after) {
  const auto moves = difference(before.auto_groups, after.auto_groups);
  if (moves.added.empty() && moves.removed.empty()) return {};
  NB_LET(const Account* account, edit.account());
  if (!account->settings.groups_propagation_enabled) return {};
  NB_TRY(move_user_peers(edit, after.id, moves));
  return auto_group_events(edit, after.id.value(), moves, Activity::kGroupAddedToUser,
                           Activity::kGroupRemovedFromUser, group_meta(after));
}

Result<> demote(AccountEdit& edit, const UserId& id) {
  NB_LET(User owner, edit.lock<User>(id));
  owner.role = kRoleAdmin;
  return update_user_row(edit, owner);
}

Result<User> change_user(AccountEdit& edit, const User& target, const UserChange& change) {
  NB_LET(const User initiator, initiator_of(edit));
  NB_TRY(check_user_change(initiator, target, change));
  NB_TRY(check_user_groups(edit, target.id.value(), change.auto_groups));
  User after = target;
  after.role = change.role;
  after.blocked = change.blocked;
  // Unblocking is a decision about the person: nothing is left to approve.
  if (!after.blocked) after.pending_approval = false;
  after.auto_groups = change.auto_groups;
  if (after.role == target.role && after.blocked == target.blocked &&
      after.auto_groups == target.auto_groups && !edit.is_damaged(target.id))
    return after;
  const bool transferred = transfers_ownership(initiator, target, change);
  if (transferred) NB_TRY(demote(edit, initiator.id));
  change_events(edit, target, after, transferred);
  NB_TRY(propagate(edit, target, after));
  if (after.blocked && !target.blocked)
    NB_TRY(expire_peers_of(edit, after.id, "blocked owner account"));
  NB_TRY(update_user_row(edit, after));
  return after;
}

std::string rfc3339(const std::optional<WallTime>& time) {
  if (!time) return {};
  std::string text = sql::format_time(*time);
  text.at(10) = 'T';
  return text.substr(0, text.find('+')) + "Z";
}

/// Name and mail of a deleted user are kept apart and sealed, so that listings can show them while
/// the log of events itself has no personal data (contract/schema/README.md "Events database").
EventMeta deletion_meta(AccountEdit& edit, const User& user) {
  const FieldCodec& codec = edit.context().codec;
  const std::string& id = user.id.value();
  return {{"name", codec.seal(user.name, {"deleted_users", "name", id})},
          {"email", codec.seal(user.email, {"deleted_users", "email", id})},
          {"created_at", rfc3339(user.created_at)},
          {"issued", user.issued}};
}

Result<> delete_peers_of(AccountEdit& edit, const UserId& user) {
  NB_LET(const sql::Rows rows,
         edit.session().query(
             "SELECT id FROM peers WHERE account_id = $1 AND user_id = $2 ORDER BY id",
             {edit.account_id().value(), user.value()}));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto peer = edit.lock<Peer>(PeerId(rows[i].string(0)));
    if (!peer && peer.error().code == Code::kNotFound) continue;  // gone meanwhile
    NB_TRY(peer);
    NB_TRY(delete_peer(edit, *peer));
  }
  return {};
}

Result<> delete_user(AccountEdit& edit, const User& target) {
  NB_LET(const User initiator, initiator_of(edit));
  NB_TRY(check_user_deletion(initiator, target));
  const std::string& id = target.id.value();
  if (target.is_service_user)
    edit.event(Activity::kServiceUserDeleted, id,
               {{"name", target.service_user_name}, {"created_at", rfc3339(target.created_at)}});
  NB_TRY(delete_peers_of(edit, target.id));
  if (!target.is_service_user) edit.event(Activity::kUserDeleted, id, deletion_meta(edit, target));
  NB_TRY(edit.session().exec("DELETE FROM personal_access_tokens WHERE user_id = $1", {id}));
  return edit.erase<User>(target.id);
}

Result<User> pending_user(AccountEdit& edit, const UserId& id) {
  NB_LET(User user, edit.lock<User>(id));
  if (!user.pending_approval)
    return fail(Code::kInvalidArgument, "user {} is not pending approval", id.value());
  return user;
}

}  // namespace

Result<User> initiator_of(AccountEdit& edit) {
  if (!edit.actor().user.empty()) return edit.get<User>(edit.actor().user);
  User system;
  system.account_id = edit.account_id();
  system.role = kRoleOwner;
  system.is_service_user = true;
  return system;
}

Result<> insert_new_user(AccountEdit& edit, const User& user) {
  edit.changes().touched(user.id);
  NB_LET(const sql::Rows taken,
         edit.session().query("SELECT 1 FROM users WHERE id = $1", {user.id.value()}));
  if (!taken.empty()) return fail(Code::kAlreadyExists, "user {} already exists", user.id.value());
  const rows::Write write = rows::insert_user(user, edit.context().codec);
  NB_TRY(edit.session().query(write.statement, write.values));
  return {};
}

Result<> update_user_row(AccountEdit& edit, const User& user) {
  edit.changes().touched(user.id);
  NB_TRY(edit.session().exec(
      "UPDATE users SET role = $2, blocked = $3, pending_approval = $4, auto_groups = $5 WHERE id "
      "= $1",
      {user.id.value(), user.role, user.blocked, user.pending_approval,
       columns::ids(user.auto_groups)}));
  return {};
}

Result<std::string> check_new_human(AccountEdit& edit, const NewHuman& human,
                                    std::string_view email_taken) {
  if (human.name.empty()) return fail(Code::kInvalidArgument, "name can't be empty");
  if (human.email.empty()) return fail(Code::kInvalidArgument, "email can't be empty");
  // RFC 5321 §4.5.3.1.3; and an index of PostgreSQL takes no more than 2,704 bytes.
  if (human.email.size() > kMailBytesMax)
    return fail(Code::kInvalidArgument, "email is longer than {} bytes", kMailBytesMax);
  NB_LET(std::string role, role_of(human.role, false));
  // Mails are sealed in the database: compared here.
  NB_LET(const std::vector<User> users, edit.get_all<User>());
  const bool taken = std::any_of(users.begin(), users.end(), [&](const User& user) {
    return equals_ignore_case(user.email, human.email);
  });
  if (taken) return fail(Code::kAlreadyExists, "{}", email_taken);
  NB_TRY(check_user_groups(edit, human.email, human.auto_groups));
  return role;
}

Result<User> perform(AccountEdit& edit, const CreateServiceUser& command) {
  User user;
  NB_LET(user.role, role_of(command.role, true));
  user.id = UserId(crypto::make_uuid(edit.context().random));
  user.account_id = edit.account_id();
  user.is_service_user = true;
  user.service_user_name = command.name;
  user.auto_groups = without_repetitions(command.auto_groups);
  user.issued = kIssuedApi;
  user.created_at = edit.now();
  NB_TRY(check_user_groups(edit, user.id.value(), user.auto_groups));
  NB_TRY(insert_new_user(edit, user));
  edit.event(Activity::kServiceUserCreated, user.id.value(), {{"name", command.name}});
  return user;
}

Result<Nothing> perform(AccountEdit& edit, const CheckNewUser& command) {
  NB_TRY(check_new_human(edit, {command.name, command.email, command.role, command.auto_groups},
                         kEmailTaken));
  return Nothing{};
}

Result<User> perform(AccountEdit& edit, const AddUser& command) {
  User user;
  NB_LET(user.role,
         check_new_human(edit, {command.name, command.email, command.role, command.auto_groups},
                         kEmailTaken));
  user.id = command.id;
  user.account_id = edit.account_id();
  user.name = command.name;
  user.email = command.email;
  user.auto_groups = without_repetitions(command.auto_groups);
  user.issued = kIssuedApi;
  user.created_at = edit.now();
  NB_TRY(insert_new_user(edit, user));
  if (command.closes_login) NB_TRY(open_logins::close(edit.session(), user.id));
  edit.event(command.invited ? Activity::kUserInvited : Activity::kUserCreated, user.id.value());
  return user;
}

Result<User> perform(AccountEdit& edit, const UpdateUser& command) {
  NB_LET(const User target, edit.lock<User>(command.id));
  const auto role = parse_role(command.role);
  if (!role) return fail(Code::kInvalidArgument, "invalid user role");
  auto changed =
      change_user(edit, target, {*role, without_repetitions(command.auto_groups), command.blocked});
  if (changed && changed->blocked && command.ends_sessions)
    NB_TRY(open_logins::open_sessions(edit.session(), changed->id));
  if (changed || edit.session().reported(changed.error())) return changed;
  return fail(changed.error().code, "failed to process update for user {}: {}", command.id.value(),
              changed.error().text);
}

Result<User> perform(AccountEdit& edit, const DeleteUser& command) {
  if (!edit.actor().user.empty() && command.id == edit.actor().user)
    return fail(Code::kInvalidArgument, "self deletion is not allowed");
  NB_LET(const User target, edit.lock<User>(command.id));
  NB_TRY(delete_user(edit, target));
  if (command.opens_login && !target.is_service_user)
    NB_TRY(open_logins::open(edit.session(), target.id));
  return target;
}

Result<User> perform(AccountEdit& edit, const ApproveUser& command) {
  NB_LET(User user, pending_user(edit, command.id));
  user.blocked = false;
  user.pending_approval = false;
  NB_TRY(update_user_row(edit, user));
  edit.event(Activity::kUserApproved, user.id.value());
  return user;
}

Result<User> perform(AccountEdit& edit, const RejectUser& command) {
  NB_LET(const User user, pending_user(edit, command.id));
  NB_TRY(delete_user(edit, user));
  if (command.opens_login) NB_TRY(open_logins::open(edit.session(), user.id));
  edit.event(Activity::kUserRejected, user.id.value());
  return user;
}

}  // namespace nb::management::work
