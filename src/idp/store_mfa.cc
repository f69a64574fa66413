#include "base/text.h"
#include "idp/idp.h"
#include "idp/store.h"

namespace nb::idp {
namespace {

constexpr int kFailuresMax = 5;
constexpr Millis kLockFor = 5 * 60 * 1000;

}  // namespace

Task<std::optional<TotpState>> Store::totp(Instant deadline, std::string user) {
  using Found = std::optional<TotpState>;
  return read<Found>(
      deadline, [this, user = std::move(user)](sql::Session& session, Millis now) -> Result<Found> {
        NB_LET(
            const sql::Rows rows,
            session.query("SELECT secret, confirmed_at, last_counter, locked_until, recovery FROM "
                          "nb_idp_mfa WHERE user_id = $1",
                          {user}));
        if (rows.empty()) return Found();
        TotpState state;
        NB_LET(state.totp.secret,
               vault_.open(Purpose::kMfa, rows[0].text(0), {"nb_idp_mfa", "secret", user}));
        state.totp.confirmed = rows[0].integer(1) != 0;
        state.last_counter = rows[0].integer(2);
        state.locked_until = rows[0].integer(3);
        state.recovery = rows[0].string(4);
        state.now = now;
        return Found(std::move(state));
      });
}

Task<Totp> Store::start_totp(Instant deadline, std::string user, std::string secret) {
  return tx<Totp>(
      deadline,
      [this, user = std::move(user), secret = std::move(secret)](sql::Session& session,
                                                                 Millis) -> Result<Totp> {
        NB_TRY(session.exec(
            "INSERT INTO nb_idp_mfa (user_id, secret) VALUES ($1,$2) ON CONFLICT DO "
            "NOTHING",
            {user, vault_.seal(Purpose::kMfa, secret, {"nb_idp_mfa", "secret", user})}));
        NB_LET(const sql::Rows rows,
               session.query("SELECT secret, confirmed_at FROM nb_idp_mfa WHERE user_id = $1",
                             {user}));
        if (rows.empty()) return fail(Code::kAborted, "second factor: removed meanwhile");
        Totp totp;
        NB_LET(totp.secret,
               vault_.open(Purpose::kMfa, rows[0].text(0), {"nb_idp_mfa", "secret", user}));
        totp.confirmed = rows[0].integer(1) != 0;
        return totp;
      });
}

Task<bool> Store::accept_totp(Instant deadline, std::string user, std::uint64_t counter) {
  return tx<bool>(
      deadline,
      [user = std::move(user), counter](sql::Session& session, Millis now) -> Result<bool> {
        NB_LET(const std::int64_t changed,
               session.exec(
                   "UPDATE nb_idp_mfa SET last_counter = $2, failures = 0, confirmed_at = CASE "
                   "WHEN confirmed_at = 0 THEN $3 ELSE confirmed_at END WHERE user_id = $1 AND "
                   "last_counter < $2 AND locked_until <= $3",
                   {user, counter, now}));
        return changed == 1;
      });
}

Task<bool> Store::accept_recovery(Instant deadline, std::string user, std::string hash) {
  return tx<bool>(
      deadline,
      [user = std::move(user), hash = std::move(hash)](sql::Session& session,
                                                       Millis now) -> Result<bool> {
        NB_LET(const sql::Rows rows,
               session.query(
                   "SELECT recovery FROM nb_idp_mfa WHERE user_id = $1 AND locked_until <= $2",
                   {user, now}));
        if (rows.empty()) return false;
        const std::string before = rows[0].string(0);
        std::string after;
        bool found = false;
        for (const std::string& code : split(before, ' ')) {
          if (code == hash)
            found = true;
          else
            after += (after.empty() ? "" : " ") + code;
        }
        if (!found) return false;
        // The text as it was read is the condition: two tries with one code cannot both win.
        NB_LET(
            const std::int64_t changed,
            session.exec("UPDATE nb_idp_mfa SET recovery = $3, failures = 0 WHERE user_id = $1 AND "
                         "recovery = $2",
                         {user, before, after}));
        return changed == 1;
      });
}

Task<void> Store::set_recovery(Instant deadline, std::string user, std::string hashes) {
  return tx<void>(deadline,
                  [user = std::move(user), hashes = std::move(hashes)](sql::Session& session,
                                                                       Millis) -> Result<> {
                    NB_TRY(session.exec("UPDATE nb_idp_mfa SET recovery = $2 WHERE user_id = $1",
                                        {user, hashes}));
                    return {};
                  });
}

Task<void> Store::reject_totp(Instant deadline, std::string user) {
  return tx<void>(
      deadline, [user = std::move(user)](sql::Session& session, Millis now) -> Result<> {
        NB_TRY(
            session.exec("UPDATE nb_idp_mfa SET failures = failures + 1, locked_until = CASE WHEN "
                         "failures % 5 = 4 THEN $2 ELSE locked_until END WHERE user_id = $1",
                         {user, now + kLockFor}));
        static_assert(kFailuresMax == 5, "stands in the statement");
        return {};
      });
}

Task<void> Store::reset_mfa(Instant deadline, std::string user) {
  return tx<void>(
      deadline, [user = std::move(user)](sql::Session& session, Millis now) -> Result<> {
        NB_TRY(session.exec("DELETE FROM nb_idp_mfa WHERE user_id = $1", {user}));
        return drop_logins(session, {user, std::string(management::kLocalConnector)}, "", now);
      });
}

Result<bool> has_second_factor(sql::Database& database, const std::string& user, Instant deadline) {
  return database.run_blocking<bool>(
      deadline, {.read_only = true, .single_statement = true},
      [user](sql::Session& session) -> Result<bool> {
        NB_LET(const sql::Rows rows,
               session.query("SELECT 1 FROM nb_idp_mfa WHERE user_id = $1", {user}));
        return !rows.empty();
      });
}

}  // namespace nb::idp
