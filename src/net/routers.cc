#include "base/assert.h"
#include "net/grpc.h"
#include "net/http.h"

#include <algorithm>
#include <utility>

namespace nb::net {

GrpcCall* GrpcCallHandle::get() const {
  const auto call = call_.lock();
  return call ? *call : nullptr;
}

GrpcRouter::Method& GrpcRouter::add(std::string path) {
  NB_ASSERT(path.size() > 3 && path[0] == '/' && path.find('/', 1) != std::string::npos);
  Method& method = methods_[path];
  NB_ASSERT(method.path.empty());  // a method has one handler
  method.path = std::move(path);
  return method;
}

void GrpcRouter::unary(std::string path, UnaryFn fn) {
  add(std::move(path)).unary = std::move(fn);
}

void GrpcRouter::async_unary(std::string path, AsyncFn fn) {
  add(std::move(path)).async = std::move(fn);
}

void GrpcRouter::stream(std::string path, StreamFactory factory) {
  add(std::move(path)).stream = std::move(factory);
}

void GrpcRouter::keep(std::string header) {
  kept_.push_back(std::move(header));
}

const GrpcRouter::Method* GrpcRouter::find(std::string_view path) const {
  const auto found = methods_.find(path);
  return found == methods_.end() ? nullptr : &found->second;
}

bool GrpcRouter::has_service(std::string_view service) const {
  return std::any_of(methods_.begin(), methods_.end(), [&](const auto& entry) {
    const std::string_view path = entry.first;
    return path.size() > service.size() + 1 && path.substr(1, service.size()) == service &&
           path[service.size() + 1] == '/';
  });
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

HttpResponse HttpResponse::text(int status, std::string body) {
  return {.status = status,
          .headers = {{"content-type", "text/plain; charset=utf-8"}},
          .body = std::move(body)};
}

HttpResponse HttpResponse::json(int status, std::string body) {
  return {.status = status,
          .headers = {{"content-type", "application/json; charset=UTF-8"}},
          .body = std::move(body)};
}

void HttpRouter::exact(std::string path, HttpHandler handler) {
  exact_.emplace_back(std::move(path), std::move(handler));
}

void HttpRouter::prefix(std::string path, HttpHandler handler) {
  const auto place = std::find_if(prefixes_.begin(), prefixes_.end(), [&](const auto& entry) {
    return entry.first.size() < path.size();
  });
  prefixes_.emplace(place, std::move(path), std::move(handler));
}

const HttpHandler* HttpRouter::find(std::string_view path) const {
  for (const auto& [route, handler] : exact_) {
    if (route == path) return &handler;
  }
  for (const auto& [route, handler] : prefixes_) {
    if (path.starts_with(route)) return &handler;
  }
  return nullptr;
}

void HttpRouter::websocket(std::string path, WebSocketRoute route) {
  websockets_.emplace_back(std::move(path), std::move(route));
}

void HttpRouter::upload(std::string prefix, UploadRoute route) {
  uploads_.emplace_back(std::move(prefix), std::move(route));
}

const UploadRoute* HttpRouter::find_upload(std::string_view path) const {
  for (const auto& [prefix, route] : uploads_) {
    if (path.starts_with(prefix)) return &route;
  }
  return nullptr;
}

std::uint64_t HttpRouter::upload_bytes_max() const {
  std::uint64_t most = 0;
  for (const auto& [prefix, route] : uploads_) most = std::max(most, route.body_bytes_max);
  return most;
}

const WebSocketRoute* HttpRouter::find_websocket(std::string_view path) const {
  for (const auto& [route, endpoint] : websockets_) {
    if (route == path) return &endpoint;
  }
  return nullptr;
}

}  // namespace nb::net
