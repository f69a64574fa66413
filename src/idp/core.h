// What the handlers of all endpoints share. Private to idp/.
#pragma once

#include "base/rate_limit.h"
#include "idp/forms.h"
#include "idp/idp.h"
#include "idp/key_ring.h"
#include "idp/metrics.h"
#include "idp/pages.h"
#include "idp/store.h"
#include "idp/throttle.h"
#include "idp/upstream.h"
#include "management/app/hasher.h"
#include "net/http.h"

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

namespace nb::idp {

using net::HttpRequest;
using net::HttpResponse;
using Answer = boost::asio::awaitable<HttpResponse>;

struct Client {
  std::string id;
  std::vector<std::string> redirect_uris;
  std::vector<std::string> post_logout_uris;
};

/// Thread-safe.
struct Core {
  Core(Parts parts, Options options_in, Vault vault_in);

  Options options;
  Clock& clock;
  crypto::RandomSource& random;
  Logger log;
  Hooks hooks;
  std::string base;    // path of the issuer
  std::string origin;  // scheme://host[:port] of the issuer
  bool secure = false;
  bool device_flow = true;
  bool refresh_grant = true;
  std::vector<Client> clients;
  Vault vault;
  Store store;
  KeyRing keys;
  management::app::Hasher hasher;
  Throttle throttle;
  Upstream upstream;
  IdpMetrics metrics;
  std::string dummy_hash;          // verified for users that do not exist (T8)
  std::atomic<bool> full = false;  // too many logins under way

  [[nodiscard]] const Client* client(std::string_view id) const;
  [[nodiscard]] Instant deadline() const { return clock.now() + std::chrono::seconds(8); }
  [[nodiscard]] std::string url(std::string_view path) const {
    return options.issuer + std::string(path);
  }
  [[nodiscard]] std::string new_token() const { return random_token(random); }
  /// Starts of logins and device codes from one address (T22).
  bool start_allowed(std::string_view ip);
  [[nodiscard]] PageContext page(const HttpRequest& request) const;
  /// Whether a second factor is due for `subject`.
  Task<bool> mfa_due(const IdpSubject& subject);

 private:
  std::mutex mutex_;
  KeyedRateLimit starts_;  // guarded by mutex_
};

// --- responses.cc
/// 303, so that a POST never sends its body on (T16).
HttpResponse see_other(std::string location);
HttpResponse json_answer(int status, std::string body);
HttpResponse oauth_error(int status, std::string_view error, std::string_view description);
HttpResponse error_page(const Core& core, const HttpRequest& request, int status,
                        std::string_view text);
/// kUnavailable and the like as a page or a JSON error; the details go to the log.
HttpResponse failure_page(const Core& core, const HttpRequest& request, const Error& error);
HttpResponse failure_json(const Core& core, const Error& error);
void allow_any_origin(HttpResponse& response);
HttpResponse preflight();
void set_cookie(const Core& core, HttpResponse& response, std::string_view name,
                std::string_view value, std::chrono::seconds life);
void clear_cookie(const Core& core, HttpResponse& response, std::string_view name);
/// A form post that did not come from a page of ours (T4).
[[nodiscard]] bool cross_site(const Core& core, const HttpRequest& request);
/// Body of a form post; nothing for other content types and broken forms.
[[nodiscard]] std::optional<Fields> form_of(const HttpRequest& request);

inline constexpr std::string_view kSessionCookie = "netbird-session";
[[nodiscard]] std::string flow_cookie(std::string_view request_id);

// --- tokens.cc
struct TokenSet {
  std::string access_token;
  std::string id_token;
  std::string refresh_token;
  std::int64_t expires_in = 0;
  std::string scope;  // only if it was narrowed
};
/// Mints tokens for `grant`; kNotFound: the user is gone or disabled.
Task<TokenSet> mint(Core& core, Grant grant, std::string refresh_token);
struct OwnToken {
  IdpSubject subject;
  std::string sub;
  std::string audience;
  std::string scope;
  std::int64_t expires_at = 0;
  std::int64_t issued_at = 0;
};
/// Signature and issuer; the caller judges the rest.
Task<OwnToken> read_own_token(Core& core, std::string token);
[[nodiscard]] bool has_scope(std::string_view scopes, std::string_view scope);
/// Identity claims that `scopes` allow, appended to a JSON object.
[[nodiscard]] std::string userinfo_json(const Identity& identity, std::string_view sub,
                                        std::string_view scopes);

// --- login.cc
/// The session of the browser's cookie, if it is alive.
Task<std::optional<LoginSession>> current_session(Core& core, const HttpRequest& request);
/// Creates `login` and leads the browser to where it begins.
Answer begin_login(Core& core, HttpRequest request, AuthRequest login);
/// The page with every way to sign in.
Answer show_login(Core& core, HttpRequest request, AuthRequest login, int status, std::string typed,
                  std::string_view error);
/// The first factor (or the connector) has said who it is.
struct Passed {
  IdpSubject subject{};
  bool mfa = false;
  bool remember = false;
  std::string upstream_id_token{};
};
Answer complete_login(Core& core, HttpRequest request, AuthRequest login, Stage from,
                      Passed passed);
/// Where a finished login leads: its session, cookies, and whether a code was made.
struct Completed {
  bool done = false;
  std::string code;
  HttpResponse response;  // carries the cookies
};
Task<Completed> finish_login(Core& core, HttpRequest request, AuthRequest login, Stage from,
                             Passed passed, bool with_code);
/// The request of a page: alive, and started by this browser.
struct PageRequest {
  std::optional<AuthRequest> login;
  HttpResponse refusal;  // if not
};
boost::asio::awaitable<PageRequest> page_request(Core& core, HttpRequest request, std::string id);
[[nodiscard]] HttpResponse code_redirect(const Core& core, const AuthRequest& login,
                                         const std::string& code);

// --- endpoints
Answer discovery(Core& core, HttpRequest request);
Answer keys_endpoint(Core& core, HttpRequest request);
Answer authorize(Core& core, HttpRequest request);
Answer login_get(Core& core, HttpRequest request);
Answer login_post(Core& core, HttpRequest request);
Answer approval(Core& core, HttpRequest request);
Answer mfa_get(Core& core, HttpRequest request);
Answer mfa_post(Core& core, HttpRequest request);
Answer connector_start(Core& core, HttpRequest request, std::string connector_id);
Answer connector_callback(Core& core, HttpRequest request, std::string connector_id);
Answer connector_callback_post(Core& core, HttpRequest request, std::string connector_id);
Answer token_endpoint(Core& core, HttpRequest request);
Answer userinfo(Core& core, HttpRequest request);
Answer revoke(Core& core, HttpRequest request);
Answer device_code(Core& core, HttpRequest request);
Answer device_get(Core& core, HttpRequest request);
Answer device_verify(Core& core, HttpRequest request);
Answer device_confirm_get(Core& core, HttpRequest request);
Answer device_confirm_post(Core& core, HttpRequest request);
Answer logout(Core& core, HttpRequest request);
Answer logout_confirm(Core& core, HttpRequest request);
Answer logout_callback(Core& core, HttpRequest request);

/// Who calls a back-channel endpoint. Authenticated before anything is consumed (contract §4.4).
struct ClientCheck {
  const Client* client = nullptr;
  HttpResponse refusal;
};
ClientCheck authenticate_client(const Core& core, const HttpRequest& request, const Fields& form);

}  // namespace nb::idp
