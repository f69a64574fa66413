#include "idp/store.h"

namespace nb::idp {
namespace {

constexpr std::string_view kRequestColumns =
    "SELECT id, flow_hash, client_id, redirect_uri, scopes, state, has_state, nonce, challenge, "
    "login_hint, prompt, device_hash, stage, remember, connector_id, upstream_state, "
    "upstream_nonce, upstream_verifier, subject_connector, subject_user, auth_time, expires_at "
    "FROM "
    "nb_idp_request ";

int number(Stage stage) {
  return static_cast<int>(stage);
}

Result<> add_code(sql::Session& session, const std::string& hash, const Grant& grant,
                  Millis expires) {
  NB_TRY(session.exec(
      "INSERT INTO nb_idp_code (hash, client_id, redirect_uri, challenge, scopes, nonce, "
      "connector_id, user_id, auth_time, session_hash, family_id, expires_at) VALUES "
      "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)",
      {hash, grant.client_id, grant.redirect_uri, grant.challenge, grant.scopes, grant.nonce,
       grant.subject.connector_id, grant.subject.user_id, grant.auth_time, grant.session_hash,
       grant.family_id, expires}));
  return {};
}

Result<> add_session(sql::Session& session, const Vault& vault, const LoginSession& row,
                     const std::string& ip, const std::string& user_agent, Millis now) {
  NB_TRY(session.exec(
      "INSERT INTO nb_idp_session (hash, connector_id, user_id, auth_time, mfa_time, last_seen, "
      "expires_at, ip, user_agent, upstream_id_token) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
      {row.hash, row.subject.connector_id, row.subject.user_id, row.auth_time, row.mfa_time, now,
       row.expires_at, ip, user_agent,
       row.upstream_id_token.empty()
           ? std::string()
           : vault.seal(Purpose::kFlow, row.upstream_id_token,
                        {"nb_idp_session", "upstream_id_token", row.hash})}));
  return {};
}

}  // namespace

Result<AuthRequest> Store::request_of(sql::Row row) const {
  sql::RowReader reader(row);
  AuthRequest request;
  request.id = reader.string();
  request.flow_hash = reader.string();
  request.client_id = reader.string();
  request.redirect_uri = reader.string();
  request.scopes = reader.string();
  request.state = reader.string();
  request.has_state = reader.integer() != 0;
  request.nonce = reader.string();
  request.challenge = reader.string();
  request.login_hint = reader.string();
  request.prompt = reader.string();
  request.device_hash = reader.string();
  request.stage = static_cast<Stage>(reader.integer());
  request.remember = reader.integer() != 0;
  request.connector_id = reader.string();
  request.upstream_state_hash = reader.string();
  request.upstream_nonce = reader.string();
  NB_LET(request.upstream_verifier,
         vault_.open(Purpose::kFlow, reader.text(),
                     {"nb_idp_request", "upstream_verifier", request.id}));
  request.subject.connector_id = reader.string();
  request.subject.user_id = reader.string();
  request.auth_time = reader.integer();
  request.expires_at = reader.integer();
  return request;
}

Task<void> Store::insert_request(Instant deadline, AuthRequest request) {
  return tx<void>(
      deadline, [this, r = std::move(request)](sql::Session& session, Millis now) -> Result<> {
        NB_TRY(session.exec(
            "INSERT INTO nb_idp_request (id, flow_hash, client_id, redirect_uri, scopes, state, "
            "has_state, nonce, challenge, login_hint, prompt, device_hash, expires_at) VALUES "
            "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)",
            {r.id, r.flow_hash, r.client_id, r.redirect_uri, r.scopes, r.state, r.has_state ? 1 : 0,
             r.nonce, r.challenge, r.login_hint, r.prompt, r.device_hash,
             now + to_millis(lifetimes_.request)}));
        return {};
      });
}

Task<std::optional<AuthRequest>> Store::request(Instant deadline, std::string id) {
  using Found = std::optional<AuthRequest>;
  return read<Found>(
      deadline, [this, id = std::move(id)](sql::Session& session, Millis now) -> Result<Found> {
        NB_LET(
            const sql::Rows rows,
            session.query(joined(kRequestColumns, "WHERE id = $1 AND expires_at > $2"), {id, now}));
        if (rows.empty()) return Found();
        NB_LET(AuthRequest request, request_of(rows[0]));
        return Found(std::move(request));
      });
}

Task<std::optional<AuthRequest>> Store::request_by_state(Instant deadline, std::string state_hash) {
  using Found = std::optional<AuthRequest>;
  return read<Found>(deadline,
                     [this, state_hash = std::move(state_hash)](sql::Session& session,
                                                                Millis now) -> Result<Found> {
                       NB_LET(const sql::Rows rows,
                              session.query(joined(kRequestColumns,
                                                   "WHERE upstream_state = $1 AND expires_at > "
                                                   "$2"),
                                            {state_hash, now}));
                       if (rows.empty()) return Found();
                       NB_LET(AuthRequest request, request_of(rows[0]));
                       return Found(std::move(request));
                     });
}

Task<bool> Store::start_upstream(Instant deadline, AuthRequest request) {
  return tx<bool>(
      deadline, [this, r = std::move(request)](sql::Session& session, Millis) -> Result<bool> {
        NB_LET(
            const std::int64_t changed,
            session.exec("UPDATE nb_idp_request SET connector_id = $2, upstream_state = $3, "
                         "upstream_nonce = $4, upstream_verifier = $5 WHERE id = $1 AND stage = 0",
                         {r.id, r.connector_id, r.upstream_state_hash, r.upstream_nonce,
                          vault_.seal(Purpose::kFlow, r.upstream_verifier,
                                      {"nb_idp_request", "upstream_verifier", r.id})}));
        return changed == 1;
      });
}

Task<bool> Store::first_factor_passed(Instant deadline, std::string id, IdpSubject subject,
                                      bool remember) {
  return tx<bool>(
      deadline,
      [id = std::move(id), subject = std::move(subject), remember](sql::Session& session,
                                                                   Millis now) -> Result<bool> {
        NB_LET(const std::int64_t changed,
               session.exec(
                   "UPDATE nb_idp_request SET stage = 1, subject_connector = $2, subject_user "
                   "= $3, remember = $4, auth_time = $5 WHERE id = $1 AND stage = 0",
                   {id, subject.connector_id, subject.user_id, remember ? 1 : 0, now}));
        return changed == 1;
      });
}

Task<bool> Store::finish(Instant deadline, AuthRequest request, Stage from, LoginSession login,
                         std::string old_session_hash, std::string ip, std::string user_agent,
                         std::string code_hash) {
  return tx<bool>(
      deadline,
      [this, r = std::move(request), from, login = std::move(login),
       old = std::move(old_session_hash), ip = std::move(ip), user_agent = std::move(user_agent),
       code_hash = std::move(code_hash)](sql::Session& session, Millis now) -> Result<bool> {
        const bool device = !r.device_hash.empty();
        // A state that came back from a connector is good once.
        NB_LET(const std::int64_t changed,
               session.exec(
                   "UPDATE nb_idp_request SET stage = $3, subject_connector = $4, subject_user "
                   "= $5, auth_time = $6, upstream_state = NULL WHERE id = $1 AND stage = $2 "
                   "AND expires_at > $6",
                   {r.id, number(from), number(device ? Stage::kConfirm : Stage::kDone),
                    login.subject.connector_id, login.subject.user_id, now}));
        if (changed != 1) return false;
        LoginSession made = login;
        made.auth_time = now;
        if (made.mfa_time != 0) made.mfa_time = now;
        made.expires_at = now + to_millis(lifetimes_.session_max);
        if (!old.empty()) NB_TRY(session.exec("DELETE FROM nb_idp_session WHERE hash = $1", {old}));
        NB_TRY(add_session(session, vault_, made, ip, user_agent, now));
        if (device) return true;
        NB_TRY(add_code(session, code_hash,
                        {.client_id = r.client_id,
                         .redirect_uri = r.redirect_uri,
                         .challenge = r.challenge,
                         .scopes = r.scopes,
                         .nonce = r.nonce,
                         .subject = made.subject,
                         .auth_time = now,
                         .session_hash = made.hash,
                         .family_id = r.id},
                        now + to_millis(lifetimes_.code)));
        return true;
      });
}

Task<void> Store::insert_code(Instant deadline, std::string code_hash, Grant grant) {
  return tx<void>(deadline, [this, hash = std::move(code_hash), grant = std::move(grant)](
                                sql::Session& session, Millis now) {
    return add_code(session, hash, grant, now + to_millis(lifetimes_.code));
  });
}

}  // namespace nb::idp
