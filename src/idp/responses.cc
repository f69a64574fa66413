#include "base/log_keys.h"
#include "base/text.h"
#include "idp/core.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace nb::idp {
namespace {

std::string cookie_text(const Core& core, std::string_view name, std::string_view value,
                        std::string_view life) {
  return fmt::format("{}={}; Path={}; HttpOnly; SameSite=Lax{}{}", name, value, core.base,
                     core.secure ? "; Secure" : "", life);
}

}  // namespace

HttpResponse see_other(std::string location) {
  HttpResponse response;
  response.status = 303;
  response.headers = {{"Location", std::move(location)},
                      {"Cache-Control", "no-store"},
                      {"Referrer-Policy", "no-referrer"}};
  return response;
}

HttpResponse json_answer(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  response.headers = {{"Content-Type", "application/json"},
                      {"Cache-Control", "no-store"},
                      {"Pragma", "no-cache"},
                      {"X-Content-Type-Options", "nosniff"}};
  return response;
}

HttpResponse oauth_error(int status, std::string_view error, std::string_view description) {
  boost::json::object object;
  object["error"] = error;
  object["error_description"] = description;
  HttpResponse response = json_answer(status, boost::json::serialize(object));
  allow_any_origin(response);
  return response;
}

HttpResponse error_page(const Core& core, const HttpRequest& request, int status,
                        std::string_view text) {
  const PageContext context = core.page(request);
  return message_page(context, status, context.texts.error_title, text);
}

HttpResponse failure_page(const Core& core, const HttpRequest& request, const Error& error) {
  const PageContext context = core.page(request);
  const bool busy = error.code == Code::kResourceExhausted;
  if (!busy) core.log.limited().warn("a login failed", {log::f(log::kError, error.text)});
  HttpResponse response = message_page(context, busy ? 429 : 503, context.texts.error_title,
                                       busy ? context.texts.busy : context.texts.error_unavailable);
  response.headers.emplace_back("Retry-After", "5");
  return response;
}

HttpResponse failure_json(const Core& core, const Error& error) {
  core.log.limited().warn("a token request failed", {log::f(log::kError, error.text)});
  return oauth_error(503, "temporarily_unavailable", "the service is not available, try again");
}

void allow_any_origin(HttpResponse& response) {
  response.headers.emplace_back("Access-Control-Allow-Origin", "*");
}

HttpResponse preflight() {
  HttpResponse response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Origin", "*"},
                      {"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                      {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
                      {"Access-Control-Max-Age", "600"}};
  return response;
}

void set_cookie(const Core& core, HttpResponse& response, std::string_view name,
                std::string_view value, std::chrono::seconds life) {
  response.headers.emplace_back(
      "Set-Cookie", cookie_text(core, name, value,
                                life.count() > 0 ? fmt::format("; Max-Age={}", life.count()) : ""));
}

void clear_cookie(const Core& core, HttpResponse& response, std::string_view name) {
  response.headers.emplace_back("Set-Cookie", cookie_text(core, name, "", "; Max-Age=0"));
}

bool cross_site(const Core& core, const HttpRequest& request) {
  const std::string_view site = request.header("sec-fetch-site");
  if (!site.empty()) return site != "same-origin" && site != "none";
  const std::string_view origin = request.header("origin");
  // "null" is what browsers send from pages with our Referrer-Policy; the flow cookie decides then.
  return !origin.empty() && origin != "null" && origin != core.origin;
}

std::optional<Fields> form_of(const HttpRequest& request) {
  const std::string type = lower(request.header("content-type"));
  if (trim(std::string_view(type).substr(0, type.find(';'))) != "application/x-www-form-urlencoded")
    return std::nullopt;
  auto fields = Fields::parse(request.body);
  if (!fields) return std::nullopt;
  return *std::move(fields);
}

std::string flow_cookie(std::string_view request_id) {
  return "netbird-flow-" + std::string(request_id.substr(0, 12));
}

}  // namespace nb::idp
