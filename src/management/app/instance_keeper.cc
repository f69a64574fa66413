#include "management/app/instance_keeper.h"

#include "base/log_keys.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace nb::management::app {

namespace asio = boost::asio;

namespace {
constexpr int kLooksInVain = 2;
}  // namespace

InstanceKeeper::InstanceKeeper(Store& store, Clock& clock, InstanceKeeperOptions options,
                               Handlers handlers, Logger log)
    : store_(store),
      clock_(clock),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      log_(std::move(log)) {}

Task<> InstanceKeeper::begin() {
  const Instant asked = clock_.now();
  auto held = co_await store_.heartbeat(asked + options_.ttl, options_.instance,
                                        options_.incarnation, options_.ttl);
  if (!held) co_return std::move(held).error();
  held_until_ = asked + options_.ttl;  // counted from the asking
  held_since_ = *held;
  steady_ = true;
  steady_since_ = asked;
  if (handlers_.on_state) handlers_.on_state(Code::kOk);
  co_return Result<>{};
}

asio::awaitable<void> InstanceKeeper::run() {
  Instant next_beat = clock_.now() + options_.interval;
  for (;;) {
    co_await clock_.sleep_for(std::min<std::chrono::nanoseconds>(
        options_.reap_interval, std::max<std::chrono::nanoseconds>(next_beat - clock_.now(),
                                                                   std::chrono::milliseconds(1))));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    if (clock_.now() >= next_beat) {
      next_beat = clock_.now() + options_.interval;
      co_await beat();
      // A failed beat is repeated soon: the ttl runs.
      if (!steady_) next_beat = clock_.now() + std::min(options_.interval, options_.reap_interval);
    }
    co_await reap();
  }
}

asio::awaitable<void> InstanceKeeper::beat() {
  const Instant asked = clock_.now();
  const auto held = co_await store_.heartbeat(asked + options_.interval, options_.instance,
                                              options_.incarnation, options_.ttl);
  if (!held) {
    steady_ = false;
    if (handlers_.on_state) handlers_.on_state(held.error().code);
    log_.warn("instance lease not renewed", {log::f(log::kInstance, options_.instance.value()),
                                             log::f(log::kError, held.error().text)});
    co_return;
  }
  // The database's clock decides, as it does for those who reap.
  const bool lapsed = std::exchange(held_since_, *held) != *held;
  held_until_ = asked + options_.ttl;
  if (!std::exchange(steady_, true) || lapsed) steady_since_ = asked;
  if (handlers_.on_state) handlers_.on_state(Code::kOk);
  if (lapsed) {
    log_.warn("instance lease had run out, sessions are taken back",
              {log::f(log::kInstance, options_.instance.value())});
    if (handlers_.on_lapse) handlers_.on_lapse();
  }
}

asio::awaitable<bool> InstanceKeeper::has_to_look() {
  auto leases = co_await store_.lease_mark(clock_.now() + options_.interval);
  if (!leases) co_return false;
  const bool same = *leases == leases_;
  if (same && looks_in_vain_ >= kLooksInVain && clock_.now() < look_at_) co_return false;
  if (!same) looks_in_vain_ = 0;
  leases_ = *std::move(leases);
  co_return true;
}

asio::awaitable<void> InstanceKeeper::reap() {
  // After an outage of the database everybody's lease looks dead: the living get one ttl to renew.
  if (!steady_ || clock_.now() < steady_since_ + options_.ttl) co_return;
  if (!co_await has_to_look()) co_return;
  for (;;) {
    const auto dead =
        co_await store_.disconnect_dead(clock_.now() + options_.interval, options_.reap_batch);
    if (!dead) co_return;
    if (dead->empty()) {
      ++looks_in_vain_;
      look_at_ = clock_.now() + options_.reap_all_interval;
      co_return;
    }
    looks_in_vain_ = 0;
    reaped_.fetch_add(dead->size(), std::memory_order_relaxed);
    log_.info("peers of a dead instance marked disconnected", {log::f(log::kCount, dead->size())});
    for (const ReapedPeer& peer : *dead)
      if (handlers_.on_reaped) handlers_.on_reaped(peer);
    if (dead->size() < options_.reap_batch) co_return;
  }
}

asio::awaitable<void> InstanceKeeper::retire() {
  ignore(co_await store_.retire(clock_.now() + options_.interval, options_.instance,
                                options_.incarnation),
         "the lease runs out by itself");
}

}  // namespace nb::management::app
