// Users of a server with the embedded identity provider: the first one, as `/setup` makes him, and
// logins as the dashboard does them.
#pragma once

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "integration/web.h"

#include <string>

namespace nb::test {

inline constexpr const char* kOwnerMail = "owner@example.org";
inline constexpr const char* kOwnerPassword = "Passw0rd!";

/// Members of management.json. `dsn` empty: SQLite in the data directory.
inline std::string embedded_idp(const std::string& issuer, const std::string& dsn,
                                const std::string& more = {}) {
  const std::string storage = dsn.empty()
                                  ? std::string(R"({"Type":"sqlite3"})")
                                  : R"({"Type":"postgres","Config":{"DSN":")" + dsn + R"("}})";
  return R"("EmbeddedIdP":{"Enabled":true,"Issuer":")" + issuer + R"(","Storage":)" + storage +
         more + "},";
}

/// Sets up the server, which needs NB_SETUP_PAT_ENABLED; the owner's Authorization, or nothing.
inline std::string set_up(Web& web, const MgmtServer& server) {
  const auto made =
      web.send(server, "POST", "/api/setup",
               std::string(R"({"email":")") + kOwnerMail + R"(","name":"Owner","password":")" +
                   kOwnerPassword + R"(","create_pat":true,"pat_expire_in":1})");
  const std::string token = after(made.body, R"("personal_access_token":")");
  if (token.empty()) return {};
  // The account is founded with the first call.
  const std::string authorization = "Token " + token;
  return web.send(server, "GET", "/api/users", {}, authorization).status == 200 ? authorization
                                                                                : std::string();
}

/// Where the browser is sent after a login that begins at `path`.
inline std::string sign_in(Web& web, const MgmtServer& provider, const std::string& path,
                           const std::string& mail = kOwnerMail,
                           const std::string& password = kOwnerPassword) {
  const auto start = web.send(provider, "GET", path);
  const std::string there(start.header("location"));
  const std::string login = after(there, "req=");
  if (login.empty()) return there;  // the session is known
  return std::string(
      web.send(provider, "POST", "/oauth2/login",
               net::form_encode({{"req", login}, {"login", mail}, {"password", password}}))
          .header("location"));
}

/// An access token, as the dashboard at `back` gets one.
inline std::string access_token(Web& web, const MgmtServer& provider, const std::string& back,
                                const std::string& mail = kOwnerMail,
                                const std::string& password = kOwnerPassword) {
  const std::string verifier(43, 'v');
  const auto sum = crypto::sha256(verifier);
  const std::string path =
      "/oauth2/auth?" +
      net::form_encode({{"client_id", "netbird-dashboard"},
                        {"redirect_uri", back},
                        {"response_type", "code"},
                        {"scope", "openid profile email groups"},
                        {"state", "s"},
                        {"code_challenge", crypto::to_base64(sum, crypto::Base64::kUrlRaw)},
                        {"code_challenge_method", "S256"}});
  const std::string code = after(sign_in(web, provider, path, mail, password), "code=");
  const auto answer = web.send(provider, "POST", "/oauth2/token",
                               net::form_encode({{"grant_type", "authorization_code"},
                                                 {"client_id", "netbird-dashboard"},
                                                 {"code", code},
                                                 {"redirect_uri", back},
                                                 {"code_verifier", verifier}}));
  std::string token = after(answer.body, R"("access_token":")");
  if (token.empty()) throw std::runtime_error("no token for " + mail + ": " + answer.body);
  return token;
}

}  // namespace nb::test
