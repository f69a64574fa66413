// What HTTP/1.1 and HTTP/2 answer in the same way.
#pragma once

#include "net/context.h"
#include "net/http.h"

#include <string>
#include <string_view>
#include <utility>

namespace nb::net {

/// "GET" of "/a/b?x=y" into path and query.
void split_target(std::string_view target, HttpRequest& request);

/// The answer to a request that no route takes: 404, or what gRPC says to a call made wrongly
/// (contract/signal-relay-ops.md §1.4).
HttpResponse unmatched(const ServerContext& context, const HttpRequest& request, bool http2);

/// 413. In JSON: programs of an API read every answer as that, and nobody else cares.
HttpResponse body_too_large();

/// Fills in the client's address from the socket's and the headers.
void resolve_client(const ServerContext& context, const PeerAddress& peer, HttpRequest& request);

/// A header that belongs to the connection and is ours to write.
[[nodiscard]] bool connection_header(std::string_view lower_name);

/// IMF-fixdate of now, made once a second (RFC 9110 §6.6.1).
[[nodiscard]] std::string_view http_date();
[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace nb::net
