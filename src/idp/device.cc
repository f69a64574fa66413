// Device authorization (RFC 8628; contract/auth-idp.md §4.5).
#include "base/log_keys.h"
#include "base/text.h"
#include "idp/core.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace nb::idp {
namespace {

std::string new_user_code(Core& core) {
  std::string code;
  for (int i = 0; i < 8; ++i)
    code += kUserCodeAlphabet[core.random.below(kUserCodeAlphabet.size())];
  return code;
}

std::string shown(std::string_view code) {
  return std::string(code.substr(0, 4)) + "-" + std::string(code.substr(4));
}

std::string device_scopes(std::string_view asked) {
  std::string out = "openid";
  for (const auto* scope : {"email", "groups", "profile", "offline_access"})
    if (has_scope(asked, scope)) out += std::string(" ") + scope;
  return out;
}

}  // namespace

Answer device_code(Core& core, HttpRequest request) {
  const auto form = form_of(request);
  if (!form) co_return oauth_error(400, "invalid_request", "the body is not a form");
  const ClientCheck check = authenticate_client(core, request, *form);
  if (check.client == nullptr) co_return check.refusal;
  if (check.client->id != kCliClient)
    co_return oauth_error(400, "unauthorized_client", "this client has no device flow");
  if (!core.start_allowed(request.client.ip))
    co_return oauth_error(429, "slow_down", "too many requests, try again in a moment");
  const std::string code = core.new_token();
  DeviceCode device;
  device.hash = hash_of(code);
  device.client_id = check.client->id;
  device.scopes = device_scopes(form->get("scope"));
  device.ip = request.client.ip;
  const std::string_view agent = request.header("user-agent").substr(0, 100);
  device.user_agent = clean(agent) ? std::string(agent) : "";
  Result<> stored = fail(Code::kAlreadyExists, "");
  for (int i = 0; i < 3 && !stored && stored.error().code == Code::kAlreadyExists; ++i) {
    device.user_code = new_user_code(core);
    stored = co_await core.store.insert_device(core.deadline(), device);
  }
  if (!stored) co_return failure_json(core, stored.error());
  boost::json::object object;
  object["device_code"] = code;
  object["user_code"] = shown(device.user_code);
  object["verification_uri"] = core.url("/device");
  object["verification_uri_complete"] = core.url("/device?user_code=" + shown(device.user_code));
  object["expires_in"] = core.options.lifetimes.device.count();
  object["interval"] = core.options.lifetimes.device_interval.count();
  HttpResponse response = json_answer(200, boost::json::serialize(object));
  allow_any_origin(response);
  co_return response;
}

Answer device_get(Core& core, HttpRequest request) {
  const auto query = Fields::parse(request.query);
  const std::string code = query ? query->get("user_code").substr(0, 20) : "";
  const std::string hint = query ? query->get("login_hint").substr(0, 254) : "";
  co_return device_page(core.page(request), 200, clean(code) ? code : "", clean(hint) ? hint : "",
                        "");
}

Answer device_verify(Core& core, HttpRequest request) {
  const PageContext context = core.page(request);
  const Texts& t = context.texts;
  const auto form = form_of(request);
  if (!form || cross_site(core, request))
    co_return error_page(core, request, 400, t.error_bad_request);
  const std::string typed = form->get("user_code").substr(0, 20);
  const std::string hint = form->get("login_hint").substr(0, 254);
  auto allowed =
      co_await core.throttle.code_guess_allowed(core.deadline(), request.client.ip, false);
  if (!allowed) co_return failure_page(core, request, allowed.error());
  if (!*allowed) co_return device_page(context, 429, "", "", t.too_many_tries);
  const auto code = normalise_user_code(typed);
  Result<std::optional<DeviceCode>> found = std::optional<DeviceCode>();
  if (code) found = co_await core.store.device_by_user_code(core.deadline(), *code);
  if (!found) co_return failure_page(core, request, found.error());
  if (!*found) {
    allowed = co_await core.throttle.code_guess_allowed(core.deadline(), request.client.ip, true);
    if (!allowed) co_return failure_page(core, request, allowed.error());
    co_return device_page(context, 400, clean(typed) ? typed : "", clean(hint) ? hint : "",
                          t.device_wrong);
  }
  AuthRequest login;
  login.id = core.new_token();
  login.client_id = (*found)->client_id;
  login.scopes = (*found)->scopes;
  login.device_hash = (*found)->hash;
  login.login_hint = clean(hint) ? hint : "";
  login.prompt = "login";  // a session that is there must not approve by itself (T5)
  co_return co_await begin_login(core, std::move(request), std::move(login));
}

Answer device_confirm_get(Core& core, HttpRequest request) {
  const PageContext context = core.page(request);
  const Texts& t = context.texts;
  const auto query = Fields::parse(request.query);
  const std::string id = query ? query->get("req") : "";
  PageRequest page = co_await page_request(core, request, id);
  if (!page.login) co_return page.refusal;
  if (page.login->stage != Stage::kConfirm)
    co_return error_page(core, request, 400, t.error_expired);
  const auto device = co_await core.store.device_by_hash(core.deadline(), page.login->device_hash);
  if (!device) co_return failure_page(core, request, device.error());
  if (!*device) co_return message_page(context, 400, t.device_late_title, t.device_late_text);
  const auto who = co_await core.store.identity(core.deadline(), page.login->subject);
  if (!who) co_return failure_page(core, request, who.error());
  ConfirmView view;
  view.request = page.login->id;
  view.who = *who ? ((*who)->email.empty() ? (*who)->name : (*who)->email) : "";
  view.user_code = shown((*device)->user_code);
  view.address = (*device)->ip;
  view.program = (*device)->user_agent;
  co_return confirm_page(context, view);
}

Answer device_confirm_post(Core& core, HttpRequest request) {
  const PageContext context = core.page(request);
  const Texts& t = context.texts;
  const auto form = form_of(request);
  if (!form || cross_site(core, request))
    co_return error_page(core, request, 400, t.error_bad_request);
  PageRequest page = co_await page_request(core, request, form->get("req"));
  if (!page.login) co_return page.refusal;
  const bool allow = form->get("answer") == "allow";
  const auto session = co_await current_session(core, request);
  if (!session) co_return failure_page(core, request, session.error());
  const std::string session_hash = *session ? (*session)->hash : "";
  const auto done = co_await core.store.decide_device(core.deadline(), page.login->id,
                                                      page.login->device_hash, allow, session_hash);
  if (!done) co_return failure_page(core, request, done.error());
  HttpResponse response =
      !*done  ? message_page(context, 400, t.device_late_title, t.device_late_text)
      : allow ? message_page(context, 200, t.device_done_title, t.device_done_text)
              : message_page(context, 200, t.device_denied_title, t.device_denied_text);
  if (*done)
    core.log.info(allow ? "a device was allowed" : "a device was denied",
                  {log::f("ip", request.client.ip),
                   log::f("user", management::encode_subject(page.login->subject).value())});
  clear_cookie(core, response, flow_cookie(page.login->id));
  co_return response;
}

}  // namespace nb::idp
