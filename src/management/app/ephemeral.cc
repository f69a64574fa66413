#include "management/app/ephemeral.h"

#include "base/log_keys.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kDeadline = 10s;
/// The database's clock decides; a deadline comes due when it surely agrees.
constexpr auto kSlack = 5s;

/// As the fork names them, so that both may run over one set: `peerID|accountID`.
std::string id_of(const SessionPeer& peer) {
  return peer.id.value() + '|' + peer.account.value();
}

}  // namespace

Ephemeral::Ephemeral(asio::any_io_executor home, ha::Deadlines& deadlines, Store& store,
                     Changes& changes, Clock& clock, EphemeralOptions options, Logger log)
    : home_(home),
      deadlines_(deadlines),
      store_(store),
      changes_(changes),
      clock_(clock),
      options_(options),
      log_(std::move(log)),
      tasks_(std::move(home)) {}

void Ephemeral::start() {
  tasks_.spawn(run());
}

asio::awaitable<void> Ephemeral::stop() {
  const auto self = shared_from_this();
  stopped_ = true;
  co_await tasks_.stop();
}

void Ephemeral::idle(const SessionPeer& peer) {
  asio::post(home_, [self = shared_from_this(), id = id_of(peer)]() mutable {
    if (!self->stopped_)
      self->tasks_.spawn(self->schedule(std::move(id), self->options_.lifetime + kSlack));
  });
}

void Ephemeral::busy(const SessionPeer& peer) {
  asio::post(home_, [self = shared_from_this(), id = id_of(peer)]() mutable {
    if (!self->stopped_) self->tasks_.spawn(self->unschedule(std::move(id)));
  });
}

asio::awaitable<void> Ephemeral::schedule(std::string id, std::chrono::milliseconds in) {
  const auto self = shared_from_this();
  std::vector<ha::Deadline> items{{std::move(id), ha::due_ms(clock_.wall() + in)}};
  if (!co_await deadlines_.add(std::move(items), ha::AddMode::kReplace))
    errors_.fetch_add(1, std::memory_order_relaxed);
}

asio::awaitable<void> Ephemeral::unschedule(std::string id) {
  const auto self = shared_from_this();
  std::vector<std::string> ids{std::move(id)};
  ignore(co_await deadlines_.remove(std::move(ids)), "a connected peer is never removed");
}

asio::awaitable<void> Ephemeral::run() {
  const auto self = shared_from_this();
  Instant full_at = clock_.now();
  for (;;) {
    co_await clock_.sleep_for(options_.sweep);
    if (stopped_) co_return;
    const bool due = co_await take_due();
    if (!due && clock_.now() < full_at) continue;
    full_at = clock_.now() + options_.full_sweep;
    co_await remove_idle();
  }
}

asio::awaitable<bool> Ephemeral::take_due() {
  bool any = false;
  for (;;) {
    auto due = co_await deadlines_.claim_due(options_.batch, options_.claim);
    if (!due) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      break;
    }
    const bool last = due->size() < options_.batch;
    any = any || !due->empty();
    for (ha::DueItem& item : *due)
      ignore(co_await deadlines_.ack(std::move(item)), "due again when the claim ends");
    if (last) break;
  }
  if (const auto count = co_await deadlines_.count())
    pending_.store(*count, std::memory_order_relaxed);
  co_return any;
}

asio::awaitable<void> Ephemeral::remove_idle() {
  runs_.fetch_add(1, std::memory_order_relaxed);
  for (;;) {
    const auto swept = co_await store_.delete_ephemeral(clock_.now() + kDeadline, options_.lifetime,
                                                        options_.batch);
    if (!swept) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      co_return;
    }
    for (const AccountSerial& account : swept->accounts)
      changes_.committed(account.id, account.serial);
    for (const Peer& peer : swept->peers) {
      cleaned_.fetch_add(1, std::memory_order_relaxed);
      log_.info("ephemeral peer removed", {log::f(log::kPeer, peer.id.value()),
                                           log::f(log::kAccount, peer.account_id.value())});
      changes_.end_peer(peer.account_id, peer.id, EndReason::kDeleted);
      std::string id = id_of(session_peer(peer));
      co_await unschedule(std::move(id));
    }
    if (swept->peers.size() < options_.batch) co_return;
  }
}

}  // namespace nb::management::app
