// Which path is which endpoint (contract/auth-idp.md §4.1).
#include "base/log_keys.h"
#include "idp/core.h"

#include <array>

namespace nb::idp {
namespace {

using Handler = Answer (*)(Core&, HttpRequest);

struct Route {
  std::string_view path;
  Handler get;
  Handler post;
  bool any_origin = false;  // answers other origins: JSON without credentials (T32)
  bool device = false;
};

constexpr std::array<Route, 18> kRoutes = {{
    {"/.well-known/openid-configuration", discovery, nullptr, true},
    {"/keys", keys_endpoint, nullptr, true},
    {"/auth", authorize, authorize},
    {"/login", login_get, login_post},
    {"/mfa", mfa_get, mfa_post},
    {"/approval", approval, approval},
    {"/token", nullptr, token_endpoint, true},
    {"/userinfo", userinfo, userinfo, true},
    {"/revoke", nullptr, revoke, true},
    {"/device/code", nullptr, device_code, true, true},
    {"/device/token", nullptr, token_endpoint, true, true},
    {"/device", device_get, nullptr, false, true},
    {"/device/auth/verify_code", nullptr, device_verify, false, true},
    {"/device/confirm", device_confirm_get, device_confirm_post, false, true},
    {"/device/callback", device_get, nullptr, false, true},
    {"/logout", logout, logout},
    {"/logout/confirm", nullptr, logout_confirm},
    {"/logout/callback", logout_callback, nullptr},
}};

HttpResponse not_found(const Core& core, const HttpRequest& request) {
  return error_page(core, request, 404, core.page(request).texts.error_not_found);
}

HttpResponse wrong_method(std::string_view allow) {
  HttpResponse response = HttpResponse::text(405, "method not allowed\n");
  response.headers.emplace_back("Allow", allow);
  return response;
}

bool is_get(const HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

Answer fixed(Core& core, HttpRequest request, const Route& route) {
  if (route.device && !core.device_flow) co_return not_found(core, request);
  if (request.method == "OPTIONS" && route.any_origin) co_return preflight();
  const Handler handler = is_get(request)            ? route.get
                          : request.method == "POST" ? route.post
                                                     : nullptr;
  if (handler == nullptr)
    co_return wrong_method(route.get == nullptr    ? "POST"
                           : route.post == nullptr ? "GET"
                                                   : "GET, POST");
  co_return co_await handler(core, std::move(request));
}

// A connector's id in a path: one segment, percent-decoded by the rules of forms.
std::optional<std::string> connector_of(std::string_view segment) {
  if (segment.empty() || segment.find_first_of("/+") != std::string_view::npos) return std::nullopt;
  const auto fields = Fields::parse("id=" + std::string(segment));
  if (!fields || fields->size() != 1) return std::nullopt;
  return fields->get("id");
}

Answer callback(Core& core, HttpRequest request, std::string connector) {
  if (is_get(request))
    co_return co_await connector_callback(core, std::move(request), std::move(connector));
  if (request.method == "POST")
    co_return co_await connector_callback_post(core, std::move(request), std::move(connector));
  co_return wrong_method("GET, POST");
}

Answer dispatch(Core& core, HttpRequest request) {
  const std::string path = request.path.substr(core.base.size());
  for (const Route& route : kRoutes)
    if (path == route.path) co_return co_await fixed(core, std::move(request), route);
  if (path.empty() || path == "/") co_return see_other("/");
  if (path == "/robots.txt") co_return HttpResponse::text(200, "User-agent: *\nDisallow: /\n");
  constexpr std::string_view kAuth = "/auth/";
  constexpr std::string_view kCallback = "/callback";
  if (path.starts_with(kAuth) && is_get(request)) {
    const auto id = connector_of(std::string_view(path).substr(kAuth.size()));
    if (id) co_return co_await connector_start(core, std::move(request), *id);
  }
  if (path == kCallback) co_return co_await callback(core, std::move(request), "");
  if (path.starts_with("/callback/")) {
    const auto id = connector_of(std::string_view(path).substr(kCallback.size() + 1));
    if (id) co_return co_await callback(core, std::move(request), *id);
  }
  co_return not_found(core, request);
}

}  // namespace

void Provider::add_routes(net::HttpRouter& router) {
  // The path itself and what is below it, not "/oauth2anything" (contract §4).
  const auto handler = [core = core_.get()](HttpRequest request) {
    return dispatch(*core, std::move(request));
  };
  router.exact(core_->base, handler);
  router.prefix(core_->base + "/", handler);
}

}  // namespace nb::idp
