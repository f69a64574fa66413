#include "management/app/exposures.h"

#include "base/log_keys.h"
#include "management/app/request_once.h"

#include <boost/asio/this_coro.hpp>

#include <utility>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;

/// Events name the peer as the one who did it.
Actor acting(const Peer& peer) {
  return {peer.account_id, UserId(peer.id.value()), {}, false};
}

}  // namespace

Exposures::Exposures(AccountCommands& commands, ProxyStore& store, Changes& changes, Clock& clock,
                     ExposuresOptions options, Logger log)
    : commands_(commands),
      store_(store),
      changes_(changes),
      clock_(clock),
      options_(options),
      log_(std::move(log)) {}

Task<Service> Exposures::create(Instant deadline, const Peer& peer, const std::string& nonce,
                                ExposeService command) {
  command.peer = peer.id;
  command.request = request_once(nonce, peer.key, clock_.wall());
  Actor actor = acting(peer);
  return commands_.execute(deadline, std::move(actor), std::move(command));
}

Task<> Exposures::renew(Instant deadline, const Peer& peer, std::string domain) {
  return store_.renew_exposure(deadline, peer.account_id, peer.id, std::move(domain));
}

Task<> Exposures::stop(Instant deadline, const Peer& peer, std::string nonce, std::string domain) {
  Actor actor = acting(peer);
  StopExposing command{peer.id, std::move(domain), request_once(nonce, peer.key, clock_.wall())};
  const auto done = co_await commands_.execute(deadline, std::move(actor), std::move(command));
  if (!done) co_return done.error();
  co_return Result<>{};
}

asio::awaitable<void> Exposures::run() {
  for (;;) {
    co_await clock_.sleep_for(options_.sweep);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    co_await sweep();
  }
}

asio::awaitable<void> Exposures::sweep() {
  for (;;) {
    const auto ended = co_await store_.end_exposures(clock_.now() + options_.deadline,
                                                     options_.silence, options_.batch);
    if (!ended || ended->count == 0) co_return;  // the next round tries again
    expired_.fetch_add(ended->count, std::memory_order_relaxed);
    log_.info("exposed services were not renewed and are gone",
              {log::f(log::kCount, ended->count)});
    for (const AccountSerial& account : ended->accounts)
      changes_.committed(account.id, account.serial);
    if (ended->count < options_.batch) co_return;
  }
}

}  // namespace nb::management::app
