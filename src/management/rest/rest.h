// management/rest: the REST API under /api.
//
// Purpose      what is upstream's API, byte by byte where clients look: routing, credentials,
//              permissions, JSON in and out, errors, CORS, compression, ETags, limits, metrics.
// Not here     what a change means (app); who a token is (auth); HTTP itself (net).
// Start with   Api below; routes.h for the list of endpoints; one file of handlers per group.
// Threads      a request stays on the loop of its connection; SQL waits elsewhere.
// Limits       bodies as the transport's limit, JSON 32 levels deep, 30 s per request.
// Failure      every error is JSON with message and code, except for unknown paths, which official
//              dashboards expect as plain text.
// Decisions    docs/decisions/0091-rest-reads-the-database.md
#pragma once

#include "base/log.h"
#include "base/metrics.h"
#include "ha/rate_limiter.h"
#include "management/auth/auth.h"
#include "management/rest/routes.h"
#include "management/rest/token_use.h"
#include "net/http.h"

#include <chrono>
#include <functional>
#include <string>

namespace nb::management::rest {

struct ApiOptions {
  bool limit_personal_tokens = false;
  RateLimit personal_token_limit{.per_second = 6.0 / 60, .burst = 500};
  std::chrono::seconds request_time{30};
};

struct ApiPorts {
  auth::Authority& authority;
  ha::RateLimiter& limiter;
  std::function<std::string()> new_id;  // xid
  const Clock& clock;
  MetricRegistry& metrics;
  Logger log{};
};

/// Serves a table of routes. Must outlive the server that it is added to.
class Api {
 public:
  Api(ApiPorts ports, ApiOptions options, RouteTable routes);
  ~Api();

  [[nodiscard]] net::HttpHandler handler();
  [[nodiscard]] const RouteTable& routes() const { return routes_; }

 private:
  boost::asio::awaitable<net::HttpResponse> serve(net::HttpRequest request);
  boost::asio::awaitable<net::HttpResponse> routed(net::HttpRequest request,
                                                   RouteTable::Match match, std::string id,
                                                   std::string* who);
  Task<auth::Caller> authenticate(std::string authorization, std::string user_agent,
                                  Instant deadline);
  void count(const Route& route, int status, Instant began);

  ApiPorts ports_;
  ApiOptions options_;
  RouteTable routes_;
  TokenUse token_use_;
};

}  // namespace nb::management::rest
