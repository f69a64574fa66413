#include "signal/exchange.h"

#include "base/log_keys.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace nb::signal {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kTick{25};
/// The next batch leaves so long after the one before if there is enough traffic for both. Each
/// wakes Redis and another instance, whose answers wake us: thousands of batches a second of one
/// message each would use the processor up and make everybody wait longer than this.
constexpr std::chrono::microseconds kBatchSpacing{1'000};

}  // namespace

Exchange::Exchange(asio::any_io_executor home, ExchangePorts ports, Registrar::Options registrar,
                   Router::Options router, std::uint64_t random, SignalMetrics& metrics,
                   Clock& clock, Logger log)
    : home_(std::move(home)),
      ports_(ports),
      channel_(router.channel_prefix + ports.membership.self().value()),
      arrivals_channel_(router.arrivals_channel),
      metrics_(metrics),
      clock_(clock),
      log_(std::move(log)),
      router_(ports.membership.self(), random, std::move(router),
              [this](const ha::Holder& holder) { return alive(holder); }),
      registrar_(home_, ports.directory, ports.membership, clock, registrar,
                 {.on_claimed = [this](const std::string& peer,
                                       const ha::Claimed& now) { claimed(peer, now); },
                  .on_lost = [this](const std::string& peer) { lost(peer); },
                  .on_restored = [this](const std::string& peer) { restored(peer); }}),
      tasks_(home_) {}

Exchange::~Exchange() = default;

void Exchange::start(ExchangeHost& host) {
  host_ = &host;
  subscription_ =
      ports_.bus.subscribe(channel_, {.on_message = [this](const ha::Delivery& d) { on_bus(d); },
                                      .on_gap = [this] { store_back(); }});
  arrivals_ = ports_.bus.subscribe(
      arrivals_channel_,
      {.on_message = [this](const ha::Delivery& d) { router_.heard(d.payload); }, .on_gap = {}});
  registrar_.start();
}

asio::awaitable<void> Exchange::stop() {
  stopped_ = true;
  subscription_ = {};
  arrivals_ = {};
  co_await registrar_.stop();
  co_await tasks_.stop();
}

void Exchange::joined() {
  registrar_.enable();
}

// Without a fresh view nobody is declared dead; the receiver count of a forward tells.
bool Exchange::alive(const ha::Holder& holder) const {
  if (!ports_.membership.fresh()) return true;
  return holder.claim ? ports_.membership.alive(*holder.claim)
                      : ports_.membership.alive(holder.instance);
}

// ---- from the shards

void Exchange::receive(std::vector<HomeMail> mail) {
  if (stopped_) return;
  const Instant now = clock_.now();
  for (HomeMail& item : mail) {
    if (auto* parcel = std::get_if<Parcel>(&item)) {
      router_.send(parcel->sender.ticket, parcel->peer, std::move(parcel->message), now);
    } else if (const auto* delivered = std::get_if<DeliveredMail>(&item)) {
      router_.delivered(delivered->origin, delivered->peer, delivered->outcome, now);
    } else if (const auto* attached = std::get_if<AttachMail>(&item)) {
      attach(*attached);
    } else {
      detach(std::get<DetachMail>(item));
    }
  }
  perform();
}

void Exchange::attach(const AttachMail& mail) {
  auto& stream = local_[mail.peer];
  if (stream > mail.stream) return;  // overtaken by the mail of another loop
  stream = mail.stream;
  // Also when the peer was here already: somebody may have deleted the entry, and its newest
  // stream is what counts (contract/signal-relay-ops.md §7.5).
  registrar_.add(mail.peer);
}

void Exchange::detach(const DetachMail& mail) {
  const auto at = local_.find(mail.peer);
  if (at == local_.end() || at->second != mail.stream) return;
  local_.erase(at);
  registrar_.remove(mail.peer);
}

// ---- from the directory

void Exchange::claimed(const std::string& peer, const ha::Claimed& claimed) {
  if (claimed.previous && claimed.previous->instance == ports_.membership.self()) return;
  router_.arrived(peer);
  schedule();
  if (!claimed.previous) return;
  if (claimed.previous->claim && ports_.membership.alive(*claimed.previous->claim))
    host_->flapped(peer);
  router_.displaced(peer, *claimed.previous, clock_.now());
}

// While the entry was away others may have found nobody.
void Exchange::restored(const std::string& peer) {
  metrics_.repairs.add();
  router_.arrived(peer);
  schedule();
}

// Somebody else's newer registration stands: ours is a stream its client has left.
void Exchange::lost(const std::string& peer) {
  const auto at = local_.find(peer);
  if (at == local_.end()) return;
  const EndMail end{peer, at->second, EndReason::kSuperseded};
  local_.erase(at);
  host_->end(end);
}

void Exchange::evict(const RouterEffects::Evict& evict) {
  const auto claim = registrar_.claim(evict.peer);
  if (!claim || ha::token(*claim) != evict.token) return;
  registrar_.abandon(evict.peer);
  lost(evict.peer);
}

void Exchange::store_lost() {
  router_.store_lost(clock_.now());
  schedule();
}

void Exchange::store_back() {
  router_.store_back(clock_.now());
  registrar_.check_all();
  schedule();
}

// ---- the router's effects

void Exchange::on_bus(const ha::Delivery& delivery) {
  router_.received(delivery.payload, clock_.now());
  schedule();
}

// Effects of all that happens in one turn leave together.
void Exchange::schedule() {
  if (stopped_ || std::exchange(scheduled_, true)) return;
  asio::post(home_, [this] {
    scheduled_ = false;
    if (!stopped_) perform();
  });
}

void Exchange::perform() {
  RouterEffects effects = router_.take_effects();
  for (auto& reply : effects.reply) host_->reply({reply.ticket, reply.code, reply.text});
  for (auto& deliver : effects.deliver) this->deliver(std::move(deliver));
  for (const auto& evict : effects.evict) this->evict(evict);
  for (auto& peer : effects.find) tasks_.spawn(find(std::move(peer)));
  for (auto& peer : effects.repair) tasks_.spawn(repair(std::move(peer)));
  if (!effects.forget.empty()) tasks_.spawn(forget(std::move(effects.forget)));
  if (!effects.publish.empty()) tasks_.spawn(publish(std::move(effects.publish)));
  count();
  if (!ticking_ && router_.next_due()) {
    ticking_ = true;
    tasks_.spawn(tick_while_due());
  }
}

void Exchange::deliver(RouterEffects::Deliver deliver) {
  if (!host_->stream_of(deliver.peer)) {
    router_.delivered(deliver.origin, deliver.peer, Outcome::kNotHere, clock_.now());
    return schedule();
  }
  // A message of our own whose peer turned out to be here is told apart by the empty name.
  host_->deliver({.peer = std::move(deliver.peer),
                  .message = std::move(deliver.message),
                  .sender = {.origin = std::move(deliver.origin)},
                  .since = clock_.now()});
}

asio::awaitable<void> Exchange::find(std::string peer) {
  const ha::PeerKey key(peer);
  const auto holder = co_await ports_.directory.find(key);
  // An instance that started a moment ago is not in our view yet, but has beaten: look again before
  // taking its entry for a dead one's.
  if (holder && *holder && !alive(**holder)) {
    const auto beaten = co_await ports_.membership.beat();
    if (beaten && beaten->store_lost) registrar_.check_all();
  }
  router_.found(peer, holder, clock_.now());
  schedule();
}

asio::awaitable<void> Exchange::publish(std::vector<ha::BusMessage> messages) {
  const Instant began = clock_.now();
  const auto receivers = co_await ports_.bus.publish_all(std::move(messages));
  const auto left = began + kBatchSpacing - clock_.now();
  if (receivers && router_.next_batch_waits() && left.count() > 0) co_await clock_.sleep_for(left);
  router_.published(receivers, clock_.now());
  schedule();
}

asio::awaitable<void> Exchange::forget(std::vector<ha::PeerHolder> seen) {
  const auto deleted = co_await ports_.directory.forget_all(std::move(seen));
  if (deleted) metrics_.repairs.add(*deleted);
}

asio::awaitable<void> Exchange::repair(std::string peer) {
  const ha::PeerKey key(peer);
  const auto holder = co_await ports_.directory.find(key);
  if (!holder || !*holder || (*holder)->instance != ports_.membership.self()) co_return;
  if (host_->stream_of(peer)) co_return;  // it came back meanwhile
  std::vector<ha::PeerHolder> seen;
  seen.push_back({key, **holder});
  co_await forget(std::move(seen));
}

asio::awaitable<void> Exchange::tick_while_due() {
  while (!stopped_ && router_.next_due()) {
    co_await clock_.sleep_for(kTick);
    router_.tick(clock_.now());
    perform();
  }
  ticking_ = false;
}

void Exchange::count() {
  const RouterCounts& now = router_.counts();
  const RouterCounts before = std::exchange(counted_, now);
  const auto add = [](FastCounter& counter, std::uint64_t from, std::uint64_t to) {
    if (to != from) counter.add(to - from);
  };
  add(metrics_.cross_instance, before.forwarded, now.forwarded);
  add(metrics_.lost_not_connected, before.not_connected, now.not_connected);
  add(metrics_.lost_disconnected, before.owner_dead, now.owner_dead);
  add(metrics_.lost_timeout, before.timeouts, now.timeouts);
  add(metrics_.store_unavailable, before.store_unavailable, now.store_unavailable);
  add(metrics_.lost_overflow, before.overflow, now.overflow);
  add(metrics_.dropped_forward, before.refused, now.refused);
  add(metrics_.resent, before.resent, now.resent);
  add(metrics_.duplicates, before.duplicates, now.duplicates);
  add(metrics_.bus_invalid, before.invalid, now.invalid);
  add(metrics_.evictions_sent, before.evictions_sent, now.evictions_sent);
  add(metrics_.evictions_received, before.evictions_received, now.evictions_received);
  metrics_.forwards_pending.add(static_cast<std::int64_t>(router_.pending()) - pending_shown_);
  pending_shown_ = static_cast<std::int64_t>(router_.pending());
}

}  // namespace nb::signal
