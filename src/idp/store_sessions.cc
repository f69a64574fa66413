#include "idp/store.h"

namespace nb::idp {
namespace {

// Writing at every sight would make silent renewals of an open dashboard a write each.
constexpr Millis kSeenStep = 60 * 1000;

}  // namespace

Task<std::optional<LoginSession>> Store::session(Instant deadline, std::string hash) {
  using Found = std::optional<LoginSession>;
  return tx<Found>(
      deadline, [this, hash = std::move(hash)](sql::Session& session, Millis now) -> Result<Found> {
        NB_LET(const sql::Rows rows,
               session.query(
                   "SELECT connector_id, user_id, auth_time, mfa_time, expires_at, last_seen "
                   "FROM nb_idp_session WHERE hash = $1 AND expires_at > $2 AND last_seen > $3",
                   {hash, now, now - to_millis(lifetimes_.session_idle)}));
        if (rows.empty()) return Found();
        LoginSession found;
        found.hash = hash;
        found.subject = {rows[0].string(1), rows[0].string(0)};
        found.auth_time = rows[0].integer(2);
        found.mfa_time = rows[0].integer(3);
        found.expires_at = rows[0].integer(4);
        if (rows[0].integer(5) + kSeenStep < now)
          NB_TRY(session.exec("UPDATE nb_idp_session SET last_seen = $2 WHERE hash = $1",
                              {hash, now}));
        return Found(std::move(found));
      });
}

Task<std::optional<LoginSession>> Store::delete_session(Instant deadline, std::string hash) {
  using Found = std::optional<LoginSession>;
  return tx<Found>(
      deadline, [this, hash = std::move(hash)](sql::Session& session, Millis) -> Result<Found> {
        NB_LET(const sql::Rows rows,
               session.query("DELETE FROM nb_idp_session WHERE hash = $1 RETURNING connector_id, "
                             "user_id, upstream_id_token",
                             {hash}));
        if (rows.empty()) return Found();
        LoginSession found;
        found.hash = hash;
        found.subject = {rows[0].string(1), rows[0].string(0)};
        NB_LET(found.upstream_id_token, vault_.open(Purpose::kFlow, rows[0].text(2),
                                                    {"nb_idp_session", "upstream_id_token", hash}));
        return Found(std::move(found));
      });
}

Task<void> Store::delete_sessions_of(Instant deadline, IdpSubject subject) {
  return tx<void>(
      deadline, [subject = std::move(subject)](sql::Session& session, Millis) -> Result<> {
        NB_TRY(session.exec("DELETE FROM nb_idp_session WHERE connector_id = $1 AND user_id = $2",
                            {subject.connector_id, subject.user_id}));
        return {};
      });
}

Task<void> Store::insert_logout(Instant deadline, std::string state_hash, std::string target) {
  return tx<void>(deadline,
                  [this, state = std::move(state_hash), target = std::move(target)](
                      sql::Session& session, Millis now) -> Result<> {
                    NB_TRY(session.exec(
                        "INSERT INTO nb_idp_logout (state, target, expires_at) VALUES ($1,$2,$3)",
                        {state, target, now + to_millis(lifetimes_.request)}));
                    return {};
                  });
}

Task<std::optional<std::string>> Store::take_logout(Instant deadline, std::string state_hash) {
  using Found = std::optional<std::string>;
  return tx<Found>(
      deadline,
      [state = std::move(state_hash)](sql::Session& session, Millis now) -> Result<Found> {
        NB_LET(const sql::Rows rows,
               session.query(
                   "DELETE FROM nb_idp_logout WHERE state = $1 AND expires_at > $2 RETURNING "
                   "target",
                   {state, now}));
        if (rows.empty()) return Found();
        return Found(rows[0].string(0));
      });
}

}  // namespace nb::idp
