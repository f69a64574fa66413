// Plain HTTP (1.1 and 2) on the same port: REST, /oauth2, health, metrics.
#pragma once

#include "net/grpc.h"
#include "net/websocket_endpoint.h"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::net {

struct HttpRequest {
  std::string method;                                        // upper case as sent
  std::string path;                                          // raw, without query
  std::string query;                                         // without '?'
  std::vector<std::pair<std::string, std::string>> headers;  // lower-case names
  std::string body;  // whole, <= ServerLimits::body_bytes_max
  ClientAddress client;
  bool tls = false;
  Loop* loop = nullptr;
  /// First value or empty.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  static HttpResponse text(int status, std::string body);
  static HttpResponse json(int status, std::string body);
};

/// Runs on the connection's loop.
using HttpHandler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest request)>;

/// Exact paths first, then the longest prefix; nothing matching: 404.
class HttpRouter {
 public:
  void exact(std::string path, HttpHandler handler);
  void prefix(std::string path, HttpHandler handler);
  /// Upgrades of exactly this path; other requests for it go to its handler, if there is one.
  void websocket(std::string path, WebSocketRoute route);
  [[nodiscard]] const HttpHandler* find(std::string_view path) const;
  [[nodiscard]] const WebSocketRoute* find_websocket(std::string_view path) const;
  [[nodiscard]] bool empty() const {
    return exact_.empty() && prefixes_.empty() && websockets_.empty();
  }

 private:
  std::vector<std::pair<std::string, HttpHandler>> exact_;
  std::vector<std::pair<std::string, HttpHandler>> prefixes_;  // longest first
  std::vector<std::pair<std::string, WebSocketRoute>> websockets_;
};

}  // namespace nb::net
