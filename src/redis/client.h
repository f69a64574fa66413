// redis: Redis as a fast path that may go away at any time.
//
// Purpose      commands, batches and scripts over one pipelined connection (Client here), pub/sub
//              over a second one (Subscriber in subscriber.h); single server or Sentinel, TLS, ACL.
// Not here     what the keys mean (ha/); Cluster; commands that block.
// Start with   Client below, then Options in options.h, Batch in command.h, Reply in reply.h;
//              inside: breaker.h for the rules, connection.h for the wire.
// Threads      a Client and its callbacks live on the executor it was given ("home", run by one
//              thread); every call is made there. A server of many loops has either one client
//              per process on a home loop (others post to it) or one per loop; both share one
//              Metrics.
// Limits       Options: pending commands and bytes, size and nesting of replies.
// Failure      Redis away: the breaker is open and calls end with kUnavailable at once, without
//              I/O or timer. A call that was on its way when the connection broke ends with
//              kUnavailable too, and may or may not have taken effect. Starting while Redis is
//              down works. Passwords never appear in errors or logs.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "redis/breaker.h"
#include "redis/command.h"
#include "redis/metrics.h"
#include "redis/options.h"
#include "redis/reply.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::redis {

class Client {
 public:
  using Replies = std::vector<Reply>;
  using Callback = std::function<void(Result<Replies>)>;
  struct Events {
    /// After each (re)connect, greeting done. Generations count from 1 and grow by one each time:
    /// re-assert here what Redis may have lost.
    std::function<void(std::uint64_t generation)> on_up;
    /// The connection of `generation` is gone.
    std::function<void(std::uint64_t generation, const Error& why)> on_down;
  };

  Client(boost::asio::any_io_executor home, Options options, Metrics& metrics, Logger log);
  /// Without stop(): outstanding calls end with kCancelled from here.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Before start().
  void set_events(Events events);
  /// Begins to connect and stays connected; does not wait. Calls made before the first attempt
  /// has ended wait for it.
  void start();
  /// Ends outstanding calls with kCancelled and closes. Must be awaited before the executor ends.
  boost::asio::awaitable<void> stop();

  /// co_await client.command("HGET", key, field). An error reply is an Error (see to_error()).
  /// Errors   kUnavailable: Redis is away or did not answer in read_timeout (the command may have
  ///          taken effect); kResourceExhausted: pending_*_max or the reply's limits;
  ///          kCancelled: stop(), or the caller was cancelled (the command is sent all the same).
  template <class... Args>
  boost::asio::awaitable<Result<Reply>> command(const Args&... args) {
    Batch batch;
    batch.add(args...);
    return single(std::move(batch));
  }
  boost::asio::awaitable<Result<Reply>> command_args(const std::vector<std::string>& args) {
    Batch batch;
    batch.add_args(args);
    return single(std::move(batch));
  }
  /// EVALSHA, with the source on the first call after a restart.
  boost::asio::awaitable<Result<Reply>> eval(const Script& script, std::vector<std::string> keys,
                                             std::vector<std::string> args);
  /// One reply per command; error replies stay replies, so check each. Errors as command().
  boost::asio::awaitable<Result<Replies>> run(Batch batch);
  /// run() without a coroutine, for hot paths; `callback` is called once, on home, possibly before
  /// start_batch() returns (when the breaker is open).
  void start_batch(Batch batch, Callback callback);

  /// False: a call would fail now without being sent.
  [[nodiscard]] bool available() const;
  [[nodiscard]] bool connected() const;
  [[nodiscard]] BreakerState breaker() const;
  /// Of the present or last connection; 0 before the first.
  [[nodiscard]] std::uint64_t generation() const;
  [[nodiscard]] std::size_t pending() const;
  [[nodiscard]] const boost::asio::any_io_executor& executor() const;
  /// Host and port in use, for logs; the configured ones when not connected.
  [[nodiscard]] std::string endpoint() const;

 private:
  struct Impl;
  boost::asio::awaitable<Result<Reply>> single(Batch batch);
  std::shared_ptr<Impl> impl_;
};

}  // namespace nb::redis
