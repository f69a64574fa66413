#include "signal/signed_bus.h"

#include <utility>

namespace nb::signal {

namespace asio = boost::asio;

SignedBus::SignedBus(ha::MessageBus& inner, ha::Sealer sealer, const Clock& clock,
                     std::function<void(ha::Refusal)> on_refused)
    : inner_(inner),
      sealer_(std::move(sealer)),
      clock_(clock),
      on_refused_(std::move(on_refused)) {}

asio::awaitable<Result<std::size_t>> SignedBus::publish(std::string channel, std::string payload) {
  std::string sealed = sealer_.seal(channel, payload, clock_.wall());
  return inner_.publish(std::move(channel), std::move(sealed));
}

asio::awaitable<Result<std::vector<std::size_t>>> SignedBus::publish_all(
    std::vector<ha::BusMessage> messages) {
  for (ha::BusMessage& message : messages)
    message.payload = sealer_.seal(message.channel, message.payload, clock_.wall());
  return inner_.publish_all(std::move(messages));
}

ha::Subscription SignedBus::subscribe(std::string channel, ha::SubscribeOptions options) {
  auto on_message = std::move(options.on_message);
  options.on_message = [this, on_message = std::move(on_message)](const ha::Delivery& delivery) {
    const auto opened =
        sealer_.open(delivery.channel, delivery.payload, clock_.wall(), clock_.now());
    if (!opened.ok) return on_refused_(opened.refusal);
    on_message({.channel = delivery.channel, .payload = opened.payload, .sender = opened.sender});
  };
  return inner_.subscribe(std::move(channel), std::move(options));
}

}  // namespace nb::signal
