// gRPC services on net/: what a handler sees of one call.
//
// A call lives on the loop (thread) of its connection; every function here is called there and
// nowhere else. Two shapes of handler exist: callbacks, for paths where an idle stream must cost
// bytes and not kilobytes (signal, Sync), and coroutines, for everything that waits on SQL.
// Source   gRPC over HTTP/2 (PROTOCOL-HTTP2); contract/management-grpc.md §1, signal-relay-ops.md
// §1.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nb::net {

class Loop;

/// ASCII metadata as sent; values of "-bin" names are the decoded bytes.
using Metadata = std::vector<std::pair<std::string, std::string>>;

struct GrpcStatus {
  Code code = Code::kOk;
  std::string message{};  // UTF-8; percent-encoded on the wire
  static GrpcStatus from(const Error& error) { return {error.code, error.text}; }
};

/// Where a request came from: the real client behind trusted proxies, canonical text without port.
struct ClientAddress {
  std::string ip;
  std::uint16_t port = 0;
};

class GrpcCall;

/// A weak, copyable reference to a call, for work that finishes later on the same loop.
class GrpcCallHandle {
 public:
  GrpcCallHandle() = default;
  /// Null once the call has ended. Only on the call's loop.
  [[nodiscard]] GrpcCall* get() const;

 private:
  friend class GrpcCall;
  std::weak_ptr<GrpcCall*> call_;
};

/// One call, seen from the server. Valid until its handler's on_end() returned.
class GrpcCall {
 public:
  virtual ~GrpcCall() = default;
  /// "/package.Service/Method".
  [[nodiscard]] virtual std::string_view path() const = 0;
  /// First value of a request header (lower-case name), or empty. Valid during on_start only
  /// unless the name is in the router's list of kept headers.
  [[nodiscard]] virtual std::string_view metadata(std::string_view name) const = 0;
  [[nodiscard]] virtual ClientAddress client() const = 0;
  /// From grpc-timeout; the transport itself ends the call with DEADLINE_EXCEEDED then.
  [[nodiscard]] virtual std::optional<Instant> deadline() const = 0;
  [[nodiscard]] virtual Loop& loop() const = 0;
  /// Sends the response headers now (once). Otherwise the first write or finish sends them.
  virtual void send_headers(const Metadata& initial = {}) = 0;
  /// In on_message() or a unary handler: the message came compressed (and is not any more).
  [[nodiscard]] virtual bool message_was_compressed() const = 0;
  /// From now on messages are compressed, if the caller accepts gzip. Decide before the headers go.
  virtual void use_gzip(bool on) = 0;
  /// Queues one message (copied). Ignored after finish(). See queued_bytes() for back-pressure.
  virtual void write(std::string_view message) = 0;
  /// The same; a large message is kept instead of copied.
  virtual void write_owned(std::string message) { write(message); }  // NOLINT: others keep it
  /// Ends the call once everything written has left. The handler's on_end follows, later.
  virtual void finish(GrpcStatus status, const Metadata& trailers = {}) = 0;
  /// finish() without waiting for what is queued: the queue is dropped.
  virtual void abort(GrpcStatus status) = 0;
  /// Bytes written but not yet given to the socket. Whoever was told more than zero here, or has
  /// left something queued at the end of a turn, gets on_writable() when it has fallen to zero.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  [[nodiscard]] virtual GrpcCallHandle handle() = 0;

 protected:
  static GrpcCallHandle make_handle(const std::shared_ptr<GrpcCall*>& call) {
    GrpcCallHandle handle;
    handle.call_ = call;
    return handle;
  }
};

/// State machine of one streaming call. Owned by the call; destroyed after on_end().
class GrpcStreamHandler {
 public:
  virtual ~GrpcStreamHandler() = default;
  /// Called once, right after the factory, with the request headers still readable.
  virtual void on_start(GrpcCall& call) = 0;
  /// A whole, decompressed message; the bytes are valid during the call only.
  virtual void on_message(GrpcCall& call, std::string_view message) = 0;
  virtual void on_half_close(GrpcCall& /*call*/) {}
  virtual void on_writable(GrpcCall& /*call*/) {}
  /// Last call, exactly once: finished, cancelled by the client, deadline, or transport lost.
  virtual void on_end(GrpcCall& call) = 0;
};

/// Request of a coroutine handler; everything in it is a value.
struct GrpcRequest {
  std::string path;
  std::string message;
  ClientAddress client;
  std::string user_agent;
  std::optional<Instant> deadline;
  Loop* loop = nullptr;
};

/// What the transport serves. Filled before the server starts, then shared, read-only.
class GrpcRouter {
 public:
  /// Answers with call.write() + call.finish(), at once or later through call.handle().
  using UnaryFn = std::function<void(GrpcCall& call, std::string_view request)>;
  using StreamFactory = std::function<std::unique_ptr<GrpcStreamHandler>(GrpcCall& call)>;
  /// Runs on the connection's loop; the coroutine is cancelled when the call ends early.
  using AsyncFn = std::function<boost::asio::awaitable<Result<std::string>>(GrpcRequest request)>;

  void unary(std::string path, UnaryFn fn);
  void async_unary(std::string path, AsyncFn fn);
  void stream(std::string path, StreamFactory factory);
  /// Request header (lower-case name) that stays readable for the whole call, in every method.
  void keep(std::string header);
  [[nodiscard]] const std::vector<std::string>& kept() const { return kept_; }

  struct Method {
    std::string path{};
    UnaryFn unary;
    AsyncFn async;
    StreamFactory stream;
  };
  /// Null: unknown, answered UNIMPLEMENTED ("unknown service S" or "unknown method M for service
  /// S").
  [[nodiscard]] const Method* find(std::string_view path) const;
  [[nodiscard]] bool has_service(std::string_view service) const;
  [[nodiscard]] bool empty() const { return methods_.empty(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  Method& add(std::string path);

  std::unordered_map<std::string, Method, Hash, std::equal_to<>> methods_;
  std::vector<std::string> kept_;
};

}  // namespace nb::net
