// A small HTTP/1.1 client for talking to other people's servers: identity providers, key sets.
//
// Purpose      one request, one whole answer, with every bound the caller needs against a server it
//              does not trust: time, size, certificate, address.
// Not here     HTTP/2, proxies, streaming, cookies, redirects (a 3xx is handed back as it is).
// Threads      one client may be used from any number of loops; send() runs on the caller's.
// Limits       header fields <= 32 KiB, body <= Request::body_bytes_max, all of it within
// `timeout`. Failure      kInvalidArgument: not a usable URL; kPermissionDenied: an address the
// caller's rule
//              refuses, or a certificate that does not verify; kUnavailable: name, connection or
//              protocol failed; kDeadlineExceeded; kResourceExhausted: answer too large. Texts name
//              the host, never path, query, header or body.
#pragma once

#include "base/ip.h"
#include "base/result.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::net {

/// False for loopback, private, link-local (cloud metadata), shared, multicast, documentation and
/// other addresses that are not on the public Internet.
[[nodiscard]] bool is_public_address(const IpAddress& address);

struct HttpClientRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://, without user information
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};  // with a Content-Length if not empty or method is POST or PUT
  std::chrono::milliseconds timeout{10'000};
  std::size_t body_bytes_max = 256 * 1024;
  /// Asked for each resolved address before connecting; the connection goes to that very address,
  /// so a second look-up cannot change it. Unset: all.
  std::function<bool(const IpAddress&)> allow{};
  bool https_only = false;
};

struct HttpClientResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // lower-case names
  std::string body;
  /// First value or empty.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpClientOptions {
  /// PEM file of more authorities to trust, besides the system's.
  std::string ca_file{};
  std::string user_agent = "netbird";
};

class HttpClient {
 public:
  /// Errors   kInvalidArgument: ca_file cannot be read.
  static Result<std::shared_ptr<HttpClient>> create(HttpClientOptions options = {});
  virtual ~HttpClient() = default;
  virtual boost::asio::awaitable<Result<HttpClientResponse>> send(HttpClientRequest request) = 0;
};

/// For application/x-www-form-urlencoded bodies and queries: unreserved bytes stay, all else %XX.
[[nodiscard]] std::string url_encode(std::string_view text);
[[nodiscard]] std::string form_encode(
    const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace nb::net
