// What happens to an answer on its way out: CORS, compression, validators.
// Source   contract/rest-api.md §5.2; RFC 9110 §8.8, §13.1.2.
#pragma once

#include "net/http.h"

#include <string>
#include <string_view>

namespace nb::management::rest {

/// 204 with what the browser asked for.
[[nodiscard]] net::HttpResponse preflight(const net::HttpRequest& request);
void add_cors(const net::HttpRequest& request, net::HttpResponse& response);
/// 20 characters that fit into an ETag.
[[nodiscard]] std::string short_digest(std::string_view data);
/// Weak validator, of the body where `etag` is empty, and 304 if the client has it already.
void add_etag(const net::HttpRequest& request, net::HttpResponse& response, std::string etag = {});
/// gzip, when the client takes it and the body is worth it.
void compress(const net::HttpRequest& request, net::HttpResponse& response);
/// RFC 9110 §12.5.3, for one coding: named with a weight above 0.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

}  // namespace nb::management::rest
