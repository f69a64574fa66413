// A dialled byte stream to Redis, plain or TLS. Internal to the module.
#pragma once

#include "base/result.h"
#include "redis/options.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace nb::redis {

/// Lives on the executor it was dialled on. One read and one write at a time.
class Stream {
 public:
  using Done = std::function<void(boost::system::error_code)>;
  virtual ~Stream() = default;
  /// At least one byte. Errors: kUnavailable, the end of the stream included.
  virtual boost::asio::awaitable<Result<std::size_t>> read(std::span<char> room) = 0;
  /// All of `bytes`, which must live until `done` was called; never from inside send().
  virtual void send(std::string_view bytes, Done done) = 0;
  /// send() as a coroutine, for the greeting.
  virtual boost::asio::awaitable<Result<>> write(std::string bytes) = 0;
  /// Bytes wait in the kernel: we are slow, not the server.
  [[nodiscard]] virtual bool readable() = 0;
  /// Ends what is under way; any number of times.
  virtual void close() = 0;
};

/// Ends a dial (and a greeting) from outside: cancel() closes whatever `current` refers to.
struct DialControl {
  bool cancelled = false;
  std::function<void()> close_current;
  void cancel() {
    cancelled = true;
    if (close_current) close_current();
  }
};

/// Calls `expire` once after `limit`, unless it is destroyed before.
class Deadline {
 public:
  Deadline(const boost::asio::any_io_executor& home, std::chrono::milliseconds limit,
           std::function<void()> expire);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Name, TCP and TLS. Errors: kUnavailable; kFailedPrecondition: certificate files.
boost::asio::awaitable<Result<std::shared_ptr<Stream>>> dial(Address address, TlsOptions tls,
                                                             std::shared_ptr<DialControl> control);

/// "host:port", v6 in brackets.
[[nodiscard]] std::string to_text(const Address& address);

}  // namespace nb::redis
