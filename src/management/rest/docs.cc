#include "management/rest/handlers.h"
#include "management/rest/openapi_text.h"

namespace nb::management::rest {
namespace {

// No script: the page lists what is in the document and leads to it.
Reply page(const RouteTable& table) {
  std::string body =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>NetBird HA API</title>"
      "<meta name=\"viewport\" content=\"width=device-width\"><style>"
      ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;"
      "margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}"
      "td{padding:.2rem .6rem;border-top:1px solid #8884}td:first-child{font-weight:600}"
      "</style></head><body><h1>NetBird HA REST API</h1>"
      "<p>The whole description: <a href=\"/api/openapi.yaml\">openapi.yaml</a> (OpenAPI 3.1). "
      "Calls carry <code>Authorization: Token nbp_…</code> or <code>Authorization: Bearer "
      "…</code>.</p><table>";
  for (const Route& route : table.routes())
    body += "<tr><td>" + route.method + "</td><td><code>" + route.path + "</code></td></tr>";
  body += "</table></body></html>\n";
  return {.body = std::move(body),
          .headers = {{"content-type", "text/html; charset=utf-8"},
                      {"content-security-policy",
                       "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
                      {"x-content-type-options", "nosniff"}}};
}

Task<Reply> constant(Reply reply) {
  co_return reply;
}

}  // namespace

void add_reference(RouteTable& table) {
  const Reply document{.body = std::string(openapi_text()),
                       .headers = {{"content-type", "application/yaml; charset=utf-8"}}};
  table.add("GET", "/api/openapi.yaml", Access::kPublic,
            [document](Call /*call*/) { return constant(document); });
  const Reply reference = page(table);
  table.add("GET", "/api/reference", Access::kPublic,
            [reference](Call /*call*/) { return constant(reference); });
}

}  // namespace nb::management::rest
