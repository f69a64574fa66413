#include "net/ops.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <sstream>
#include <string_view>
#include <utility>

namespace nb::net {
namespace asio = boost::asio;

namespace {

std::vector<prometheus::MetricFamily> collect(const OpsSources& sources) {
  std::vector<prometheus::MetricFamily> all;
  for (const auto& source : sources.metrics) {
    const auto collectable = source.lock();
    if (!collectable) continue;
    for (auto& family : collectable->Collect()) all.push_back(std::move(family));
  }
  return all;
}

/// OpenMetrics names a counter's family without "_total", which its samples carry, and ends with
/// EOF.
std::string open_metrics_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    std::string line(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
      const std::size_t space = line.find_first_of(" \n", 7);
      const std::string name = line.substr(7, space - 7);
      const bool is_counter = line.ends_with(" counter\n");
      if (name.ends_with("_total") && (is_counter || line.starts_with("# HELP "))) {
        line.erase(space - 6, 6);
      }
    }
    out += line;
  }
  return out + "# EOF\n";
}

asio::awaitable<HttpResponse> answer(HttpResponse response) {
  co_return response;
}

HttpResponse only_get() {
  auto response = HttpResponse::text(405, "method not allowed\n");
  response.headers.emplace_back("allow", "GET, HEAD");
  return response;
}

bool is_get(const HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

HttpResponse metrics_response(const OpsSources& sources, const HttpRequest& request) {
  const bool open =
      request.header("accept").find("application/openmetrics-text") != std::string_view::npos;
  auto response = HttpResponse::text(200, metrics_text(sources, open));
  response.headers.front().second =
      open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
           : "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

}  // namespace

std::string metrics_text(const OpsSources& sources, bool open_metrics) {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, collect(sources));
  return open_metrics ? open_metrics_text(out.str()) : out.str();
}

void add_health_routes(HttpRouter& router, OpsSources sources) {
  const auto shared = std::make_shared<const OpsSources>(std::move(sources));
  router.exact("/healthz", [shared](const HttpRequest& request) {
    if (!is_get(request)) return answer(only_get());
    const bool alive = !shared->alive || shared->alive();
    return answer(alive ? HttpResponse::text(200, "ok\n") : HttpResponse::text(503, "failing\n"));
  });
  router.exact("/readyz", [shared](const HttpRequest& request) {
    if (!is_get(request)) return answer(only_get());
    Readiness state = shared->ready ? shared->ready() : Readiness{};
    const int away = state.draining && request.query == "drain=404" ? 404 : 503;
    return answer(HttpResponse::json(state.ready ? 200 : away, std::move(state.json)));
  });
}

void add_ops_routes(HttpRouter& router, OpsSources sources) {
  const auto shared = std::make_shared<const OpsSources>(sources);
  router.exact("/metrics", [shared](const HttpRequest& request) {
    return answer(is_get(request) ? metrics_response(*shared, request) : only_get());
  });
  add_health_routes(router, std::move(sources));
}

}  // namespace nb::net
