#include "crypto/hash.h"
#include "idp/store.h"

namespace nb::idp {
namespace {

Result<> revoke_family(sql::Session& session, const std::string& family, Millis now) {
  NB_TRY(
      session.exec("UPDATE nb_idp_refresh SET revoked_at = $2 WHERE family_id = $1 AND "
                   "revoked_at IS NULL",
                   {family, now}));
  return {};
}

DeviceCode device_of(sql::Row row) {
  sql::RowReader reader(row);
  DeviceCode device;
  device.hash = reader.string();
  device.user_code = reader.string();
  device.client_id = reader.string();
  device.scopes = reader.string();
  device.ip = reader.string();
  device.user_agent = reader.string();
  return device;
}

constexpr std::string_view kDeviceColumns =
    "SELECT hash, user_code, client_id, scopes, ip, user_agent FROM nb_idp_device ";

Grant refresh_grant(sql::Row row) {
  sql::RowReader reader(row);
  Grant grant;
  grant.family_id = reader.string();
  grant.client_id = reader.string();
  grant.scopes = reader.string();
  grant.nonce = reader.string();
  grant.subject.connector_id = reader.string();
  grant.subject.user_id = reader.string();
  grant.auth_time = reader.integer();
  grant.session_hash = reader.string();
  return grant;
}

constexpr std::string_view kReturnRefresh =
    " RETURNING family_id, client_id, scopes, nonce, connector_id, user_id, auth_time, "
    "session_hash";

}  // namespace

Task<std::pair<CodeState, Grant>> Store::take_code(Instant deadline, std::string hash,
                                                   std::string client_id, std::string redirect_uri,
                                                   std::string challenge) {
  using Taken = std::pair<CodeState, Grant>;
  return tx<Taken>(
      deadline,
      [hash = std::move(hash), client_id = std::move(client_id),
       redirect_uri = std::move(redirect_uri),
       challenge = std::move(challenge)](sql::Session& session, Millis now) -> Result<Taken> {
        // All it is bound to is part of the condition: a wrong client, redirect or verifier does
        // not burn the code of the right one.
        NB_LET(const sql::Rows rows,
               session.query(
                   "UPDATE nb_idp_code SET used_at = $2 WHERE hash = $1 AND client_id = $3 AND "
                   "redirect_uri = $4 AND challenge = $5 AND used_at IS NULL AND expires_at > "
                   "$2 RETURNING family_id, client_id, scopes, nonce, connector_id, user_id, "
                   "auth_time, session_hash",
                   {hash, now, client_id, redirect_uri, challenge}));
        if (!rows.empty()) return Taken(CodeState::kGood, refresh_grant(rows[0]));
        NB_LET(const sql::Rows used,
               session.query(
                   "SELECT family_id FROM nb_idp_code WHERE hash = $1 AND client_id = $2 AND "
                   "used_at IS NOT NULL",
                   {hash, client_id}));
        if (used.empty()) return Taken(CodeState::kInvalid, Grant());
        NB_TRY(revoke_family(session, used[0].string(0), now));
        return Taken(CodeState::kReplayed, Grant());
      });
}

Task<void> Store::insert_device(Instant deadline, DeviceCode device) {
  return tx<void>(
      deadline, [this, d = std::move(device)](sql::Session& session, Millis now) -> Result<> {
        NB_LET(const std::int64_t added,
               session.exec("INSERT INTO nb_idp_device (hash, user_code, client_id, scopes, ip, "
                            "user_agent, expires_at) VALUES ($1,$2,$3,$4,$5,$6,$7) ON CONFLICT DO "
                            "NOTHING",
                            {d.hash, d.user_code, d.client_id, d.scopes, d.ip, d.user_agent,
                             now + to_millis(lifetimes_.device)}));
        if (added == 0) return fail(Code::kAlreadyExists, "user code in use");
        return {};
      });
}

Task<std::optional<DeviceCode>> Store::device_by_user_code(Instant deadline,
                                                           std::string user_code) {
  using Found = std::optional<DeviceCode>;
  return read<Found>(
      deadline, [code = std::move(user_code)](sql::Session& session, Millis now) -> Result<Found> {
        NB_LET(
            const sql::Rows rows,
            session.query(joined(kDeviceColumns,
                                 "WHERE user_code = $1 AND status = 'pending' AND expires_at > $2"),
                          {code, now}));
        if (rows.empty()) return Found();
        return Found(device_of(rows[0]));
      });
}

Task<std::optional<DeviceCode>> Store::device_by_hash(Instant deadline, std::string hash) {
  using Found = std::optional<DeviceCode>;
  return read<Found>(
      deadline, [hash = std::move(hash)](sql::Session& session, Millis now) -> Result<Found> {
        NB_LET(const sql::Rows rows,
               session.query(joined(kDeviceColumns,
                                    "WHERE hash = $1 AND status = 'pending' AND expires_at > $2"),
                             {hash, now}));
        if (rows.empty()) return Found();
        return Found(device_of(rows[0]));
      });
}

Task<bool> Store::decide_device(Instant deadline, std::string request_id, std::string device_hash,
                                bool allow, std::string session_hash) {
  return tx<bool>(
      deadline,
      [request_id = std::move(request_id), device_hash = std::move(device_hash), allow,
       session_hash = std::move(session_hash)](sql::Session& session, Millis now) -> Result<bool> {
        NB_LET(const sql::Rows rows,
               session.query("UPDATE nb_idp_request SET stage = 3 WHERE id = $1 AND stage = 2 AND "
                             "device_hash = $2 AND expires_at > $3 RETURNING subject_connector, "
                             "subject_user, auth_time",
                             {request_id, device_hash, now}));
        if (rows.empty()) return false;
        NB_LET(
            const std::int64_t changed,
            session.exec("UPDATE nb_idp_device SET status = $2, connector_id = $3, user_id = $4, "
                         "auth_time = $5, session_hash = $6 WHERE hash = $1 AND status = 'pending' "
                         "AND expires_at > $7",
                         {device_hash, allow ? "approved" : "denied", rows[0].text(0),
                          rows[0].text(1), rows[0].integer(2), session_hash, now}));
        return changed == 1;
      });
}

Task<PollResult> Store::poll_device(Instant deadline, std::string hash, std::string client_id) {
  return tx<PollResult>(
      deadline,
      [this, hash = std::move(hash), client_id = std::move(client_id)](
          sql::Session& session, Millis now) -> Result<PollResult> {
        PollResult result;
        NB_LET(const sql::Rows rows,
               session.query(
                   "UPDATE nb_idp_device SET previous_poll = last_poll, last_poll = $2 WHERE "
                   "hash = $1 AND client_id = $3 RETURNING status, previous_poll, expires_at",
                   {hash, now, client_id}));
        if (rows.empty()) return result;
        const std::string_view status = rows[0].text(0);
        const Millis before = rows[0].integer(1);
        if (status == "redeemed") return result;
        if (rows[0].integer(2) <= now) {
          result.state = PollState::kExpired;
        } else if (status == "denied") {
          result.state = PollState::kDenied;
        } else if (status == "approved") {
          NB_LET(const sql::Rows taken,
                 session.query(
                     "UPDATE nb_idp_device SET status = 'redeemed' WHERE hash = $1 AND status "
                     "= 'approved' RETURNING hash, client_id, scopes, '' AS nonce, "
                     "connector_id, user_id, auth_time, session_hash",
                     {hash}));
          if (taken.empty()) return result;
          result.grant = refresh_grant(taken[0]);
          result.state = PollState::kRedeemed;
        } else {
          // One second of tolerance; the required interval stays as it is (contract §4.5).
          const Millis least = to_millis(lifetimes_.device_interval) - 1000;
          result.state =
              before != 0 && now - before < least ? PollState::kTooFast : PollState::kPending;
        }
        return result;
      });
}

Task<void> Store::insert_refresh(Instant deadline, std::string id, std::string token_hash,
                                 Grant grant) {
  return tx<void>(deadline,
                  [this, id = std::move(id), hash = std::move(token_hash), g = std::move(grant)](
                      sql::Session& session, Millis now) -> Result<> {
                    NB_TRY(session.exec(
                        "INSERT INTO nb_idp_refresh (id, family_id, hash, client_id, scopes, "
                        "nonce, connector_id, "
                        "user_id, auth_time, session_hash, last_used, expires_at) VALUES "
                        "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)",
                        {id, g.family_id, hash, g.client_id, g.scopes, g.nonce,
                         g.subject.connector_id, g.subject.user_id, g.auth_time, g.session_hash,
                         now, now + to_millis(lifetimes_.refresh_max)}));
                    return {};
                  });
}

Task<std::optional<std::string>> Store::refresh_scopes(Instant deadline, std::string id,
                                                       std::string token_hash,
                                                       std::string client_id) {
  using Found = std::optional<std::string>;
  return read<Found>(
      deadline,
      [id = std::move(id), hash = std::move(token_hash), client_id = std::move(client_id)](
          sql::Session& session, Millis) -> Result<Found> {
        NB_LET(const sql::Rows rows,
               session.query("SELECT scopes FROM nb_idp_refresh WHERE id = $1 AND client_id = $3 "
                             "AND revoked_at IS NULL AND (hash = $2 OR previous_hash = $2)",
                             {id, hash, client_id}));
        if (rows.empty()) return Found();
        return Found(rows[0].string(0));
      });
}

Task<RefreshRotation> Store::rotate_refresh(Instant deadline, std::string id, std::string old_hash,
                                            std::string new_hash, std::string client_id) {
  return tx<RefreshRotation>(
      deadline,
      [this, id = std::move(id), old_hash = std::move(old_hash), new_hash = std::move(new_hash),
       client_id = std::move(client_id)](sql::Session& session,
                                         Millis now) -> Result<RefreshRotation> {
        RefreshRotation result;
        const Millis idle = now - to_millis(lifetimes_.refresh_idle);
        NB_LET(const sql::Rows rows,
               session.query(
                   joined("UPDATE nb_idp_refresh SET previous_hash = hash, previous_until = $5, "
                          "hash = $3, last_used = $4 WHERE id = $1 AND hash = $2 AND client_id = "
                          "$7 AND revoked_at IS NULL AND expires_at > $4 AND last_used > $6",
                          kReturnRefresh),
                   {id, old_hash, new_hash, now, now + to_millis(lifetimes_.refresh_grace), idle,
                    client_id}));
        if (!rows.empty()) {
          result.state = CodeState::kGood;
          result.grant = refresh_grant(rows[0]);
          return result;
        }
        // The answer was lost, or two tabs renewed at once: the token before is good for a moment.
        NB_LET(const sql::Rows again,
               session.query(
                   joined("UPDATE nb_idp_refresh SET hash = $3, last_used = $4 WHERE id = $1 AND "
                          "previous_hash = $2 AND previous_until > $4 AND client_id = $5 AND "
                          "revoked_at IS NULL AND expires_at > $4",
                          kReturnRefresh),
                   {id, old_hash, new_hash, now, client_id}));
        if (!again.empty()) {
          result.state = CodeState::kGood;
          result.grant = refresh_grant(again[0]);
          return result;
        }
        // Any other secret with this id was good once or is forged with knowledge of the id: a
        // theft.
        NB_LET(
            const sql::Rows known,
            session.query("SELECT family_id FROM nb_idp_refresh WHERE id = $1 AND client_id = $2 "
                          "AND revoked_at IS NULL AND expires_at > $3 AND last_used > $4 AND hash "
                          "<> $5",
                          {id, client_id, now, idle, old_hash}));
        if (known.empty()) return result;
        NB_TRY(revoke_family(session, known[0].string(0), now));
        result.state = CodeState::kReplayed;
        return result;
      });
}

Task<void> Store::revoke_refresh(Instant deadline, std::string id, std::string token_hash,
                                 std::string client_id) {
  return tx<void>(
      deadline,
      [id = std::move(id), hash = std::move(token_hash), client_id = std::move(client_id)](
          sql::Session& session, Millis now) -> Result<> {
        NB_TRY(session.exec(
            "UPDATE nb_idp_refresh SET revoked_at = $4 WHERE revoked_at IS NULL AND family_id IN "
            "(SELECT family_id FROM nb_idp_refresh WHERE id = $1 AND client_id = $3 AND (hash = $2 "
            "OR "
            "previous_hash = $2))",
            {id, hash, client_id, now}));
        return {};
      });
}

}  // namespace nb::idp
