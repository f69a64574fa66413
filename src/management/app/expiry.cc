#include "management/app/expiry.h"

#include "base/log_keys.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace nb::management::app {

namespace asio = boost::asio;

namespace {
/// Sweeps look at all peers: this times as long as the last one took there is none.
constexpr int kRest = 500;
}  // namespace

Expiry::Expiry(Store& store, Changes& changes, Clock& clock, ExpiryOptions options, Logger log)
    : store_(store), changes_(changes), clock_(clock), options_(options), log_(std::move(log)) {}

asio::awaitable<void> Expiry::run() {
  Instant inactive_at = clock_.now();
  std::chrono::nanoseconds took{0};
  for (;;) {
    const auto pause =
        std::clamp<std::chrono::nanoseconds>(kRest * took, options_.logins, options_.logins_max);
    co_await clock_.sleep_for(pause);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    const Instant began = clock_.now();
    co_await sweep(&Store::expire_logins);
    took = clock_.now() - began;
    if (clock_.now() >= inactive_at) {
      inactive_at = clock_.now() + options_.inactive;
      co_await sweep(&Store::expire_inactive);
    }
  }
}

asio::awaitable<void> Expiry::sweep(Sweep what) {
  for (;;) {
    const auto swept = co_await (store_.*what)(clock_.now() + options_.deadline, options_.batch);
    if (!swept) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      co_return;  // the next round tries again
    }
    if (swept->peers.empty()) co_return;
    expired_.fetch_add(swept->peers.size(), std::memory_order_relaxed);
    log_.info("logins expired", {log::f(log::kCount, swept->peers.size())});
    // The others first: their maps must not show a peer whose stream has ended for longer than
    // that takes.
    for (const AccountSerial& account : swept->accounts)
      changes_.committed(account.id, account.serial);
    for (const Peer& peer : swept->peers)
      changes_.end_peer(peer.account_id, peer.id, EndReason::kRefused);
    if (swept->peers.size() < options_.batch) co_return;
  }
}

}  // namespace nb::management::app
