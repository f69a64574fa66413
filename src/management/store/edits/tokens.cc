// Personal access tokens. Source: contract/rest-api.md §7.4.
#include "crypto/access_token.h"
#include "management/domain/user_rules.h"
#include "management/store/edits/perform.h"
#include "management/store/edits/user_sql.h"

namespace nb::management::work {
namespace {

constexpr std::string_view kColumns =
    "id, user_id, name, expiration_date, created_by, created_at, last_used";

PersonalToken read_token(const sql::Row& raw) {
  sql::RowReader row(raw);
  PersonalToken token;
  token.id = TokenId(row.string());
  token.user_id = UserId(row.string());
  token.name = row.string();
  token.expiration_date = row.time();
  token.created_by = UserId(row.string());
  token.created_at = row.time();
  token.last_used = row.time();
  return token;
}

/// The user whose tokens are meant, if the actor may manage them.
Result<User> owner_of(AccountEdit& edit, const UserId& id) {
  NB_LET(const User initiator, initiator_of(edit));
  auto target = edit.get<User>(id);
  if (!target && target.error().code == Code::kNotFound) {
    NB_LET(const sql::Rows elsewhere,
           edit.session().query("SELECT 1 FROM users WHERE id = $1", {id.value()}));
    if (!elsewhere.empty()) return fail(Code::kPermissionDenied, "permission denied");
  }
  NB_TRY(target);
  NB_TRY(check_token_access(initiator, *target));
  return target;
}

Result<PersonalToken> find_token(AccountEdit& edit, const UserId& user, const TokenId& id) {
  static const std::string kText =
      fmt::format("SELECT {} FROM personal_access_tokens WHERE user_id = $1 AND id = $2", kColumns);
  NB_LET(const sql::Rows rows, edit.session().query(kText, {user.value(), id.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "PAT: {} not found", id.value());
  return read_token(rows[0]);
}

EventMeta token_meta(const PersonalToken& token, const User& owner) {
  return {{"name", token.name},
          {"is_service_user", owner.is_service_user},
          {"user_name", owner.service_user_name}};
}

}  // namespace

Result<NewToken> perform(AccountEdit& edit, const CreateToken& command) {
  if (command.name.empty()) return fail(Code::kInvalidArgument, "token name can't be empty");
  if (command.days < kTokenDaysMin || command.days > kTokenDaysMax)
    return fail(Code::kInvalidArgument, "expiration has to be between {} and {}", kTokenDaysMin,
                kTokenDaysMax);
  NB_LET(const User owner, owner_of(edit, command.user));
  NewToken out;
  out.plain = crypto::generate_token(crypto::TokenKind::kPersonal, edit.context().random);
  PersonalToken& token = out.token;
  token.id = TokenId(edit.new_id());
  token.user_id = owner.id;
  token.name = command.name;
  token.created_by = edit.actor().user;
  token.created_at = edit.now();
  token.expiration_date = *token.created_at + std::chrono::hours(24 * command.days);
  NB_TRY(edit.session().exec(
      "INSERT INTO personal_access_tokens (id, user_id, name, hashed_token, expiration_date, "
      "created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
      {token.id.value(), owner.id.value(), token.name, crypto::hash_token(out.plain.reveal()),
       token.expiration_date, token.created_by.value(), token.created_at}));
  edit.event(Activity::kTokenCreated, owner.id.value(), token_meta(token, owner));
  return out;
}

Result<Nothing> perform(AccountEdit& edit, const DeleteToken& command) {
  NB_LET(const User owner, owner_of(edit, command.user));
  NB_LET(const PersonalToken token, find_token(edit, owner.id, command.id));
  NB_TRY(edit.session().exec("DELETE FROM personal_access_tokens WHERE user_id = $1 AND id = $2",
                             {owner.id.value(), token.id.value()}));
  edit.event(Activity::kTokenDeleted, owner.id.value(), token_meta(token, owner));
  return Nothing{};
}

Result<std::vector<PersonalToken>> perform(AccountEdit& edit, const ListTokens& command) {
  static const std::string kText = fmt::format(
      "SELECT {} FROM personal_access_tokens WHERE user_id = $1 ORDER BY created_at, id", kColumns);
  NB_LET(const User owner, owner_of(edit, command.user));
  NB_LET(const sql::Rows rows, edit.session().query(kText, {owner.id.value()}));
  std::vector<PersonalToken> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(read_token(rows[i]));
  return out;
}

Result<PersonalToken> perform(AccountEdit& edit, const GetToken& command) {
  NB_LET(const User owner, owner_of(edit, command.user));
  return find_token(edit, owner.id, command.id);
}

}  // namespace nb::management::work
