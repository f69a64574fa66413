// Plain HTTP (1.1 and 2) on the same port: REST, /oauth2, health, metrics.
#pragma once

#include "net/grpc.h"
#include "net/websocket_endpoint.h"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
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

/// Takes the body of one request piece by piece instead of in memory. On the connection's loop;
/// destroyed before finish() when the request is broken off.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// False: nothing more is wanted, and finish() has the answer.
  virtual bool write(std::span<const std::uint8_t> bytes) = 0;
  /// The whole body was written, or write() has refused it.
  virtual HttpResponse finish() = 0;
};

/// What the head of an upload is answered with: a place for its body, or a refusal at once.
using UploadStart = std::variant<HttpResponse, std::unique_ptr<BodySink>>;
struct UploadRoute {
  std::uint64_t body_bytes_max = 0;  // in the place of ServerLimits::body_bytes_max
  std::function<UploadStart(const HttpRequest& head)> open;  // never a null sink
};

/// Exact paths first, then the longest prefix; nothing matching: 404.
class HttpRouter {
 public:
  void exact(std::string path, HttpHandler handler);
  void prefix(std::string path, HttpHandler handler);
  /// Upgrades of exactly this path; other requests for it go to its handler, if there is one.
  void websocket(std::string path, WebSocketRoute route);
  /// Requests of every method below this path; no other route sees them.
  void upload(std::string prefix, UploadRoute route);
  [[nodiscard]] const HttpHandler* find(std::string_view path) const;
  [[nodiscard]] const WebSocketRoute* find_websocket(std::string_view path) const;
  [[nodiscard]] const UploadRoute* find_upload(std::string_view path) const;
  /// The largest body that an upload may have; 0: there are none.
  [[nodiscard]] std::uint64_t upload_bytes_max() const;
  [[nodiscard]] bool empty() const {
    return exact_.empty() && prefixes_.empty() && websockets_.empty() && uploads_.empty();
  }

 private:
  std::vector<std::pair<std::string, HttpHandler>> exact_;
  std::vector<std::pair<std::string, HttpHandler>> prefixes_;  // longest first
  std::vector<std::pair<std::string, WebSocketRoute>> websockets_;
  std::vector<std::pair<std::string, UploadRoute>> uploads_;
};

}  // namespace nb::net
