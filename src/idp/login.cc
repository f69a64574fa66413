// From the login page to a finished login: password, session, code.
#include "base/log_keys.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include "idp/core.h"

namespace nb::idp {
namespace {

using namespace std::chrono_literals;

struct Attempt {
  std::optional<LocalUser> user;  // with the right password
  bool locked = false;
};

// Unknown, disabled and wrong take the same steps and the same time (T8).
Task<Attempt> try_password(Core& core, std::string email, Secret password, std::string ip) {
  Attempt attempt;
  const std::string account = core.vault.email_key(email);
  NB_CO_LET(const ThrottleVerdict verdict,
            co_await core.throttle.check(core.deadline(), account, ip));
  if (verdict.locked) {
    core.metrics.logins_locked.Increment();
    attempt.locked = true;
    co_return attempt;
  }
  const Instant begin = core.clock.now();
  if (verdict.delay > 0ms) co_await core.clock.sleep_for(verdict.delay);
  const std::string known = clean(email) ? email : "";
  NB_CO_LET(std::optional<LocalUser> user,
            co_await core.store.user_by_email(core.deadline(), known));
  const std::string stored = user ? user->hash : core.dummy_hash;
  NB_CO_LET(const bool right, co_await core.hasher.verify(stored, password));
  if (right && user && !user->disabled) {
    NB_CO_TRY(co_await core.throttle.passed(core.deadline(), account, ip));
    core.metrics.logins_passed.Increment();
    if (crypto::password_outdated(stored)) {
      NB_CO_LET(const std::string fresh, co_await core.hasher.hash(password));
      NB_CO_TRY(co_await core.store.replace_hash(core.deadline(), user->id, stored, fresh));
    }
    attempt.user = std::move(user);
    co_return attempt;
  }
  NB_CO_TRY(co_await core.throttle.failed(core.deadline(), account, ip));
  core.metrics.logins_failed.Increment();
  core.log.limited().info("a password login failed", {log::f("ip", ip)});
  const auto floor = begin + verdict.delay + core.options.failure_floor;
  if (const auto left = floor - core.clock.now(); left > 0ms) co_await core.clock.sleep_for(left);
  co_return attempt;
}

std::string device_name(const HttpRequest& request) {
  std::string agent(request.header("user-agent").substr(0, 200));
  return clean(agent) ? agent : "";
}

}  // namespace

Answer show_login(Core& core, HttpRequest request, AuthRequest login, int status, std::string typed,
                  std::string_view error) {
  const PageContext context = core.page(request);
  LoginView view;
  view.request = login.id;
  view.login = std::move(typed);
  view.error = error;
  view.local = !core.options.local_auth_disabled;
  view.remember = core.options.remember_default;
  const auto connectors = co_await core.store.connectors(core.deadline());
  if (!connectors) co_return failure_page(core, request, connectors.error());
  for (const Connector& connector : *connectors)
    view.connectors.emplace_back(connector.id, connector.name);
  co_return login_page(context, status, view);
}

Task<std::optional<LoginSession>> current_session(Core& core, const HttpRequest& request) {
  const auto value = cookie(request.header("cookie"), kSessionCookie);
  if (!value || value->empty()) co_return std::optional<LoginSession>();
  co_return co_await core.store.session(core.deadline(), hash_of(*value));
}

Answer begin_login(Core& core, HttpRequest request, AuthRequest login) {
  if (!core.start_allowed(request.client.ip))
    co_return failure_page(core, request,
                           fail(Code::kResourceExhausted, "too many logins under way"));
  const std::string flow = core.new_token();
  login.flow_hash = hash_of(flow);
  std::string connector = login.connector_id;
  const auto made = co_await core.store.insert_request(core.deadline(), login);
  if (!made) co_return failure_page(core, request, made.error());
  if (connector.empty() && core.options.local_auth_disabled) {
    const auto all = co_await core.store.connectors(core.deadline());
    if (all && all->size() == 1) connector = all->front().id;
  }
  const bool local = connector.empty() || connector == kLocalConnector;
  const std::string path = local ? "/login" : "/auth/" + net::url_encode(connector);
  HttpResponse response = see_other(core.base + path + "?req=" + login.id);
  set_cookie(core, response, flow_cookie(login.id), flow, core.options.lifetimes.request);
  co_return response;
}

boost::asio::awaitable<PageRequest> page_request(Core& core, HttpRequest request, std::string id) {
  PageRequest page;
  const Texts& t = core.page(request).texts;
  const bool plausible = id.size() == 43 && clean(id);
  const auto flow = cookie(request.header("cookie"), flow_cookie(id));
  if (!plausible) {
    page.refusal = error_page(core, request, 400, t.error_bad_request);
    co_return page;
  }
  auto found = co_await core.store.request(core.deadline(), id);
  if (!found) {
    page.refusal = failure_page(core, request, found.error());
  } else if (!*found || (*found)->stage == Stage::kDone) {
    page.refusal = error_page(core, request, 400, t.error_expired);
  } else if (!flow || !crypto::equal_secrets(hash_of(*flow), (*found)->flow_hash)) {
    page.refusal = error_page(core, request, 400, t.error_other_browser);
  } else {
    page.login = std::move(**found);
  }
  co_return page;
}

Answer login_get(Core& core, HttpRequest request) {
  const auto query = Fields::parse(request.query);
  const std::string id = query ? query->get("req") : "";
  PageRequest page = co_await page_request(core, request, id);
  if (!page.login) co_return page.refusal;
  const std::string hint = page.login->login_hint;
  co_return co_await show_login(core, std::move(request), *std::move(page.login), 200, hint, "");
}

Answer login_post(Core& core, HttpRequest request) {
  const Texts& t = core.page(request).texts;
  const auto form = form_of(request);
  if (!form || cross_site(core, request))
    co_return error_page(core, request, 400, t.error_bad_request);
  PageRequest page = co_await page_request(core, request, form->get("req"));
  if (!page.login) co_return page.refusal;
  AuthRequest login = *std::move(page.login);
  if (core.options.local_auth_disabled || login.stage != Stage::kLogin)
    co_return error_page(core, request, 400, t.error_expired);
  const std::string typed = form->get("login");
  const bool remember = form->get("remember") == "1";
  const std::string shown = clean(typed, 254) ? typed : "";
  auto attempt =
      co_await try_password(core, typed, Secret(form->get("password")), request.client.ip);
  if (!attempt) co_return failure_page(core, request, attempt.error());
  if (attempt->locked)
    co_return co_await show_login(core, std::move(request), std::move(login), 429, shown,
                                  t.too_many_tries);
  if (!attempt->user)
    co_return co_await show_login(core, std::move(request), std::move(login), 401, shown,
                                  t.wrong_credentials);
  const IdpSubject subject{attempt->user->id, std::string(kLocalConnector)};
  const Passed passed{.subject = subject, .remember = remember};
  const auto due = co_await core.mfa_due(subject);
  if (!due) co_return failure_page(core, request, due.error());
  if (!*due)
    co_return co_await complete_login(core, std::move(request), std::move(login), Stage::kLogin,
                                      passed);
  const auto moved =
      co_await core.store.first_factor_passed(core.deadline(), login.id, subject, remember);
  if (!moved) co_return failure_page(core, request, moved.error());
  if (!*moved) co_return error_page(core, request, 400, t.error_expired);
  co_return see_other(core.base + "/mfa?req=" + login.id);
}

/// Where upstream asks for consent. Nobody is asked here (contract/auth-idp.md §4.1), so whoever
/// comes is led to where his login stands; nothing is approved by coming.
Answer approval(Core& core, HttpRequest request) {
  const auto form = request.method == "POST" ? form_of(request) : std::nullopt;
  const auto query = Fields::parse(request.query);
  const std::string id = form ? form->get("req") : query ? query->get("req") : "";
  PageRequest page = co_await page_request(core, request, id);
  if (!page.login) co_return page.refusal;
  const Stage stage = page.login->stage;
  const std::string_view path = stage == Stage::kLogin ? "/login"
                                : stage == Stage::kMfa ? "/mfa"
                                                       : "/device/confirm";
  co_return see_other(core.base + std::string(path) + "?req=" + page.login->id);
}

Task<Completed> finish_login(Core& core, HttpRequest request, AuthRequest login, Stage from,
                             Passed passed, bool with_code) {
  Completed completed;
  const std::string session_token = core.new_token();  // never the id from before (T9)
  const auto old = cookie(request.header("cookie"), kSessionCookie);
  LoginSession session;
  session.hash = hash_of(session_token);
  session.subject = passed.subject;
  session.mfa_time = passed.mfa ? 1 : 0;
  session.upstream_id_token = std::move(passed.upstream_id_token);
  completed.code = with_code && login.device_hash.empty() ? core.new_token() : "";
  const std::string code_hash = completed.code.empty() ? "" : hash_of(completed.code);
  const std::string old_hash = old ? hash_of(*old) : "";
  NB_CO_LET(completed.done,
            co_await core.store.finish(core.deadline(), login, from, std::move(session), old_hash,
                                       request.client.ip, device_name(request), code_hash));
  set_cookie(core, completed.response, kSessionCookie, session_token,
             passed.remember ? core.options.lifetimes.session_max : 0s);
  if (login.device_hash.empty()) clear_cookie(core, completed.response, flow_cookie(login.id));
  co_return completed;
}

Answer complete_login(Core& core, HttpRequest request, AuthRequest login, Stage from,
                      Passed passed) {
  auto completed =
      co_await finish_login(core, request, login, from, std::move(passed), /*with_code=*/true);
  if (!completed) co_return failure_page(core, request, completed.error());
  if (!completed->done)
    co_return error_page(core, request, 400, core.page(request).texts.error_expired);
  HttpResponse response = login.device_hash.empty()
                              ? code_redirect(core, login, completed->code)
                              : see_other(core.base + "/device/confirm?req=" + login.id);
  for (auto& header : completed->response.headers) response.headers.push_back(std::move(header));
  co_return response;
}

}  // namespace nb::idp
