// The simulated way to the store: StoreAccess and MessageBus over a Connection that breaks.
#pragma once

#include "ha/sim/internal.h"

#include <memory>
#include <utility>

namespace nb::sim {

class SimAccess final : public ha::StoreAccess {
 public:
  explicit SimAccess(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  boost::asio::awaitable<Result<>> run(Op op) override;

 private:
  std::shared_ptr<Connection> connection_;
};

class SimBus final : public ha::MessageBus {
 public:
  explicit SimBus(std::shared_ptr<Connection> connection)
      : connection_(connection), access_(std::move(connection)) {}
  boost::asio::awaitable<Result<std::size_t>> publish(std::string channel,
                                                      std::string payload) override;
  boost::asio::awaitable<Result<std::vector<std::size_t>>> publish_all(
      std::vector<ha::BusMessage> messages) override;
  [[nodiscard]] ha::Subscription subscribe(std::string channel,
                                           ha::SubscribeOptions options) override;

 private:
  std::shared_ptr<Connection> connection_;
  SimAccess access_;
};

}  // namespace nb::sim
