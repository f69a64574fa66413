#include "management/store/open_logins.h"

namespace nb::management::work::open_logins {

namespace {

/// Before the id, where only the sessions are to end: no user has such an id, so that all that is
/// said of logins passes these rows by. Instances that do not know them leave them alone.
constexpr std::string_view kSessions = "sessions:";

std::string row_of(const OpenLogin& login) {
  return (login.sessions_only ? std::string(kSessions) : std::string()) + login.user.value();
}

OpenLogin login_of(std::string_view row) {
  const bool sessions = row.starts_with(kSessions);
  if (sessions) row.remove_prefix(kSessions.size());
  return {UserId(std::string(row)), sessions};
}

Result<> note(Session& session, const OpenLogin& login) {
  NB_TRY(session.exec(
      fmt::format("INSERT INTO nb_open_logins (user_id, since, taken) VALUES ($1, {}, 0) ON "
                  "CONFLICT (user_id) DO UPDATE SET since = excluded.since, taken = 0",
                  now_ms(session)),
      {row_of(login)}));
  return {};
}

}  // namespace

Result<> open(Session& session, const UserId& id) {
  return note(session, {id});
}

Result<> open_sessions(Session& session, const UserId& id) {
  return note(session, {id, true});
}

Result<> close(Session& session, const UserId& id) {
  NB_LET(const std::int64_t closed,
         session.exec("DELETE FROM nb_open_logins WHERE user_id = $1 AND taken = 0", {id.value()}));
  if (closed == 1) return {};
  return fail(Code::kFailedPrecondition, "this took too long and was undone; try again");
}

Result<> forget(Session& session, const OpenLogin& login) {
  NB_TRY(session.exec("DELETE FROM nb_open_logins WHERE user_id = $1", {row_of(login)}));
  return {};
}

Result<bool> is_open(Session& session, const UserId& id) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT 1 FROM nb_open_logins WHERE user_id = $1", {id.value()}));
  return !rows.empty();
}

Result<std::vector<OpenLogin>> take(Session& session, std::chrono::milliseconds age,
                                    std::size_t limit) {
  // A user that another program made beside us.
  NB_TRY(session.exec(fmt::format("DELETE FROM nb_open_logins WHERE since <= {} - CAST($1 AS "
                                  "bigint) AND EXISTS (SELECT 1 FROM users u WHERE u.id = "
                                  "nb_open_logins.user_id)",
                                  now_ms(session)),
                      {static_cast<std::int64_t>(age.count())}));
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("UPDATE nb_open_logins SET taken = 1, since = {0} WHERE user_id IN "
                         "(SELECT user_id FROM nb_open_logins WHERE since <= {0} - CAST($1 AS "
                         "bigint) ORDER BY since, user_id LIMIT $2{1}) RETURNING user_id",
                         now_ms(session), locking(session, "FOR UPDATE SKIP LOCKED")),
             {static_cast<std::int64_t>(age.count()), static_cast<std::int64_t>(limit)}));
  std::vector<OpenLogin> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(login_of(rows[i].text(0)));
  return out;
}

}  // namespace nb::management::work::open_logins
