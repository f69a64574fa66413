#include "management/app/proxy_notices.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace nb::management::app {

namespace asio = boost::asio;

/// Outlives the owner in what is still queued on home.
struct ProxyNotices::Life {
  ProxyNotices* owner;
};

ProxyNotices::ProxyNotices(asio::any_io_executor home, Changes& next, ha::MessageBus* bus,
                           std::string channel, std::function<void()> on_news)
    : home_(home),
      next_(next),
      bus_(bus),
      channel_(std::move(channel)),
      on_news_(std::move(on_news)),
      tasks_(std::make_unique<TaskGroup>(home)),
      life_(std::make_shared<Life>(Life{this})) {}

ProxyNotices::~ProxyNotices() = default;

void ProxyNotices::start() {
  if (bus_ == nullptr) return;
  subscription_ =
      bus_->subscribe(channel_, {.on_message = [this](const ha::Delivery&) { on_news_(); },
                                 .on_gap = [this] { on_news_(); }});
}

asio::awaitable<void> ProxyNotices::stop() {
  life_->owner = nullptr;
  subscription_ = {};
  co_await tasks_->stop();
}

void ProxyNotices::news() {
  asio::post(home_, [life = life_] {
    if (life->owner != nullptr) life->owner->on_news_();
  });
}

void ProxyNotices::committed(const AccountId& account, std::uint64_t serial) {
  next_.committed(account, serial);
  proxies_changed();
}

void ProxyNotices::proxies_changed() {
  asio::post(home_, [life = life_] {
    ProxyNotices* const self = life->owner;
    if (self == nullptr) return;
    self->on_news_();
    if (self->bus_ == nullptr) return;
    // A burst of changes is one hint, and one more for what came while it was under way.
    self->again_ = self->publishing_;
    if (std::exchange(self->publishing_, true)) return;
    self->tasks_->spawn(self->publish());
  });
}

void ProxyNotices::end_peer(const AccountId& account, const PeerId& peer, EndReason reason) {
  next_.end_peer(account, peer, reason);
}

asio::awaitable<void> ProxyNotices::publish() {
  do {
    again_ = false;
    std::string channel = channel_;
    std::string payload = "changed";
    const auto sent = co_await bus_->publish(std::move(channel), std::move(payload));
    ignore(sent, "streams also look by themselves");
  } while (again_);
  publishing_ = false;
}

}  // namespace nb::management::app
