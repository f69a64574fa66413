#include "management/app/ephemeral.h"

#include "base/log_keys.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kDeadline = 10s;
/// A clock of another machine may be behind; contract: last seen 9 min 50 s ago at least.
constexpr auto kSlack = 10s;

/// As the fork names them, so that both may run over one set: `peerID|accountID`.
std::string id_of(const SessionPeer& peer) {
  return peer.id.value() + '|' + peer.account.value();
}

}  // namespace

Ephemeral::Ephemeral(asio::any_io_executor home, ha::Deadlines& deadlines, Store& store,
                     SyncHub& hub, Clock& clock, EphemeralOptions options, Logger log)
    : home_(home),
      deadlines_(deadlines),
      store_(store),
      hub_(hub),
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
    if (!self->stopped_) self->tasks_.spawn(self->schedule(std::move(id), self->options_.lifetime));
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
  co_await rebuild();
  for (;;) {
    co_await clock_.sleep_for(options_.sweep);
    if (stopped_) co_return;
    co_await sweep();
  }
}

asio::awaitable<void> Ephemeral::rebuild() {
  const Instant deadline = clock_.now() + kDeadline;
  const auto account = co_await store_.first_account(deadline);
  if (!account) co_return;
  const auto snapshot = co_await store_.snapshot(deadline, account->id);
  if (!snapshot) co_return;
  std::vector<ha::Deadline> items;
  for (const Peer& peer : (*snapshot)->peers)
    if (peer.ephemeral && !peer.status.connected)
      items.push_back({id_of(session_peer(peer)), ha::due_ms(clock_.wall() + options_.lifetime)});
  if (items.empty()) co_return;
  if (!co_await deadlines_.add(std::move(items), ha::AddMode::kIfAbsent))
    errors_.fetch_add(1, std::memory_order_relaxed);
}

asio::awaitable<void> Ephemeral::sweep() {
  runs_.fetch_add(1, std::memory_order_relaxed);
  for (;;) {
    auto due = co_await deadlines_.claim_due(options_.batch, options_.claim);
    if (!due) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      co_return;
    }
    for (ha::DueItem& item : *due) co_await remove(std::move(item));
    if (due->size() < options_.batch) break;
  }
  if (const auto count = co_await deadlines_.count())
    pending_.store(*count, std::memory_order_relaxed);
}

asio::awaitable<void> Ephemeral::remove(ha::DueItem item) {
  const std::size_t bar = item.id.find('|');
  if (bar == std::string::npos) {  // an outsider's
    ignore(co_await deadlines_.ack(std::move(item)), "claimed again later");
    co_return;
  }
  const Instant deadline = clock_.now() + kDeadline;
  const auto view = co_await store_.peer_by_id(deadline, AccountId(item.id.substr(bar + 1)),
                                               PeerId(item.id.substr(0, bar)));
  if (!view && view.error().code != Code::kNotFound) {
    errors_.fetch_add(1, std::memory_order_relaxed);
    co_return;  // due again when the claim ends
  }
  if (view && view->peer.ephemeral) {
    const Peer& peer = view->peer;
    const auto seen = peer.status.last_seen.value_or(WallTime{});
    if (peer.status.connected) {
      // Its session ends with a new deadline, or its dead instance's lease does.
      ignore(co_await deadlines_.ack(std::move(item)), "claimed again later");
      co_return;
    }
    if (clock_.wall() < seen + options_.lifetime - kSlack) {
      std::string id = item.id;
      co_await schedule(std::move(id), options_.lifetime);
      co_return;
    }
    auto deleted = co_await store_.delete_peer(deadline, peer.key, std::string(kSystemInitiator));
    if (!deleted && deleted.error().code != Code::kNotFound) {
      errors_.fetch_add(1, std::memory_order_relaxed);
      co_return;
    }
    if (deleted) {
      cleaned_.fetch_add(1, std::memory_order_relaxed);
      log_.info("ephemeral peer removed", {log::f(log::kPeer, peer.id.value()),
                                           log::f(log::kAccount, peer.account_id.value())});
      hub_.announce(peer.account_id.value(), deleted->serial, std::nullopt);
      hub_.end_peer(peer.account_id.value(), peer.id.value(), EndReason::kDeleted);
    }
  }
  ignore(co_await deadlines_.ack(std::move(item)), "claimed again later, and gone then");
}

}  // namespace nb::management::app
