// A bus whose messages say who sent them, and prove it when there is a secret.
#pragma once

#include "base/clock.h"
#include "ha/envelope.h"
#include "ha/message_bus.h"

#include <functional>
#include <string>
#include <vector>

namespace nb::signal {

/// Seals what is published and opens what arrives; what cannot be opened is counted and dropped.
/// Lives on the home of the inner bus.
class SignedBus final : public ha::MessageBus {
 public:
  SignedBus(ha::MessageBus& inner, ha::Sealer sealer, const Clock& clock,
            std::function<void(ha::Refusal)> on_refused);
  boost::asio::awaitable<Result<std::size_t>> publish(std::string channel,
                                                      std::string payload) override;
  boost::asio::awaitable<Result<std::vector<std::size_t>>> publish_all(
      std::vector<ha::BusMessage> messages) override;
  [[nodiscard]] ha::Subscription subscribe(std::string channel,
                                           ha::SubscribeOptions options) override;

 private:
  ha::MessageBus& inner_;
  ha::Sealer sealer_;
  const Clock& clock_;
  std::function<void(ha::Refusal)> on_refused_;
};

}  // namespace nb::signal
