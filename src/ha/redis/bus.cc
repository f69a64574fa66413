#include "ha/local/adapters.h"
#include "ha/redis/adapters.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace nb::ha {
namespace asio = boost::asio;

/// Which handlers each channel has; shared with subscriptions that may outlive the bus.
struct RedisBus::Core : std::enable_shared_from_this<Core> {
  struct Listener {
    SubscribeOptions options;
    bool ended = false;
  };
  using Listeners = std::vector<std::shared_ptr<Listener>>;

  explicit Core(asio::any_io_executor executor) : home(std::move(executor)) {}

  void on_message(std::string_view channel, std::string_view payload) {
    const auto it = channels.find(channel);
    if (it == channels.end()) return;
    const Listeners now = it->second;  // handlers may subscribe and unsubscribe
    for (const auto& listener : now) {
      if (!listener->ended && listener->options.on_message) {
        listener->options.on_message({channel, payload, {}});
      }
    }
  }
  void on_confirmed(std::string_view channel) {
    const auto it = channels.find(channel);
    if (it == channels.end()) return;
    const Listeners now = it->second;
    for (const auto& listener : now) {
      if (!listener->ended && listener->options.on_gap) listener->options.on_gap();
    }
  }
  void remove(const std::string& channel, const std::shared_ptr<Listener>& listener) {
    listener->ended = true;
    const auto it = channels.find(channel);
    if (it == channels.end()) return;
    std::erase(it->second, listener);
    if (!it->second.empty()) return;
    channels.erase(it);
    if (subscriber) subscriber->unsubscribe(channel);
  }

  asio::any_io_executor home;
  std::map<std::string, Listeners, std::less<>> channels;
  std::unique_ptr<redis::Subscriber> subscriber;
};

namespace {

class RedisSubscription final : public Subscription::Impl {
 public:
  RedisSubscription(std::shared_ptr<RedisBus::Core> core, std::string channel,
                    std::shared_ptr<RedisBus::Core::Listener> listener)
      : core_(std::move(core)), channel_(std::move(channel)), listener_(std::move(listener)) {}
  ~RedisSubscription() override { core_->remove(channel_, listener_); }
  [[nodiscard]] bool active() const override {
    return core_->subscriber && core_->subscriber->confirmed(channel_);
  }

 private:
  std::shared_ptr<RedisBus::Core> core_;
  std::string channel_;
  std::shared_ptr<RedisBus::Core::Listener> listener_;
};

}  // namespace

RedisBus::RedisBus(redis::Client& client, redis::Options options, redis::Metrics& metrics,
                   Logger log)
    : client_(client), core_(std::make_shared<Core>(client.executor())) {
  redis::Subscriber::Handlers handlers;
  handlers.on_message = [core = core_.get()](std::string_view channel, std::string_view payload) {
    core->on_message(channel, payload);
  };
  handlers.on_confirmed = [core = core_.get()](std::string_view channel) {
    core->on_confirmed(channel);
  };
  core_->subscriber = std::make_unique<redis::Subscriber>(
      client.executor(), std::move(options), std::move(handlers), metrics, std::move(log));
}

RedisBus::~RedisBus() {
  core_->subscriber.reset();
}

void RedisBus::start() {
  core_->subscriber->start();
}

asio::awaitable<void> RedisBus::stop() {
  co_await core_->subscriber->stop();
}

asio::awaitable<Result<std::size_t>> RedisBus::publish(std::string channel, std::string payload) {
  NB_CO_TRY(check_message(channel, payload));
  NB_CO_LET(const auto reply, co_await client_.command("PUBLISH", channel, payload));
  NB_CO_LET(const auto count, reply.as_integer());
  co_return static_cast<std::size_t>(count);
}

asio::awaitable<Result<std::vector<std::size_t>>> RedisBus::publish_all(
    std::vector<BusMessage> messages) {
  std::vector<std::size_t> counts;
  if (messages.empty()) co_return counts;
  redis::Batch batch;
  for (const auto& message : messages) {
    NB_CO_TRY(check_message(message.channel, message.payload));
    batch.add("PUBLISH", message.channel, message.payload);
  }
  NB_CO_LET(const auto replies, co_await client_.run(std::move(batch)));
  for (const auto& reply : replies) {
    NB_CO_LET(const auto count, reply.as_integer());
    counts.push_back(static_cast<std::size_t>(count));
  }
  co_return counts;
}

Subscription RedisBus::subscribe(std::string channel, SubscribeOptions options) {
  const auto listener = std::make_shared<Core::Listener>();
  listener->options = std::move(options);
  auto& listeners = core_->channels[channel];
  listeners.push_back(listener);
  if (listeners.size() == 1) {
    // Refused only beyond 65,536 channels or 512 bytes: the subscription then stays inactive.
    ignore(core_->subscriber->subscribe(channel), "active() says so");
  } else if (core_->subscriber->confirmed(channel)) {
    asio::post(core_->home, [listener] {
      if (!listener->ended && listener->options.on_gap) listener->options.on_gap();
    });
  }
  return Subscription(std::make_unique<RedisSubscription>(core_, std::move(channel), listener));
}

}  // namespace nb::ha
