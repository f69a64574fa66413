#include "ha/sealed_bus.h"

#include <map>
#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

namespace {
constexpr std::array kAllRefusals = {Refusal::kGarbage,      Refusal::kVersion, Refusal::kUnsigned,
                                     Refusal::kBadSignature, Refusal::kStale,   Refusal::kReplayed};
static_assert(kAllRefusals.size() == kRefusals);

/// Room for the envelope within kBusMessageBytesMax.
constexpr std::size_t kEnvelopeBytesMax = 512;
}  // namespace

BusMetrics::BusMetrics(prometheus::Registry& registry)
    : delivered_total(prometheus::BuildCounter()
                          .Name("netbird_ha_bus_delivered_total")
                          .Help("Messages from other instances that were accepted")
                          .Register(registry)
                          .Add({})) {
  auto& family = prometheus::BuildCounter()
                     .Name("netbird_ha_bus_refused_total")
                     .Help("Messages on our channels that were not accepted, by reason")
                     .Register(registry);
  for (const Refusal why : kAllRefusals) {
    refused_total[static_cast<std::size_t>(why)] =
        &family.Add({{"reason", std::string(refusal_name(why))}});
  }
}

/// One inner subscription per channel, so that each message is opened, and remembered, once.
struct SealedBus::Core {
  struct Listener {
    SubscribeOptions options;
    bool ended = false;
  };
  struct Channel {
    Subscription inner;
    std::vector<std::shared_ptr<Listener>> listeners;
  };
  Core(const Clock& time, Sealer seal, BusMetrics& counters)
      : clock(time), sealer(std::move(seal)), metrics(counters) {}

  void on_message(const Delivery& message) {
    const OpenedEnvelope opened =
        sealer.open(message.channel, message.payload, clock.wall(), clock.now());
    if (!opened.ok) return metrics.refused(opened.refusal).Increment();
    metrics.delivered_total.Increment();
    each(message.channel, [&](const SubscribeOptions& options) {
      if (options.on_message) options.on_message({message.channel, opened.payload, opened.sender});
    });
  }
  template <class Call>
  void each(std::string_view channel, Call call) {
    const auto it = channels.find(channel);
    if (it == channels.end()) return;
    const auto now = it->second.listeners;  // handlers may subscribe and unsubscribe
    for (const auto& listener : now) {
      if (!listener->ended) call(listener->options);
    }
  }
  void remove(const std::string& channel, const std::shared_ptr<Listener>& listener) {
    listener->ended = true;
    const auto it = channels.find(channel);
    if (it == channels.end()) return;
    std::erase(it->second.listeners, listener);
    if (it->second.listeners.empty()) channels.erase(it);
  }

  const Clock& clock;
  Sealer sealer;
  BusMetrics& metrics;
  std::map<std::string, Channel, std::less<>> channels;
};

namespace {

class SealedSubscription final : public Subscription::Impl {
 public:
  SealedSubscription(std::shared_ptr<SealedBus::Core> core, std::string channel,
                     std::shared_ptr<SealedBus::Core::Listener> listener, Subscription gap)
      : core_(std::move(core)),
        channel_(std::move(channel)),
        listener_(std::move(listener)),
        gap_(std::move(gap)) {}
  ~SealedSubscription() override { core_->remove(channel_, listener_); }
  [[nodiscard]] bool active() const override {
    const auto it = core_->channels.find(channel_);
    return it != core_->channels.end() && it->second.inner.active();
  }

 private:
  std::shared_ptr<SealedBus::Core> core_;
  std::string channel_;
  std::shared_ptr<SealedBus::Core::Listener> listener_;
  Subscription gap_;
};

}  // namespace

SealedBus::SealedBus(MessageBus& inner, InstanceId self, const Clock& clock, const Random& random,
                     SealOptions options, BusMetrics& metrics)
    : inner_(inner),
      core_(std::make_shared<Core>(clock, Sealer(std::move(self), random(), std::move(options)),
                                   metrics)) {}

void SealedBus::set_secrets(std::vector<Secret> secrets) {
  core_->sealer.set_secrets(std::move(secrets));
}

asio::awaitable<Result<std::size_t>> SealedBus::publish(std::string channel, std::string payload) {
  if (payload.size() > kBusMessageBytesMax - kEnvelopeBytesMax) {
    co_return fail(Code::kInvalidArgument, "bus message of {} bytes: at most {}", payload.size(),
                   kBusMessageBytesMax - kEnvelopeBytesMax);
  }
  std::string sealed = core_->sealer.seal(channel, payload, core_->clock.wall());
  co_return co_await inner_.publish(std::move(channel), std::move(sealed));
}

asio::awaitable<Result<std::vector<std::size_t>>> SealedBus::publish_all(
    std::vector<BusMessage> messages) {
  for (auto& message : messages) {
    if (message.payload.size() > kBusMessageBytesMax - kEnvelopeBytesMax) {
      co_return fail(Code::kInvalidArgument, "bus message of {} bytes: at most {}",
                     message.payload.size(), kBusMessageBytesMax - kEnvelopeBytesMax);
    }
    message.payload = core_->sealer.seal(message.channel, message.payload, core_->clock.wall());
  }
  co_return co_await inner_.publish_all(std::move(messages));
}

Subscription SealedBus::subscribe(std::string channel, SubscribeOptions options) {
  const auto listener = std::make_shared<Core::Listener>();
  listener->options = std::move(options);
  Core::Channel& entry = core_->channels[channel];
  const bool first = entry.listeners.empty();
  entry.listeners.push_back(listener);
  // Weak: the core owns the inner subscriptions.
  SubscribeOptions inner;
  Subscription gap;
  if (first) {
    inner.on_message = [weak = std::weak_ptr(core_)](const Delivery& message) {
      if (const auto core = weak.lock()) core->on_message(message);
    };
    inner.on_gap = [weak = std::weak_ptr(core_), channel] {
      if (const auto core = weak.lock()) {
        core->each(channel, [](const SubscribeOptions& to) {
          if (to.on_gap) to.on_gap();
        });
      }
    };
    entry.inner = inner_.subscribe(channel, std::move(inner));
  } else if (entry.inner.active()) {
    // The channel is live already: a second inner listener is told so, once, and hears nothing.
    inner.on_gap = [listener, told = false]() mutable {
      if (!std::exchange(told, true) && !listener->ended && listener->options.on_gap) {
        listener->options.on_gap();
      }
    };
    gap = inner_.subscribe(channel, std::move(inner));
  }
  return Subscription(
      std::make_unique<SealedSubscription>(core_, std::move(channel), listener, std::move(gap)));
}

}  // namespace nb::ha
