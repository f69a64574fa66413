#include "net/http_rules.h"

#include "net/grpc_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace nb::net {

void split_target(std::string_view target, HttpRequest& request) {
  // Absolute form (RFC 9112 §3.2.2): proxies may send it; the path counts.
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const std::size_t slash = target.find_first_of("/?", scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  const std::size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
}

HttpResponse unmatched(const ServerContext& context, const HttpRequest& request, bool http2) {
  const std::string_view type = request.header("content-type");
  bool grpc = context.config.unmatched_is_grpc || grpc_wire::is_grpc_content_type(type) ||
              context.grpc.find(request.path) != nullptr;
  if (context.grpc.empty()) grpc = false;
  if (!grpc) return HttpResponse::text(404, "404 page not found\n");
  if (!http2) return HttpResponse::text(505, "gRPC requires HTTP/2\n");
  if (request.method != "POST") {
    auto response = HttpResponse::text(
        405, fmt::format("invalid gRPC request method \"{}\"\n", request.method));
    response.headers.emplace_back("allow", "POST");
    return response;
  }
  return HttpResponse::text(415, fmt::format("invalid gRPC request content-type \"{}\"\n", type));
}

HttpResponse body_too_large() {
  auto response =
      HttpResponse::json(413, "{\"message\":\"request body is too large\",\"code\":413}\n");
  // Pages of other origins may know that much (contract/rest-api.md §5.2).
  response.headers.emplace_back("access-control-allow-origin", "*");
  return response;
}

void resolve_client(const ServerContext& context, const PeerAddress& peer, HttpRequest& request) {
  std::string forwarded;
  for (const auto& [name, value] : request.headers) {
    if (name != "x-forwarded-for") continue;
    if (!forwarded.empty()) forwarded += ", ";
    forwarded += value;
  }
  const std::string_view real_ip = request.header("x-real-ip");
  request.client = context.proxies.resolve(peer, forwarded, real_ip);
  if (request.client.port != 0 || real_ip.empty()) return;
  // contract/signal-relay-ops.md §3.6: the port stands in a header of its own, beside the address
  // it belongs to.
  const auto ip = parse_ip(real_ip);
  const std::string_view text = request.header("x-real-port");
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (ip && ip->text() == request.client.ip && ec == std::errc{} &&
      end == text.data() + text.size())
    request.client.port = port;
}

bool connection_header(std::string_view lower_name) {
  return lower_name == "connection" || lower_name == "content-length" ||
         lower_name == "transfer-encoding" || lower_name == "keep-alive" ||
         lower_name == "upgrade" || lower_name == "proxy-connection" || lower_name == "date";
}

std::string_view http_date() {
  thread_local std::time_t made_at = -1;
  thread_local std::array<char, 32> text{};
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != made_at) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    // The locale of the process is "C": names of days and months are English.
    size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    made_at = now;
  }
  return {text.data(), size};
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

}  // namespace nb::net
