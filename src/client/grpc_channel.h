// gRPC calls of one channel as coroutines and callbacks on home, in bytes: the wire types stay with
// whoever knows them.
//
// The official library does the work, over a completion queue and a thread of ours that all
// channels of the process share, so that nothing of it is destroyed on its own threads.
#pragma once

#include "base/result.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace nb::client {

struct GrpcTarget {
  std::string address{};  // host:port
  bool tls = false;
  std::string ca_file{};  // PEM of the authorities to trust instead of the system's
};

/// Called on home; none after on_end or GrpcChannel::stop().
struct GrpcStreamEvents {
  std::function<void(const std::multimap<std::string, std::string>& headers)> on_headers{};
  std::function<void(std::string_view message)> on_message{};
  std::function<void(const Error& why)> on_end{};  // kOk: the server ended it well
};

class GrpcStream {
 public:
  virtual ~GrpcStream() = default;
  /// on_end follows.
  virtual void cancel() = 0;
};

class GrpcChannel {
 public:
  static constexpr int kMessageBytesMax = 16 << 20;

  /// Connects with the first call.
  /// Errors   kInvalidArgument: ca_file cannot be read.
  static Result<std::shared_ptr<GrpcChannel>> create(boost::asio::any_io_executor home,
                                                     GrpcTarget target);
  virtual ~GrpcChannel() = default;
  /// `method`: "/package.Service/Method".
  /// Errors   the server's status.
  virtual boost::asio::awaitable<Result<std::string>> call(std::string method, std::string request,
                                                           std::chrono::milliseconds limit) = 0;
  /// A stream that is read to its end; `request`, if any, is the one message sent.
  virtual std::shared_ptr<GrpcStream> open(std::string method,
                                           std::multimap<std::string, std::string> metadata,
                                           const std::string* request, GrpcStreamEvents events) = 0;
  /// Cancels all that is under way and returns when nothing of it is left.
  virtual boost::asio::awaitable<void> stop() = 0;
};

}  // namespace nb::client
