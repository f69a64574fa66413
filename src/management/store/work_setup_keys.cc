#include "management/store/store_work.h"

namespace nb::management::work {
namespace {

Event key_event(const Context& context, Activity activity, const SetupKey& key,
                const UserId& initiator) {
  Event event;
  event.at = context.clock.wall();
  event.activity = activity;
  event.initiator_id = initiator.empty() ? kSystemInitiator : initiator.value();
  event.target_id = key.id.value();
  event.account_id = key.account_id;
  event.meta = {{"key", key.key_secret}, {"name", key.name}, {"type", key.type}};
  return event;
}

/// Each must exist and not be All; held so that none is deleted before we commit.
Result<> check_auto_groups(Session& session, const SetupKey& key) {
  if (key.auto_groups.empty()) return {};
  const std::string text =
      fmt::format("SELECT id, name FROM groups WHERE account_id = $1 AND id IN {}{}",
                  json_list(session, 2), locking(session, "FOR KEY SHARE"));
  NB_LET(const sql::Rows rows,
         session.query(text, {key.account_id.value(), columns::ids(key.auto_groups)}));
  for (const GroupId& wanted : key.auto_groups) {
    bool found = false;
    for (std::size_t i = 0; i < rows.size() && !found; ++i) {
      found = rows[i].text(0) == wanted.value();
      if (found && rows[i].text(1) == kGroupAllName)
        return fail(Code::kInvalidArgument, "can't add 'All' group to the setup key");
    }
    if (!found)
      return fail(Code::kInvalidArgument, "auto group {} does not exist in the account",
                  wanted.value());
  }
  return {};
}

Result<SetupKey> read_one(const Context& context, const sql::Rows& rows) {
  if (rows.empty()) return fail(Code::kNotFound, "setup key not found");
  columns::Damage damage;
  sql::RowReader reader(rows[0]);
  SetupKey key = rows::read_setup_key(reader, damage);
  context.report(damage, "setup key", key.id.value());
  return key;
}

std::string select(std::string_view where) {
  return fmt::format("SELECT {} FROM setup_keys k WHERE {}", rows::setup_key_columns(), where);
}

}  // namespace

Result<SetupKey> create_setup_key(Session& session, const Context& context, const SetupKey& key,
                                  const UserId& initiator) {
  NB_TRY(account(session, context, key.account_id));
  NB_TRY(check_auto_groups(session, key));
  const auto stored = insert(session, rows::insert_setup_key(key));
  if (!stored && stored.error().code == Code::kAlreadyExists)
    return fail(Code::kAlreadyExists, "setup key {} exists already", key.id.value());
  NB_TRY(stored);
  NB_TRY(
      add_event(session, context, key_event(context, Activity::kSetupKeyCreated, key, initiator)));
  return key;
}

Result<std::vector<SetupKey>> setup_keys(Session& session, const Context& context,
                                         const AccountId& account_id) {
  static const std::string kText = select("k.account_id = $1 ORDER BY k.created_at, k.id");
  NB_LET(const sql::Rows rows, session.query(kText, {account_id.value()}));
  columns::Damage damage;
  std::vector<SetupKey> out;
  out.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sql::RowReader reader(rows[i]);
    out.push_back(rows::read_setup_key(reader, damage));
  }
  context.report(damage, "setup keys", account_id.value());
  return out;
}

Result<SetupKey> setup_key(Session& session, const Context& context, const AccountId& account_id,
                           const SetupKeyId& id) {
  static const std::string kText = select("k.account_id = $1 AND k.id = $2");
  NB_LET(const sql::Rows rows, session.query(kText, {account_id.value(), id.value()}));
  return read_one(context, rows);
}

Result<SetupKey> setup_key_by_hash(Session& session, const Context& context,
                                   const SetupKeyHash& hash) {
  // Nothing forbids two rows with one hash in an upstream database: the same one is taken each
  // time.
  static const std::string kText = select("k.key = $1 ORDER BY k.id LIMIT 1");
  NB_LET(const sql::Rows rows, session.query(kText, {hash.value()}));
  return read_one(context, rows);
}

Result<SetupKey> revoke_setup_key(Session& session, const Context& context,
                                  const AccountId& account_id, const SetupKeyId& id,
                                  const UserId& initiator) {
  NB_LET(const std::int64_t changed,
         session.exec(
             "UPDATE setup_keys SET revoked = TRUE, updated_at = $3 WHERE account_id = $1 AND id "
             "= $2 AND NOT COALESCE(revoked, FALSE)",
             {account_id.value(), id.value(), context.clock.wall()}));
  NB_LET(SetupKey key, setup_key(session, context, account_id, id));
  if (changed > 0)
    NB_TRY(add_event(session, context,
                     key_event(context, Activity::kSetupKeyRevoked, key, initiator)));
  return key;
}

}  // namespace nb::management::work
