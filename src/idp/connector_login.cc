// Login at another provider: there and back (contract/auth-idp.md §6).
#include "base/log_keys.h"
#include "idp/core.h"

namespace nb::idp {
namespace {

// Back to the choice: whoever turned around there, or whose provider is away, can go another way.
Answer provider_failed(Core& core, HttpRequest request, AuthRequest login, std::string why,
                       std::string connector) {
  core.log.limited().warn("login at an external provider failed",
                          {log::f("connector", connector), log::f(log::kError, why)});
  const Texts& t = core.page(request).texts;
  const std::string hint = login.login_hint;
  co_return co_await show_login(core, std::move(request), std::move(login), 502, hint,
                                t.provider_failed);
}

UpstreamFlow flow_of(const Core& core, const AuthRequest& login) {
  UpstreamFlow flow;
  flow.nonce = login.upstream_nonce;
  flow.verifier = login.upstream_verifier;
  flow.redirect_uri = core.url("/callback");
  flow.login_hint = login.login_hint;
  flow.prompt = has_scope(login.prompt, "login") ? "login" : "";
  return flow;
}

Task<ConnectorConfig> load(Core& core, std::string id) {
  NB_CO_LET(const std::optional<Connector> row, co_await core.store.connector(core.deadline(), id));
  if (!row) co_return fail(Code::kNotFound, "connector {} is not known", id);
  co_return ConnectorConfig::parse(*row);
}

}  // namespace

Answer connector_start(Core& core, HttpRequest request, std::string connector_id) {
  const Texts& t = core.page(request).texts;
  const auto query = Fields::parse(request.query);
  const std::string id = query ? query->get("req") : "";
  PageRequest page = co_await page_request(core, request, id);
  if (!page.login) co_return page.refusal;
  AuthRequest login = *std::move(page.login);
  if (!clean(connector_id, 255)) co_return error_page(core, request, 404, t.error_not_found);
  const auto config = co_await load(core, connector_id);
  if (!config)
    co_return config.error().code == Code::kNotFound
        ? error_page(core, request, 404, t.error_not_found)
        : failure_page(core, request, config.error());
  const std::string state = core.new_token();
  login.connector_id = config->id;
  login.upstream_state_hash = hash_of(state);
  login.upstream_nonce = core.new_token();
  login.upstream_verifier = core.new_token();
  UpstreamFlow flow = flow_of(core, login);
  flow.state = state;
  const auto url = co_await core.upstream.authorization_url(*config, std::move(flow));
  if (!url)
    co_return co_await provider_failed(core, std::move(request), std::move(login), url.error().text,
                                       config->id);
  const auto started = co_await core.store.start_upstream(core.deadline(), login);
  if (!started) co_return failure_page(core, request, started.error());
  if (!*started) co_return error_page(core, request, 400, t.error_expired);
  co_return see_other(*url);
}

Answer connector_callback(Core& core, HttpRequest request, std::string connector_id) {
  const Texts& t = core.page(request).texts;
  const auto query = Fields::parse(request.query);
  const std::string state = query ? query->get("state") : "";
  if (state.empty() || !clean(state)) co_return error_page(core, request, 400, t.error_bad_request);
  auto found = co_await core.store.request_by_state(core.deadline(), hash_of(state));
  if (!found) co_return failure_page(core, request, found.error());
  if (!*found) co_return error_page(core, request, 400, t.error_expired);
  // The browser that started it, and no other (T4).
  PageRequest page = co_await page_request(core, request, (*found)->id);
  if (!page.login) co_return page.refusal;
  AuthRequest login = *std::move(page.login);
  // T18: the state says which connector was asked; a path that names another is a mix-up.
  if (!connector_id.empty() && connector_id != login.connector_id)
    co_return error_page(core, request, 400, t.error_bad_request);
  if (query->find("error") || query->get("code").empty()) {
    const std::string connector = login.connector_id;
    co_return co_await provider_failed(core, std::move(request), std::move(login),
                                       "it answered with an error", connector);
  }
  const auto config = co_await load(core, login.connector_id);
  if (!config) co_return failure_page(core, request, config.error());
  auto back = co_await core.upstream.finish(*config, flow_of(core, login), query->get("code"),
                                            query->get("iss"));
  if (!back)
    co_return co_await provider_failed(core, std::move(request), std::move(login),
                                       back.error().text, config->id);
  const auto saved = co_await core.store.save_identity(core.deadline(), back->identity);
  if (!saved) co_return failure_page(core, request, saved.error());
  core.metrics.logins_passed.Increment();
  Passed passed;
  passed.subject = back->identity.subject;
  passed.upstream_id_token = std::move(back->id_token);
  co_return co_await complete_login(core, std::move(request), std::move(login), Stage::kLogin,
                                    std::move(passed));
}

/// The answer as a form (response_mode=form_post). It comes from a page of another site, so that
/// browsers leave our Lax cookies out: sent on as a GET, it brings them, and is judged there.
Answer connector_callback_post(Core& core, HttpRequest request, std::string connector_id) {
  const auto form = form_of(request);
  if (!form) co_return error_page(core, request, 400, core.page(request).texts.error_bad_request);
  std::vector<std::pair<std::string, std::string>> answer;
  for (const char* const name : {"code", "state", "iss", "error"})
    if (auto value = form->find(name)) answer.emplace_back(name, *std::move(value));
  std::string path = core.base + "/callback";
  if (!connector_id.empty()) path += "/" + net::url_encode(connector_id);
  co_return see_other(add_query(path, answer));
}

}  // namespace nb::idp
