// SealedBus: a MessageBus whose messages carry an envelope (envelope.h), over any other bus.
#pragma once

#include "base/clock.h"
#include "ha/envelope.h"
#include "ha/message_bus.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace nb::ha {

struct BusMetrics {
  explicit BusMetrics(prometheus::Registry& registry);
  prometheus::Counter& refused(Refusal why) const {
    return *refused_total[static_cast<std::size_t>(why)];
  }
  prometheus::Counter& delivered_total;  // netbird_ha_bus_delivered_total
  /// netbird_ha_bus_refused_total{reason="garbage|version|unsigned|signature|stale|replayed"}
  std::array<prometheus::Counter*, kRefusals> refused_total{};
};

/// Seals what is published and opens what arrives: handlers get only messages that were accepted,
/// with their sender; what is refused is counted. Duplicates are dropped, with or without secrets.
/// Limits   remembers kWindow messages per sender; a message captured less than skew_max before a
///          restart of the receiver can be played to it once more.
/// Lives on the inner bus's home; subscriptions may outlive it.
class SealedBus final : public MessageBus {
 public:
  SealedBus(MessageBus& inner, InstanceId self, const Clock& clock, const Random& random,
            SealOptions options, BusMetrics& metrics);
  boost::asio::awaitable<Result<std::size_t>> publish(std::string channel,
                                                      std::string payload) override;
  boost::asio::awaitable<Result<std::vector<std::size_t>>> publish_all(
      std::vector<BusMessage> messages) override;
  [[nodiscard]] Subscription subscribe(std::string channel, SubscribeOptions options) override;
  /// For live rotation: signs with the first, accepts all.
  void set_secrets(std::vector<Secret> secrets);

  struct Core;

 private:
  MessageBus& inner_;
  std::shared_ptr<Core> core_;
};

}  // namespace nb::ha
