// Starts the coroutines of handlers and ends them with their call or request.
#pragma once

#include "net/grpc.h"
#include "net/http.h"

#include <boost/asio/cancellation_signal.hpp>

#include <functional>
#include <memory>
#include <string>

namespace nb::net {

/// One running GrpcRouter::AsyncFn. Destroying it cancels the coroutine; `done` is not called then.
class AsyncCall {
 public:
  /// `routes` owns `fn` and stays until the coroutine has ended, which may be after the server.
  AsyncCall(std::shared_ptr<const void> routes, const GrpcRouter::AsyncFn& fn, GrpcRequest request,
            std::function<void(Result<std::string>)> done);
  ~AsyncCall();
  AsyncCall(const AsyncCall&) = delete;
  AsyncCall& operator=(const AsyncCall&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// The same for an HttpHandler. An exception of the handler is a 500.
class HttpTask {
 public:
  HttpTask(std::shared_ptr<const void> routes, const HttpHandler& handler, HttpRequest request,
           std::function<void(HttpResponse)> done);
  ~HttpTask();
  HttpTask(const HttpTask&) = delete;
  HttpTask& operator=(const HttpTask&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace nb::net
