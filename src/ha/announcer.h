// An instance's side of the InstanceBoard: it says how it is, looks for orders, and times the bus.
#pragma once

#include "base/clock.h"
#include "ha/instance_facts.h"
#include "ha/message_bus.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace nb::ha {

/// Sends messages to itself and times them. Lives on the bus's home.
class BusProbe {
 public:
  /// `channel`: nobody else's.
  BusProbe(MessageBus& bus, const Clock& clock, std::string channel);
  BusProbe(const BusProbe&) = delete;
  BusProbe& operator=(const BusProbe&) = delete;
  boost::asio::awaitable<void> send();
  /// Of the last message, from publishing to receiving; nothing when it had not come back before
  /// the next one was sent.
  [[nodiscard]] std::optional<std::chrono::microseconds> lag() const { return lag_; }

 private:
  void received(std::string_view payload);

  MessageBus& bus_;
  const Clock& clock_;
  const std::string channel_;
  std::uint64_t number_ = 0;
  std::optional<Instant> sent_;
  std::optional<std::chrono::microseconds> lag_;
  Subscription subscription_;
};

/// Lives on its store's home. A store that is away delays reports and orders, nothing else.
class Announcer {
 public:
  struct Ports {
    /// The present, but for repaired_ms and bus_lag_us.
    std::function<InstanceFacts()> facts;
    std::function<boost::asio::awaitable<void>(FactsTeller::Told)> tell;
    std::function<boost::asio::awaitable<Result<bool>>()> drain_ordered;
    /// Called once.
    std::function<void()> drain;
    BusProbe* probe = nullptr;  // null: there is no bus
  };
  Announcer(Ports ports, Clock& clock, std::chrono::milliseconds interval = kInterval);
  /// How late news and orders are.
  static constexpr std::chrono::milliseconds kInterval{2'000};

  /// For the very first record, before run().
  [[nodiscard]] FactsTeller::Told now();
  /// Until cancelled; for a TaskGroup.
  boost::asio::awaitable<void> run();

 private:
  const Ports ports_;
  Clock& clock_;
  const std::chrono::milliseconds interval_;
  FactsTeller teller_;
  bool ordered_ = false;
};

}  // namespace nb::ha
