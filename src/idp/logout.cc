// RP-initiated logout (contract/auth-idp.md §4.8).
#include "base/log_keys.h"
#include "idp/core.h"

namespace nb::idp {
namespace {

Fields parameters(const HttpRequest& request) {
  if (request.method == "POST")
    if (auto form = form_of(request)) return *std::move(form);
  auto query = Fields::parse(request.query);
  return query ? *std::move(query) : Fields();
}

HttpResponse refuse(const Core& core, const HttpRequest& request) {
  const PageContext context = core.page(request);
  return message_page(context, 400, context.texts.error_title, context.texts.error_bad_logout);
}

struct Ended {
  std::optional<LoginSession> session;
};

// The browser's own session, if it is the one of the hint; a hint of somebody else ends nothing.
Task<Ended> end_session(Core& core, const HttpRequest& request, const IdpSubject* subject) {
  Ended ended;
  const auto value = cookie(request.header("cookie"), kSessionCookie);
  if (!value || value->empty()) co_return ended;
  const std::string hash = hash_of(*value);
  if (subject != nullptr) {
    NB_CO_LET(const std::optional<LoginSession> session,
              co_await core.store.session(core.deadline(), hash));
    if (session && session->subject != *subject) co_return ended;
  }
  NB_CO_LET(ended.session, co_await core.store.delete_session(core.deadline(), hash));
  co_return ended;
}

// Where the browser has to go to log out at the connector too; empty: nowhere.
Task<std::string> upstream_logout(Core& core, LoginSession session, std::string target) {
  if (session.subject.connector_id == kLocalConnector || session.upstream_id_token.empty())
    co_return std::string();
  NB_CO_LET(const std::optional<Connector> row,
            co_await core.store.connector(core.deadline(), session.subject.connector_id));
  if (!row) co_return std::string();
  NB_CO_LET(const ConnectorConfig config, ConnectorConfig::parse(*row));
  NB_CO_LET(const std::string endpoint, co_await core.upstream.end_session_endpoint(config));
  if (endpoint.empty()) co_return std::string();
  const std::string state = core.new_token();
  NB_CO_TRY(co_await core.store.insert_logout(core.deadline(), hash_of(state), target));
  co_return add_query(endpoint, {{"id_token_hint", session.upstream_id_token},
                                 {"client_id", config.client_id},
                                 {"post_logout_redirect_uri", core.url("/logout/callback")},
                                 {"state", state}});
}

HttpResponse logged_out(const Core& core, const HttpRequest& request) {
  const PageContext context = core.page(request);
  return message_page(context, 200, context.texts.logout_title, context.texts.logout_text, true);
}

}  // namespace

Answer logout(Core& core, HttpRequest request) {
  const Fields fields = parameters(request);
  const std::string hint = fields.get("id_token_hint");
  if (hint.empty()) {
    // Without proof of who asks: only for requests that did not come from another site (T30).
    if (cross_site(core, request)) co_return logout_question(core.page(request));
    const auto ended = co_await end_session(core, request, nullptr);
    if (!ended) co_return failure_page(core, request, ended.error());
    HttpResponse response = see_other("/");
    clear_cookie(core, response, kSessionCookie);
    co_return response;
  }
  const auto own = co_await read_own_token(core, hint);  // an expired one is fine
  if (!own && own.error().code == Code::kUnavailable)
    co_return failure_page(core, request, own.error());
  const Client* client = own ? core.client(own->audience) : nullptr;
  const std::string named = fields.get("client_id");
  if (client == nullptr || (!named.empty() && named != client->id)) co_return refuse(core, request);
  const std::string uri = fields.get("post_logout_redirect_uri");
  if (!uri.empty() && !is_registered(client->post_logout_uris, uri))
    co_return refuse(core, request);
  auto ended = co_await end_session(core, request, &own->subject);
  if (!ended) co_return failure_page(core, request, ended.error());
  std::string target = uri;
  if (const auto state = fields.find("state"); state && !uri.empty() && clean(*state))
    target = add_query(uri, {{"state", *state}});
  if (ended->session) {
    const auto upstream = co_await upstream_logout(core, *std::move(ended->session), target);
    // A connector that is away does not keep anybody logged in here.
    if (upstream && !upstream->empty()) {
      HttpResponse response = see_other(*upstream);
      clear_cookie(core, response, kSessionCookie);
      co_return response;
    }
  }
  HttpResponse response = target.empty() ? logged_out(core, request) : see_other(target);
  clear_cookie(core, response, kSessionCookie);
  co_return response;
}

Answer logout_confirm(Core& core, HttpRequest request) {
  if (cross_site(core, request)) co_return refuse(core, request);
  const auto ended = co_await end_session(core, request, nullptr);
  if (!ended) co_return failure_page(core, request, ended.error());
  HttpResponse response = see_other("/");
  clear_cookie(core, response, kSessionCookie);
  co_return response;
}

Answer logout_callback(Core& core, HttpRequest request) {
  const auto query = Fields::parse(request.query);
  const std::string state = query ? query->get("state") : "";
  if (state.empty()) co_return logged_out(core, request);
  const auto target = co_await core.store.take_logout(core.deadline(), hash_of(state));
  if (!target) co_return failure_page(core, request, target.error());
  if (!*target || (*target)->empty()) co_return logged_out(core, request);
  co_return see_other(**target);
}

}  // namespace nb::idp
