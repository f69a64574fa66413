#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "management/rest/handlers.h"
#include "management/rest/openapi_text.h"

namespace nb::management::rest {
namespace {

constexpr std::string_view kStyle =
    ":root{color-scheme:light dark}body{background:Canvas;color:CanvasText;font:16px/1.5 "
    "system-ui,sans-serif;max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}"
    "th{text-align:left}th,td{padding:.2rem .6rem;border-top:1px solid #8884}"
    "td:first-child{font-weight:600}code{overflow-wrap:anywhere}";

// No script: the page lists what is in the document and leads to it.
Reply page(const RouteTable& table) {
  std::string body =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>REST API · NetBird"
      "</title><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>" +
      std::string(kStyle) +
      "</style></head><body><main><h1>NetBird HA REST API</h1>"
      "<p>The whole description: <a href=\"/api/openapi.yaml\">openapi.yaml</a> (OpenAPI 3.1). "
      "Calls carry <code>Authorization: Token nbp_…</code> or <code>Authorization: Bearer "
      "…</code>.</p><table><thead><tr><th scope=\"col\">Method</th><th scope=\"col\">Path</th></tr>"
      "</thead><tbody>";
  for (const Route& route : table.routes())
    body += "<tr><td>" + route.method + "</td><td><code>" + route.path + "</code></td></tr>";
  body += "</tbody></table></main></body></html>\n";
  // The page is the same for everybody, so the hash of its style stands in for a nonce.
  const std::string style = crypto::to_base64(crypto::sha256(kStyle));
  return {.body = std::move(body),
          .headers = {{"content-type", "text/html; charset=utf-8"},
                      {"content-security-policy", "default-src 'none'; style-src 'sha256-" + style +
                                                      "'; frame-ancestors 'none'; base-uri 'none'"},
                      {"x-frame-options", "DENY"},
                      {"referrer-policy", "no-referrer"},
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
