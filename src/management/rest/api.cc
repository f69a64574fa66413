#include "base/error_kinds.h"
#include "base/log_keys.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "management/rest/http_extras.h"
#include "management/rest/rest.h"

#include <algorithm>
#include <utility>

namespace nb::management::rest {
namespace {

namespace asio = boost::asio;
using net::HttpRequest;
using net::HttpResponse;

constexpr std::string_view kNoCredentials = "no valid authentication provided";
constexpr std::string_view kBadCredentials = "token invalid";
constexpr std::size_t kPathMax = 2'048;

HttpResponse not_found() {
  return HttpResponse::text(404, "404 page not found\n");
}

/// Invite tokens stand in paths, which must not come into logs.
std::string loggable(const Route& route) {
  return route.label;
}

/// A decoded path may hold anything, line ends too: it goes into a header escaped.
std::string encoded_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("/-._~").find(c) != std::string_view::npos;
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

struct Credentials {
  std::string scheme;  // lower case
  std::string token;
  bool malformed = false;  // a known scheme with too few or too many parts
};

/// Split at single blanks, as contract/rest-api.md §4.1 wants it.
Credentials credentials(std::string_view header) {
  const auto blank = header.find(' ');
  Credentials out;
  out.scheme = lower(header.substr(0, blank));
  if (blank == header.npos) {
    out.malformed = true;
    return out;
  }
  const std::string_view rest = header.substr(blank + 1);
  out.malformed = rest.empty() || rest.find(' ') != rest.npos;
  out.token = rest;
  return out;
}

bool exempt_from_limit(std::string_view user_agent) {
  return lower(user_agent).find("terraform") != std::string::npos;
}

/// The contract lets the bypass depend on the path: an invite is read and accepted without
/// credentials, and only by the right method.
bool is_public(const Route& route, const RouteTable::Match& match) {
  if (route.access != Access::kPublic) return false;
  const bool of_token = route.path.find("{token}") != std::string::npos;
  return !of_token || (!match.params.empty() && match.params.front().starts_with("nbi_"));
}

}  // namespace

Api::Api(ApiPorts ports, ApiOptions options, RouteTable routes)
    : ports_(std::move(ports)),
      options_(options),
      routes_(std::move(routes)),
      token_use_(ports_.metrics.histogram("management_pat_usage_distribution",
                                          "uses of each personal token per minute", kOtelBuckets)) {
}
Api::~Api() = default;

net::HttpHandler Api::handler() {
  return [this](HttpRequest request) { return serve(std::move(request)); };
}

Task<auth::Caller> Api::authenticate(std::string authorization, std::string user_agent,
                                     Instant deadline) {
  Credentials given = credentials(authorization);
  const bool bearer = given.scheme == "bearer";
  if (!bearer && given.scheme != "token")
    co_return fail(Code::kUnauthenticated, "{}", kNoCredentials);
  if (given.malformed) co_return fail(Code::kUnauthenticated, "{}", kBadCredentials);
  const bool personal = !bearer || given.token.starts_with("nbp_");
  if (personal && options_.limit_personal_tokens && !exempt_from_limit(user_agent)) {
    std::string key = "pat:" + crypto::sha256_base64(given.token);
    const bool taken = co_await ports_.limiter.take(std::move(key), options_.personal_token_limit);
    if (!taken) co_return fail(Code::kResourceExhausted, "too many requests");
  }
  const std::string named = personal ? given.token : std::string();
  auto checked = personal ? ports_.authority.personal_token(deadline, std::move(given.token))
                          : ports_.authority.bearer(deadline, std::move(given.token));
  auto caller = co_await std::move(checked);
  if (caller) {
    if (personal) token_use_.used(named, ports_.clock.now());
    co_return caller;
  }
  if (is_outage(caller.error().code))  // nothing is known of the token
    co_return fail(Code::kUnavailable, "{}", caller.error().text);
  ports_.log.debug("credentials refused", {log::f(log::kReason, caller.error().text)});
  co_return fail(Code::kUnauthenticated, "{}", kBadCredentials);
}

asio::awaitable<HttpResponse> Api::routed(HttpRequest request, RouteTable::Match match,
                                          std::string id, std::string* who) {
  const Route* const route = match.route;
  Call call{.id = std::move(id), .deadline = ports_.clock.now() + options_.request_time};
  call.client_ip = request.client.ip;
  call.if_none_match = std::string(request.header("if-none-match"));
  const bool open = route != nullptr && is_public(*route, match);
  if (!open) {
    auto caller = co_await authenticate(std::string(request.header("authorization")),
                                        std::string(request.header("user-agent")), call.deadline);
    if (!caller) {
      HttpResponse refused = error_response(caller.error());
      if (refused.status == 429) refused.headers.emplace_back("retry-after", "10");
      co_return refused;
    }
    call.caller = *std::move(caller);
    *who = call.user().id.value();
  }
  if (route == nullptr) co_return not_found();  // OPTIONS without being a preflight
  for (const Need& need : route->needs) {
    const auto allowed =
        check_permission(call.user(), call.account_id(), need.module, need.operation);
    if (!allowed) co_return error_response(allowed.error());
  }
  call.params = std::move(match.params);
  call.query = std::move(request.query);
  call.body = std::move(request.body);
  auto reply = co_await route->handler(std::move(call));
  if (!reply) {
    if (http_status(reply.error().code) >= 500)
      ports_.log.limited().warn("request failed", {log::f(log::kPath, loggable(*route)),
                                                   log::f(log::kError, reply.error().text)});
    HttpResponse failed = error_response(reply.error());
    if (failed.status == 429) failed.headers.emplace_back("retry-after", "10");
    co_return failed;
  }
  HttpResponse out;
  out.status = reply->status;
  out.headers = std::move(reply->headers);
  out.body = std::move(reply->body);
  const bool typed = std::any_of(out.headers.begin(), out.headers.end(),
                                 [](const auto& header) { return header.first == "content-type"; });
  if (!out.body.empty() && !typed) {
    out.headers.emplace_back("content-type", "application/json; charset=UTF-8");
    out.body += '\n';
  }
  if (reply->cacheable) add_etag(request, out, std::move(reply->etag));
  co_return out;
}

void Api::count(const Route& route, int status, Instant began) {
  const double ms = std::chrono::duration<double, std::milli>(ports_.clock.now() - began).count();
  const std::string code = std::to_string(status);
  MetricRegistry& metrics = ports_.metrics;
  metrics
      .counter("management_http_request_counter_total", "requests by endpoint",
               {{"endpoint", route.label}, {"method", route.method}})
      .add();
  metrics
      .counter("management_http_response_counter_total", "answers by endpoint and status",
               {{"endpoint", route.label}, {"method", route.method}, {"code", code}})
      .add();
  metrics
      .counter("management_http_response_counter_code_total", "answers by status", {{"code", code}})
      .add();
  metrics
      .histogram("management_http_request_duration_ms_milliseconds", "time per request",
                 kOtelBuckets, {{"endpoint", route.label}, {"method", route.method}})
      .observe(ms);
  const bool write = status == 200 && route.method != "GET";
  metrics
      .histogram("management_http_request_duration_ms_total_milliseconds",
                 "time per request, all endpoints", kOtelBuckets,
                 {{"type", write ? "write" : "read"}})
      .observe(ms);
}

asio::awaitable<HttpResponse> Api::serve(HttpRequest request) {
  const Instant began = ports_.clock.now();
  const auto path =
      request.path.size() <= kPathMax ? percent_decode(request.path) : std::optional<std::string>();
  HttpResponse response = not_found();
  if (!path) {
    add_cors(request, response);
    co_return response;
  }
  if (const auto better = cleaned(*path)) {
    response = HttpResponse{.status = 301};
    std::string location = encoded_path(*better);
    if (!request.query.empty()) location += "?" + request.query;
    response.headers.emplace_back("location", std::move(location));
    co_return response;
  }
  auto match = routes_.find(request.method, *path);
  const bool options = request.method == "OPTIONS";
  if (match && options && !request.header("access-control-request-method").empty())
    co_return preflight(request);
  if (!match || (match->route == nullptr && !options)) {
    add_cors(request, response);
    co_return response;
  }
  const Route* const route = match->route;
  const std::string id = ports_.new_id();
  std::string who;
  HttpRequest seen;  // what is needed of the request after its body has gone
  seen.headers = request.headers;
  try {
    response = co_await routed(std::move(request), *std::move(match), id, &who);
  } catch (const std::exception& error) {
    ports_.log.error("a handler failed", {log::f(log::kError, error.what())});
    response = error_response(500, "internal server error");
  }
  add_cors(seen, response);
  compress(seen, response);
  response.headers.emplace_back("x-request-id", id);
  if (route == nullptr) co_return response;
  count(*route, response.status, began);
  ports_.log.debug("request",
                   {log::f(log::kRequest, id), log::f(log::kMethod, route->method),
                    log::f(log::kPath, loggable(*route)), log::f(log::kCode, response.status),
                    log::f(log::kUser, who),
                    log::f(log::kTookMs, std::chrono::duration_cast<std::chrono::milliseconds>(
                                             ports_.clock.now() - began)
                                             .count())});
  co_return response;
}

}  // namespace nb::management::rest
