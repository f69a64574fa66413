#include "ha/announcer.h"

#include <boost/asio/this_coro.hpp>

#include <utility>

namespace nb::ha {

namespace asio = boost::asio;

BusProbe::BusProbe(MessageBus& bus, const Clock& clock, std::string channel)
    : bus_(bus), clock_(clock), channel_(std::move(channel)) {
  SubscribeOptions options;
  options.on_message = [this](const Delivery& delivery) { received(delivery.payload); };
  subscription_ = bus_.subscribe(channel_, std::move(options));
}

asio::awaitable<void> BusProbe::send() {
  // The last one was lost, or is later than anybody waits.
  if (sent_) lag_.reset();
  sent_.reset();
  if (!subscription_.active()) {
    lag_.reset();
    co_return;
  }
  const std::string payload = std::to_string(++number_);
  sent_ = clock_.now();
  ignore(co_await bus_.publish(channel_, payload), "shows as a lag that is not known");
}

void BusProbe::received(std::string_view payload) {
  // Anybody may publish here.
  if (!sent_ || payload != std::to_string(number_)) return;
  lag_ = std::chrono::duration_cast<std::chrono::microseconds>(clock_.now() - *sent_);
  sent_.reset();
}

Announcer::Announcer(Ports ports, Clock& clock, std::chrono::milliseconds interval)
    : ports_(std::move(ports)), clock_(clock), interval_(interval) {}

FactsTeller::Told Announcer::now() {
  InstanceFacts facts = ports_.facts();
  if (ports_.probe != nullptr && ports_.probe->lag())
    facts.bus_lag_us = ports_.probe->lag()->count();
  const auto wall =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.wall().time_since_epoch());
  return teller_.tell(std::move(facts), wall.count());
}

asio::awaitable<void> Announcer::run() {
  for (;;) {
    if (ports_.probe != nullptr) co_await ports_.probe->send();
    FactsTeller::Told told = now();
    co_await ports_.tell(std::move(told));
    if (!ordered_) {
      const auto ordered = co_await ports_.drain_ordered();
      if (ordered && *ordered) {
        ordered_ = true;
        ports_.drain();
      }
    }
    co_await clock_.sleep_for(interval_);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
  }
}

}  // namespace nb::ha
