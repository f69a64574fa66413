// The authorization endpoint (contract/auth-idp.md §4.3).
#include "base/log_keys.h"
#include "base/text.h"
#include "idp/core.h"

#include <array>
#include <charconv>

namespace nb::idp {
namespace {

constexpr std::array<std::string_view, 16> kParameters = {
    "client_id",    "redirect_uri", "response_type",  "scope",
    "state",        "nonce",        "code_challenge", "code_challenge_method",
    "prompt",       "max_age",      "login_hint",     "id_token_hint",
    "connector_id", "request",      "request_uri",    "response_mode"};
constexpr std::array<std::string_view, 5> kScopes = {"openid", "email", "groups", "profile",
                                                     "offline_access"};

struct Ask {
  const Client* client = nullptr;
  std::string redirect_uri;
  Fields fields;
};

HttpResponse redirect_error(const Core& core, const Ask& ask, std::string_view error,
                            std::string_view description) {
  std::vector<std::pair<std::string, std::string>> query = {
      {"error", std::string(error)}, {"error_description", std::string(description)}};
  if (const auto state = ask.fields.find("state"); state && clean(*state))
    query.emplace_back("state", *state);
  query.emplace_back("iss", core.options.issuer);
  return see_other(add_query(ask.redirect_uri, query));
}

bool good_challenge(std::string_view text) {
  if (text.size() < 43 || text.size() > 128) return false;
  for (const char c : text) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.' || c == '~';
    if (!ok) return false;
  }
  return true;
}

std::string known_scopes(std::string_view text) {
  std::string out;
  for (const std::string_view scope : kScopes)
    if (has_scope(text, scope)) out += (out.empty() ? "" : " ") + std::string(scope);
  return out;
}

// Everything that can be said without looking at session or database. Nothing: fine.
std::optional<HttpResponse> check(const Core& core, const Ask& ask) {
  const Fields& f = ask.fields;
  if (f.repeated(kParameters))
    return redirect_error(core, ask, "invalid_request", "a parameter is given twice");
  for (const std::string_view name : kParameters)
    if (!clean(f.get(name), 4096))
      return redirect_error(core, ask, "invalid_request", "a parameter is not text or too long");
  if (f.find("request"))
    return redirect_error(core, ask, "request_not_supported", "request objects are not supported");
  if (f.find("request_uri"))
    return redirect_error(core, ask, "request_uri_not_supported",
                          "request objects are not supported");
  if (f.get("response_type") != "code")
    return redirect_error(core, ask, "unsupported_response_type", "response_type must be code");
  if (const std::string mode = f.get("response_mode"); !mode.empty() && mode != "query")
    return redirect_error(core, ask, "invalid_request", "response_mode must be query");
  if (!has_scope(f.get("scope"), "openid"))
    return redirect_error(core, ask, "invalid_scope", "scope must contain openid");
  // T3: mandatory for everybody, and nothing weaker.
  if (f.get("code_challenge_method") != "S256" || !good_challenge(f.get("code_challenge")))
    return redirect_error(core, ask, "invalid_request", "PKCE with S256 is required");
  const std::string prompt = f.get("prompt");
  if (has_scope(prompt, "none") && prompt != "none")
    return redirect_error(core, ask, "invalid_request", "prompt none excludes others");
  return std::nullopt;
}

std::optional<std::int64_t> max_age(const Fields& fields) {
  const std::string text = fields.get("max_age");
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < 0)
    return std::nullopt;
  return value;
}

AuthRequest login_of(const Core& core, const Ask& ask) {
  AuthRequest login;
  login.id = core.new_token();
  login.client_id = ask.client->id;
  login.redirect_uri = ask.redirect_uri;
  login.scopes = known_scopes(ask.fields.get("scope"));
  login.has_state = ask.fields.find("state").has_value();
  login.state = ask.fields.get("state");
  login.nonce = ask.fields.get("nonce");
  login.challenge = ask.fields.get("code_challenge");
  login.login_hint = ask.fields.get("login_hint").substr(0, 254);
  login.prompt = ask.fields.get("prompt");
  login.connector_id = ask.fields.get("connector_id");
  return login;
}

// The session answers for this request: alive, its second factor done, young enough, and of whom
// the hint names.
Task<bool> session_serves(Core& core, const Ask& ask, LoginSession session) {
  const Millis now = wall_millis(core.clock);
  if (const auto age = max_age(ask.fields); age && session.auth_time + *age * 1000 <= now)
    co_return false;
  NB_CO_LET(const bool due, co_await core.mfa_due(session.subject));
  if (due && session.mfa_time == 0) co_return false;
  const std::string hint = ask.fields.get("id_token_hint");
  if (hint.empty()) co_return true;
  const auto hinted = co_await read_own_token(core, hint);
  co_return !hinted || hinted->subject == session.subject;
}

Answer silent(Core& core, Ask ask, std::optional<LoginSession> session) {
  if (!session) co_return redirect_error(core, ask, "login_required", "no session");
  const auto due = co_await core.mfa_due(session->subject);
  if (due && *due && session->mfa_time == 0)
    co_return redirect_error(core, ask, "interaction_required", "a second factor is required");
  co_return redirect_error(core, ask, "login_required", "the session does not serve this request");
}

// 400 pages until client and redirect are known to belong together: no open redirect (T1).
std::optional<HttpResponse> identify(const Core& core, const HttpRequest& request, Ask& ask) {
  const Texts& t = core.page(request).texts;
  auto fields = request.method == "POST" ? form_of(request) : std::optional<Fields>();
  if (request.method != "POST") {
    auto parsed = Fields::parse(request.query);
    if (parsed) fields = *std::move(parsed);
  }
  if (!fields) return error_page(core, request, 400, t.error_bad_request);
  ask.fields = *std::move(fields);
  constexpr std::array<std::string_view, 2> kBoth = {"client_id", "redirect_uri"};
  if (ask.fields.repeated(kBoth)) return error_page(core, request, 400, t.error_bad_request);
  ask.client = core.client(ask.fields.get("client_id"));
  if (ask.client == nullptr) return error_page(core, request, 400, t.error_bad_client);
  ask.redirect_uri = ask.fields.get("redirect_uri");
  if (!is_registered(ask.client->redirect_uris, ask.redirect_uri))
    return error_page(core, request, 400, t.error_bad_redirect);
  return std::nullopt;
}

}  // namespace

HttpResponse code_redirect(const Core& core, const AuthRequest& login, const std::string& code) {
  std::vector<std::pair<std::string, std::string>> query = {{"code", code}};
  if (login.has_state) query.emplace_back("state", login.state);
  query.emplace_back("iss", core.options.issuer);  // RFC 9207
  return see_other(add_query(login.redirect_uri, query));
}

Answer authorize(Core& core, HttpRequest request) {
  Ask ask;
  if (auto refusal = identify(core, request, ask)) co_return *std::move(refusal);
  if (auto refusal = check(core, ask)) co_return *std::move(refusal);
  AuthRequest login = login_of(core, ask);
  const bool none = login.prompt == "none";
  auto session = co_await current_session(core, request);
  if (!session) {
    if (none) co_return redirect_error(core, ask, "temporarily_unavailable", "try again");
    co_return failure_page(core, request, session.error());
  }
  const bool again = has_scope(login.prompt, "login") || has_scope(login.prompt, "select_account");
  if (*session && !again) {
    const auto serves = co_await session_serves(core, ask, **session);
    const auto who = co_await core.store.identity(core.deadline(), (*session)->subject);
    if (serves && *serves && who && *who) {
      const std::string code = core.new_token();
      // Named, not written into the call: gcc 12 destroys such temporaries of a co_await twice.
      const Grant grant{.client_id = login.client_id,
                        .redirect_uri = login.redirect_uri,
                        .challenge = login.challenge,
                        .scopes = login.scopes,
                        .nonce = login.nonce,
                        .subject = (*session)->subject,
                        .auth_time = (*session)->auth_time,
                        .session_hash = (*session)->hash,
                        .family_id = login.id};
      const auto made = co_await core.store.insert_code(core.deadline(), hash_of(code), grant);
      if (made) co_return code_redirect(core, login, code);
      if (none) co_return redirect_error(core, ask, "temporarily_unavailable", "try again");
      co_return failure_page(core, request, made.error());
    }
  }
  if (none) co_return co_await silent(core, std::move(ask), std::move(*session));
  co_return co_await begin_login(core, std::move(request), std::move(login));
}

}  // namespace nb::idp
