// Pub/sub on a connection of its own, with explicit state: who listens knows when it was deaf.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "redis/metrics.h"
#include "redis/options.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace nb::redis {

/// Keeps a set of channels subscribed across reconnects.
/// Lives on home, like Client; handlers are called there and must not block. They may call
/// subscribe() and unsubscribe().
/// Delivery is at most once: whatever was published while the connection was away is lost, and
/// on_gap says so.
class Subscriber {
 public:
  enum class State : std::uint8_t {
    kDown,  // not connected; retried with back-off
    kConnecting,
    kSubscribing,  // connected, some channel not yet confirmed
    kLive,         // every wanted channel of this connection was confirmed
  };
  struct Handlers {
    /// Valid during the call only. Anyone who can write to Redis can send anything: validate.
    std::function<void(std::string_view channel, std::string_view payload)> on_message;
    /// Each time a connection became live, the first included; generations count from 1.
    /// Messages since the end of the previous generation are lost: resynchronise now.
    std::function<void(std::uint64_t generation)> on_gap;
    /// The server confirmed `channel` on this connection (each reconnect again, before on_gap).
    /// What is published from now on arrives.
    std::function<void(std::string_view channel)> on_confirmed;
    /// The connection is gone; on_gap follows when it is back.
    std::function<void(const Error& why)> on_down;
  };

  Subscriber(boost::asio::any_io_executor home, Options options, Handlers handlers,
             Metrics& metrics, Logger log);
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  void start();
  /// No handler is called after it returned. Must be awaited before the executor ends.
  boost::asio::awaitable<void> stop();

  /// Remembers `channel` and asks for it now or when connected; a second call changes nothing.
  /// Limits   65,536 channels of 1..512 bytes. Errors: kResourceExhausted, kInvalidArgument.
  Result<> subscribe(std::string_view channel);
  /// No message of `channel` is delivered after this returned.
  void unsubscribe(std::string_view channel);
  /// Wanted, and confirmed by the server on the present connection.
  [[nodiscard]] bool confirmed(std::string_view channel) const;

  [[nodiscard]] State state() const;
  /// Of the present or last live connection; 0 before the first.
  [[nodiscard]] std::uint64_t generation() const;
  [[nodiscard]] std::size_t channels() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace nb::redis
