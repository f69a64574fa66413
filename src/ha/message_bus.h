// MessageBus: messages between instances, at most once, by channel name.
#pragma once

#include "base/result.h"
#include "ha/ids.h"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::ha {

inline constexpr std::size_t kBusMessageBytesMax = std::size_t{1} << 20;

struct BusMessage {
  std::string channel;
  std::string payload;
};

/// What a handler gets; the views end with the call.
struct Delivery {
  std::string_view channel;
  std::string_view payload;
  /// Who sent it, as the envelope says (sealed_bus.h); empty on a bare bus.
  std::string_view sender = {};
};

struct SubscribeOptions {
  /// Called on home for each message, in the order of each sender. Must not block: hand over to a
  /// queue. Payloads are whatever anybody publishes ("ping", garbage): never trust, never crash.
  std::function<void(const Delivery&)> on_message = {};
  /// Called on home when the subscription became active, the first time and after each reconnect:
  /// from now on messages arrive, and any number may have been lost before. Resynchronise here.
  std::function<void()> on_gap = {};
};

/// Ends its subscription when destroyed: no handler is called from then on. Move only; may outlive
/// the bus. Destroy it on the bus's home; doing so inside its own handler is fine.
class Subscription {
 public:
  /// Adapter's side of it.
  class Impl {
   public:
    virtual ~Impl() = default;
    [[nodiscard]] virtual bool active() const = 0;
  };
  Subscription() = default;
  explicit Subscription(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
  /// Whether the store confirmed it and the connection stands, as far as known.
  [[nodiscard]] bool active() const { return impl_ && impl_->active(); }
  explicit operator bool() const { return impl_ != nullptr; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Lives on its home executor. At most once: lost when nobody listens, when a connection breaks,
/// when the store is away; the caller repeats or resynchronises.
class MessageBus {
 public:
  virtual ~MessageBus() = default;

  /// How many subscribers the store handed it to; 0 means nobody listens there (S3: the instance
  /// is dead or reconnecting).
  /// Errors   kInvalidArgument: payload > kBusMessageBytesMax; kUnavailable: the store is away (at
  ///          once while the breaker is open); the message may have been delivered or not.
  virtual boost::asio::awaitable<Result<std::size_t>> publish(std::string channel,
                                                              std::string payload) = 0;
  /// Many in one pipelined write; one count per message, in order. All or nothing only as to
  /// errors.
  virtual boost::asio::awaitable<Result<std::vector<std::size_t>>> publish_all(
      std::vector<BusMessage> messages) = 0;

  /// Listens from now on, over all reconnects, until the result is destroyed. Several on one
  /// channel each get every message; a sender that also listens gets its own.
  [[nodiscard]] virtual Subscription subscribe(std::string channel, SubscribeOptions options) = 0;
};

}  // namespace nb::ha
