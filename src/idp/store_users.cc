#include "base/strict_json.h"
#include "idp/store.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace nb::idp {
namespace {
namespace json = boost::json;

constexpr std::string_view kUserColumns =
    "SELECT id, email, name, hash, disabled FROM nb_idp_user ";

/// False: the stored one is not `expected`; empty: whatever it is.
Result<bool> set_hash(sql::Session& session, const std::string& id, const std::string& expected,
                      const std::string& hash, Millis now) {
  NB_LET(const std::int64_t changed,
         session.exec("UPDATE nb_idp_user SET hash = $2, updated_at = $3 WHERE id = $1 AND "
                      "(hash = $4 OR $5 = 1)",
                      {id, hash, now, expected, expected.empty() ? 1 : 0}));
  return changed == 1;
}

std::string profile_json(const Identity& identity) {
  json::object object;
  object["email"] = identity.email;
  object["email_verified"] = identity.email_verified;
  object["name"] = identity.name;
  object["preferred_username"] = identity.preferred_username;
  object["groups"] = json::array(identity.groups.begin(), identity.groups.end());
  return json::serialize(object);
}

std::string text_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<Identity> parse_profile(std::string_view text, IdpSubject subject) {
  NB_LET(const json::value value, parse_strict_json(text));
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::kDataLoss, "identity: not an object");
  Identity identity;
  identity.subject = std::move(subject);
  identity.email = text_at(*object, "email");
  identity.name = text_at(*object, "name");
  identity.preferred_username = text_at(*object, "preferred_username");
  const auto* verified = object->if_contains("email_verified");
  identity.email_verified = verified != nullptr && verified->is_bool() && verified->get_bool();
  if (const auto* groups = object->if_contains("groups"); groups != nullptr && groups->is_array())
    for (const auto& group : groups->get_array())
      if (group.is_string()) identity.groups.emplace_back(group.get_string());
  return identity;
}

std::string identity_row(const IdpSubject& subject) {
  return management::encode_subject(subject).value();
}

}  // namespace

Result<> drop_logins(sql::Session& session, const IdpSubject& who, const std::string& keep,
                     Millis now) {
  NB_TRY(session.exec(
      "DELETE FROM nb_idp_session WHERE connector_id = $1 AND user_id = $2 AND hash <> $3",
      {who.connector_id, who.user_id, keep}));
  NB_TRY(
      session.exec("DELETE FROM nb_idp_code WHERE connector_id = $1 AND user_id = $2 AND used_at "
                   "IS NULL",
                   {who.connector_id, who.user_id}));
  NB_TRY(
      session.exec("UPDATE nb_idp_device SET status = 'denied' WHERE connector_id = $1 AND "
                   "user_id = $2 AND status = 'approved'",
                   {who.connector_id, who.user_id}));
  NB_TRY(
      session.exec("UPDATE nb_idp_request SET stage = 3 WHERE subject_connector = $1 AND "
                   "subject_user = $2 AND stage <> 3",
                   {who.connector_id, who.user_id}));
  NB_TRY(
      session.exec("UPDATE nb_idp_refresh SET revoked_at = $3 WHERE connector_id = $1 AND "
                   "user_id = $2 AND revoked_at IS NULL",
                   {who.connector_id, who.user_id, now}));
  return {};
}

Result<Millis> database_now(sql::Session& session) {
  NB_LET(
      const sql::Rows rows,
      session.query(session.postgres()
                        ? "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
                        : "SELECT CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"));
  return rows[0].integer(0);
}

Result<> upsert_identity(sql::Session& session, const Vault& vault, const Identity& identity,
                         Millis login) {
  const std::string sealed =
      vault.seal(Purpose::kPersonal, profile_json(identity),
                 {"nb_idp_identity", "profile", identity_row(identity.subject)});
  NB_TRY(
      session.exec("INSERT INTO nb_idp_identity (connector_id, user_id, profile, last_login) "
                   "VALUES ($1,$2,$3,$4) ON CONFLICT (connector_id, user_id) DO UPDATE SET "
                   "profile = excluded.profile, last_login = excluded.last_login",
                   {identity.subject.connector_id, identity.subject.user_id, sealed, login}));
  return {};
}

Result<LocalUser> Store::user_of(sql::Row row) const {
  LocalUser user;
  user.id = row.string(0);
  NB_LET(user.email,
         vault_.open(Purpose::kPersonal, row.text(1), {"nb_idp_user", "email", user.id}));
  NB_LET(user.name, vault_.open(Purpose::kPersonal, row.text(2), {"nb_idp_user", "name", user.id}));
  user.hash = row.string(3);
  user.disabled = row.integer(4) != 0;
  return user;
}

Task<bool> Store::has_local_users(Instant deadline) {
  return read<bool>(deadline, [](sql::Session& session, Millis) -> Result<bool> {
    NB_LET(const sql::Rows rows, session.query("SELECT 1 FROM nb_idp_user LIMIT 1"));
    return !rows.empty();
  });
}

Task<void> Store::insert_user(Instant deadline, LocalUser user, bool only_first) {
  return tx<void>(
      deadline,
      [this, user = std::move(user), only_first](sql::Session& session, Millis now) -> Result<> {
        NB_TRY(session.lock(sql::lock_number("idp:first-user")));
        if (only_first) {
          NB_LET(const sql::Rows rows, session.query("SELECT 1 FROM nb_idp_user LIMIT 1"));
          if (!rows.empty()) return fail(Code::kFailedPrecondition, "setup already completed");
        }
        NB_LET(const std::int64_t added,
               session.exec(
                   "INSERT INTO nb_idp_user (id, email_key, email, name, hash, created_at, "
                   "updated_at) "
                   "VALUES ($1,$2,$3,$4,$5,$6,$6) ON CONFLICT DO NOTHING",
                   {user.id, vault_.email_key(user.email),
                    vault_.seal(Purpose::kPersonal, user.email, {"nb_idp_user", "email", user.id}),
                    vault_.seal(Purpose::kPersonal, user.name, {"nb_idp_user", "name", user.id}),
                    user.hash, now}));
        if (added == 0) return fail(Code::kAlreadyExists, "a user with this email already exists");
        return {};
      });
}

Task<std::optional<LocalUser>> Store::user_by_email(Instant deadline, std::string email) {
  using Found = std::optional<LocalUser>;
  return read<Found>(
      deadline,
      [this, key = vault_.email_key(email)](sql::Session& session, Millis) -> Result<Found> {
        NB_LET(const sql::Rows rows,
               session.query(joined(kUserColumns, "WHERE email_key = $1"), {key}));
        if (rows.empty()) return Found();
        NB_LET(LocalUser user, user_of(rows[0]));
        return Found(std::move(user));
      });
}

Task<std::optional<LocalUser>> Store::user_by_id(Instant deadline, std::string id) {
  using Found = std::optional<LocalUser>;
  return read<Found>(
      deadline, [this, id = std::move(id)](sql::Session& session, Millis) -> Result<Found> {
        NB_LET(const sql::Rows rows, session.query(joined(kUserColumns, "WHERE id = $1"), {id}));
        if (rows.empty()) return Found();
        NB_LET(LocalUser user, user_of(rows[0]));
        return Found(std::move(user));
      });
}

Task<bool> Store::replace_hash(Instant deadline, std::string id, std::string expected,
                               std::string hash) {
  return tx<bool>(deadline, [id = std::move(id), expected = std::move(expected),
                             hash = std::move(hash)](sql::Session& session, Millis now) {
    return set_hash(session, id, expected, hash, now);
  });
}

Task<bool> Store::change_hash(Instant deadline, std::string id, std::string expected,
                              std::string hash, IdpNote note) {
  return tx<bool>(deadline,
                  [id = std::move(id), expected = std::move(expected), hash = std::move(hash),
                   note = std::move(note)](sql::Session& session, Millis now) -> Result<bool> {
                    NB_LET(const bool changed, set_hash(session, id, expected, hash, now));
                    if (!changed) return false;
                    const IdpSubject who{id, std::string(kLocalConnector)};
                    NB_TRY(drop_logins(session, who, "", now));
                    NB_TRY(insert_note(session, note, now));
                    return true;
                  });
}

Task<bool> Store::delete_user(Instant deadline, IdpSubject subject) {
  return tx<bool>(
      deadline,
      [this, subject = std::move(subject)](sql::Session& session, Millis now) -> Result<bool> {
        NB_TRY(drop_logins(session, subject, "", now));
        // Tokens that are out stay valid this long; the sub must not come back by one of them
        // (T27).
        const Millis until =
            now + to_millis(lifetimes_.token) + to_millis(std::chrono::minutes(10));
        NB_TRY(session.exec(
            "INSERT INTO nb_idp_tombstone (sub, deleted_at, until) VALUES ($1,$2,$3) "
            "ON CONFLICT (sub) DO UPDATE SET deleted_at = excluded.deleted_at, until = "
            "excluded.until",
            {management::encode_subject(subject).value(), now, until}));
        if (subject.connector_id != kLocalConnector) {
          NB_TRY(
              session.exec("DELETE FROM nb_idp_identity WHERE connector_id = $1 AND user_id = $2",
                           {subject.connector_id, subject.user_id}));
          return false;
        }
        NB_TRY(session.exec("DELETE FROM nb_idp_mfa WHERE user_id = $1", {subject.user_id}));
        NB_LET(const std::int64_t gone,
               session.exec("DELETE FROM nb_idp_user WHERE id = $1", {subject.user_id}));
        return gone == 1;
      });
}

Task<bool> Store::tombstoned(Instant deadline, std::string sub, Millis issued_at) {
  return read<bool>(
      deadline,
      [sub = std::move(sub), issued_at](sql::Session& session, Millis now) -> Result<bool> {
        NB_LET(const sql::Rows rows,
               session.query("SELECT 1 FROM nb_idp_tombstone WHERE sub = $1 AND until > $2 AND "
                             "deleted_at >= $3",
                             {sub, now, issued_at}));
        return !rows.empty();
      });
}

Task<void> Store::end_logins(Instant deadline, IdpSubject subject, std::string keep) {
  return tx<void>(deadline, [subject = std::move(subject), keep = std::move(keep)](
                                sql::Session& session, Millis now) {
    return drop_logins(session, subject, keep, now);
  });
}

Task<std::optional<Identity>> Store::identity(Instant deadline, IdpSubject subject) {
  using Found = std::optional<Identity>;
  return read<Found>(
      deadline,
      [this, subject = std::move(subject)](sql::Session& session, Millis) -> Result<Found> {
        if (subject.connector_id == kLocalConnector) {
          NB_LET(const sql::Rows rows,
                 session.query(joined(kUserColumns, "WHERE id = $1"), {subject.user_id}));
          if (rows.empty()) return Found();
          NB_LET(LocalUser user, user_of(rows[0]));
          if (user.disabled) return Found();
          Identity identity;
          identity.subject = subject;
          identity.email = std::move(user.email);
          identity.email_verified = true;
          identity.name = std::move(user.name);
          return Found(std::move(identity));
        }
        NB_LET(const sql::Rows rows,
               session.query(
                   "SELECT profile FROM nb_idp_identity WHERE connector_id = $1 AND user_id = "
                   "$2 AND EXISTS (SELECT 1 FROM nb_idp_connector WHERE id = $1)",
                   {subject.connector_id, subject.user_id}));
        if (rows.empty()) return Found();
        NB_LET(const std::string profile,
               vault_.open(Purpose::kPersonal, rows[0].text(0),
                           {"nb_idp_identity", "profile", identity_row(subject)}));
        NB_LET(Identity identity, parse_profile(profile, subject));
        return Found(std::move(identity));
      });
}

Task<void> Store::save_identity(Instant deadline, Identity identity) {
  return tx<void>(deadline,
                  [this, identity = std::move(identity)](sql::Session& session, Millis now) {
                    return upsert_identity(session, vault_, identity, now);
                  });
}

}  // namespace nb::idp
