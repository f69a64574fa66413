#include "management/store/edits/setup_keys.h"

#include "crypto/setup_key.h"
#include "management/store/edits/auto_groups.h"
#include "management/store/edits/perform.h"

namespace nb::management::work {
namespace {

EventMeta key_meta(const SetupKey& key) {
  return {{"name", key.name}, {"type", key.type}, {"key", key.key_secret}};
}

Result<SetupKey> stored_key(AccountEdit& edit, const SetupKeyId& id) {
  auto key = setup_key(edit.session(), edit.context(), edit.account_id(), id);
  if (!key && key.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "setup key: {} not found", id.value());
  return key;
}

}  // namespace

Result<NewSetupKey> perform(AccountEdit& edit, const CreateSetupKey& command) {
  NB_LET(SetupKey key, new_setup_key(command.request, edit.now()));
  key.auto_groups = without_repetitions(key.auto_groups);
  NB_TRY(check_key_groups(edit, key.auto_groups));
  const Secret plain = crypto::generate_setup_key(edit.context().random);
  key.id = SetupKeyId(edit.new_id());
  key.account_id = edit.account_id();
  key.key = SetupKeyHash(crypto::hash_setup_key(plain.reveal()));
  key.key_secret = crypto::setup_key_hint(plain.reveal());
  const rows::Write write = rows::insert_setup_key(key);
  NB_TRY(edit.session().query(write.statement, write.values));
  edit.event(Activity::kSetupKeyCreated, key.id.value(), key_meta(key));
  return NewSetupKey{std::move(key), plain};
}

Result<SetupKey> perform(AccountEdit& edit, const UpdateSetupKey& command) {
  const std::vector<GroupId> groups = without_repetitions(command.auto_groups);
  NB_TRY(check_key_groups(edit, groups));
  NB_LET(SetupKey key, stored_key(edit, command.id));
  if (key.revoked && !command.revoked)
    return fail(Code::kInvalidArgument, "can't un-revoke a revoked setup key");
  const bool revoked = command.revoked && !key.revoked;
  if (!revoked && key.auto_groups == groups) {
    // The column may say it in a damaged way all the same.
    NB_TRY(edit.session().exec(
        "UPDATE setup_keys SET auto_groups = $3 WHERE account_id = $1 AND id = $2 AND auto_groups "
        "<> $3",
        {key.account_id.value(), key.id.value(), columns::ids(groups)}));
    return key;
  }
  const auto moves = difference(key.auto_groups, groups);
  key.auto_groups = groups;
  key.revoked = command.revoked;
  key.updated_at = edit.now();
  NB_TRY(edit.session().exec(
      "UPDATE setup_keys SET auto_groups = $3, revoked = $4, updated_at = $5 WHERE account_id = $1 "
      "AND id = $2",
      {key.account_id.value(), key.id.value(), columns::ids(groups), key.revoked, key.updated_at}));
  if (revoked) edit.event(Activity::kSetupKeyRevoked, key.id.value(), key_meta(key));
  NB_TRY(auto_group_events(edit, key.id.value(), moves, Activity::kGroupAddedToSetupKey,
                           Activity::kGroupRemovedFromSetupKey, {{"setupkey", key.name}}));
  return key;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteSetupKey& command) {
  NB_LET(const SetupKey key, stored_key(edit, command.id));
  NB_TRY(edit.session().exec("DELETE FROM setup_keys WHERE account_id = $1 AND id = $2",
                             {edit.account_id().value(), key.id.value()}));
  edit.event(Activity::kSetupKeyDeleted, key.id.value(), key_meta(key));
  return Nothing{};
}

}  // namespace nb::management::work
