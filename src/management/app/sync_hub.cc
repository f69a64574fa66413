#include "management/app/sync_hub.h"

#include "base/backoff.h"
#include "base/log_keys.h"
#include "management/app/stream_rights.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace nb::management::app {
namespace {

constexpr std::size_t kPollBatch = 5'000;
constexpr std::size_t kSweepsPerPoll = 8;  // so that many accounts have their turns one by one
constexpr auto kTimeSlack = std::chrono::milliseconds(20);
/// A map at hand costs less than waking a map thread for it. When more come, that is another
/// matter.
constexpr auto kBuiltHerePause = std::chrono::milliseconds(5);
/// Peers of an account that takes milliseconds to be taken apart: not where calls are answered.
constexpr std::size_t kLargeAccount = 256;
constexpr std::size_t kReassertBatch = 500;  // rows that one transaction may hold

std::vector<std::string> peer_ids(const netmap::MapView& view, const netmap::Bits& slots) {
  std::vector<std::string> ids;
  slots.for_each([&](netmap::PeerIndex slot) {
    if (const netmap::PeerRecord* const record = view.peer(slot))
      ids.push_back(record->peer->id.value());
  });
  return ids;
}

std::vector<std::string> all_peer_ids(const netmap::MapView& view) {
  std::vector<std::string> ids;
  for (const Peer& peer : view.snapshot().peers) ids.push_back(peer.id.value());
  return ids;
}

}  // namespace

namespace asio = boost::asio;

SyncHub::SyncHub(asio::any_io_executor home, Store& store, ha::MessageBus* bus, MapWorkers& maps,
                 Clock& clock, SyncHubOptions options, Logger log)
    : home_(std::move(home)),
      store_(store),
      bus_(bus),
      maps_(maps),
      clock_(clock),
      options_(std::move(options)),
      log_(std::move(log)),
      fan_out_(options_.fan_out),
      tasks_(std::make_unique<TaskGroup>(home_)) {}

void SyncHub::post(std::function<void()> work) {
  asio::post(home_, [self = shared_from_this(), work = std::move(work)] {
    if (!self->stopped_) work();
  });
}

void SyncHub::start() {
  post([this] {
    subscribe_self();
    tasks_->spawn(poll_loop());
  });
}

asio::awaitable<void> SyncHub::stop() {
  const auto self = shared_from_this();
  stopped_ = true;
  accounts_.clear();
  own_channel_ = {};
  sinks_.clear();
  co_await tasks_->stop();
}

void SyncHub::open(Opening opening, std::shared_ptr<SyncSink> sink) {
  post([this, opening = std::move(opening), sink = std::move(sink)]() mutable {
    sinks_.emplace(opening.stream, std::move(sink));
    streams_.store(sinks_.size(), std::memory_order_relaxed);
    subscribe(opening.account);
    if (!opening.replaces.empty())
      publish_to(std::move(opening.replaces),
                 {opening.account, options_.self, Superseded{opening.peer, opening.epoch}});
    fan_out_.opened(opening.stream, std::move(opening.account), std::move(opening.peer),
                    opening.epoch, opening.serial, clock_.now());
    if (opening.lapses != lapses()) start_reassert();
    step();
  });
}

void SyncHub::ready(StreamNumber stream, std::optional<WallTime> changes_at) {
  post([this, stream, changes_at] {
    std::optional<Instant> at;
    // At the deadline itself a login is over; a clock that is a little behind must not miss it.
    if (changes_at)
      at = clock_.now() + std::max<std::chrono::nanoseconds>(*changes_at - clock_.wall(), {}) +
           kTimeSlack;
    fan_out_.ready(stream, at, clock_.now());
    step();
  });
}

void SyncHub::close(StreamNumber stream) {
  post([this, stream] {
    sinks_.erase(stream);
    streams_.store(sinks_.size(), std::memory_order_relaxed);
    fan_out_.closed(stream, clock_.now());
    step();
  });
}

void SyncHub::superseded(const AccountId& account, const PeerId& peer, std::int64_t epoch) {
  post([this, account = account.value(), peer = peer.value(), epoch]() mutable {
    fan_out_.superseded(account, peer, epoch, clock_.now());
    send({std::move(account), options_.self, Superseded{std::move(peer), epoch}});
    step();
  });
}

void SyncHub::committed(const AccountId& account, Serial serial) {
  post([this, account = account.value(), serial]() mutable {
    fan_out_.changed(account, serial, clock_.now());
    send({std::move(account), options_.self, Changed{serial}});
    step();
  });
}

void SyncHub::end_peer(const AccountId& account, const PeerId& peer, EndReason reason) {
  post([this, account = account.value(), peer = peer.value(), reason]() mutable {
    fan_out_.end_peer(account, peer, reason);
    BusMessage message{std::move(account), options_.self, Ended{std::move(peer), reason}};
    if (job_handler_) job_handler_(message);
    send(std::move(message));
    step();
  });
}

void SyncHub::on_payload(std::string_view payload) {
  auto message = decode_bus_message(payload);
  if (!message) {  // operators and tests publish what they like
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (message->origin == options_.self) return;
  counters_.received.fetch_add(1, std::memory_order_relaxed);
  post([this, message = std::move(*message)] { deliver(message); });
}

void SyncHub::deliver(const BusMessage& message) {
  const Instant now = clock_.now();
  if (const auto* changed = std::get_if<Changed>(&message.body))
    fan_out_.changed(message.account, changed->serial, now);
  else if (const auto* superseded = std::get_if<Superseded>(&message.body))
    fan_out_.superseded(message.account, superseded->peer, superseded->epoch, now);
  else if (const auto* ended = std::get_if<Ended>(&message.body))
    fan_out_.end_peer(message.account, ended->peer, ended->reason);
  const bool of_maps = std::holds_alternative<Changed>(message.body) ||
                       std::holds_alternative<Superseded>(message.body);
  if (job_handler_ && !of_maps) job_handler_(message);
  step();
}

std::shared_ptr<void> SyncHub::watch_endings(const std::string& account) {
  if (bus_ == nullptr) return nullptr;  // what comes over PostgreSQL is not by account
  auto& known = ending_watches_[account];
  if (auto watch = known.lock()) return watch;
  std::erase_if(ending_watches_,
                [&](const auto& at) { return at.first != account && at.second.expired(); });
  const std::weak_ptr<SyncHub> weak = weak_from_this();
  auto watch = std::make_shared<ha::Subscription>(bus_->subscribe(
      options_.channel_prefix + account, {.on_message = [weak](const ha::Delivery& delivery) {
        const auto self = weak.lock();
        auto message = decode_bus_message(delivery.payload);
        if (!self || !message || !std::holds_alternative<Ended>(message->body)) return;
        self->post([hub = self.get(), message = std::move(*message)] {
          if (hub->job_handler_) hub->job_handler_(message);
        });
      }}));
  ending_watches_[account] = watch;
  return watch;
}

void SyncHub::on_database_notice(std::string_view payload) {
  const std::size_t blank = payload.rfind(' ');
  if (blank == std::string_view::npos) return;
  Serial serial = 0;
  const char* const end = payload.data() + payload.size();
  const auto [stop, error] = std::from_chars(payload.data() + blank + 1, end, serial);
  if (error != std::errc{} || stop != end) return;
  post([this, account = std::string(payload.substr(0, blank)), serial] {
    fan_out_.changed(account, serial, clock_.now());
    step();
  });
}

void SyncHub::resync() {
  post([this] { tasks_->spawn(poll(fan_out_.accounts())); });
}

void SyncHub::subscribe(const std::string& account) {
  AccountState& state = accounts_[account];
  if (state.number == 0) state.number = ++account_states_;
  if (bus_ == nullptr || state.subscription) return;
  const std::weak_ptr<SyncHub> weak = weak_from_this();
  state.subscription = bus_->subscribe(options_.channel_prefix + account,
                                       {.on_message =
                                            [weak](const ha::Delivery& delivery) {
                                              if (const auto self = weak.lock())
                                                self->on_payload(delivery.payload);
                                            },
                                        .on_gap =
                                            [weak, account] {
                                              const auto self = weak.lock();
                                              if (!self) return;
                                              self->bus_up_.store(true, std::memory_order_relaxed);
                                              // Named first: a coroutine's parameters are copied
                                              // from them.
                                              std::vector<std::string> accounts{account};
                                              self->tasks_->spawn(self->poll(std::move(accounts)));
                                            }});
}

void SyncHub::subscribe_self() {
  if (bus_ == nullptr || options_.instance.empty()) return;
  const std::weak_ptr<SyncHub> weak = weak_from_this();
  own_channel_ = bus_->subscribe(options_.instance_prefix + options_.instance,
                                 {.on_message =
                                      [weak](const ha::Delivery& delivery) {
                                        if (const auto self = weak.lock())
                                          self->on_payload(delivery.payload);
                                      },
                                  // Jobs that were missed are found by polling, newer sessions
                                  // of our peers, and their newer Job streams, are not.
                                  .on_gap =
                                      [weak] {
                                        if (const auto self = weak.lock()) self->reassert();
                                      }});
}

void SyncHub::send(BusMessage message) {
  if (bus_ == nullptr && options_.fallback_channel.empty()) return;
  std::string channel = options_.channel_prefix + message.account;
  tasks_->spawn(send_task(std::move(channel), std::move(message)));
}

void SyncHub::send_to(std::string instance, BusMessage message) {
  post([this, instance = std::move(instance), message = std::move(message)]() mutable {
    message.origin = options_.self;
    if (instance == options_.instance) {
      if (job_handler_) job_handler_(message);
    } else {
      publish_to(std::move(instance), std::move(message));
    }
  });
}

void SyncHub::publish_to(std::string instance, BusMessage message) {
  if (bus_ == nullptr && options_.fallback_channel.empty()) return;
  tasks_->spawn(send_task(options_.instance_prefix + std::move(instance), std::move(message)));
}

asio::awaitable<void> SyncHub::send_task(std::string channel, BusMessage message) {
  const auto self = shared_from_this();
  std::string payload = encode(message);
  if (bus_ != nullptr) {
    const auto sent = co_await bus_->publish(std::move(channel), payload);
    bus_up_.store(static_cast<bool>(sent), std::memory_order_relaxed);
    if (sent) {
      counters_.published.fetch_add(1, std::memory_order_relaxed);
      co_return;
    }
  }
  if (options_.fallback_channel.empty()) co_return;
  const auto told = co_await store_.notify(clock_.now() + options_.load_deadline,
                                           options_.fallback_channel, std::move(payload));
  auto& counter = told ? counters_.published_fallback : counters_.publish_failures;
  counter.fetch_add(1, std::memory_order_relaxed);  // polling closes the gap
}

void SyncHub::step() {
  // Performing an effect may cause another at once (a build for a peer that is gone).
  for (auto effects = fan_out_.take_effects(); !effects.empty(); effects = fan_out_.take_effects())
    for (FanOut::Effect& effect : effects) perform(std::move(effect));
  if (!doubted_.empty()) ask_about_doubted();
  arm();
}

void SyncHub::perform(FanOut::Effect effect) {
  if (const auto* wanted = std::get_if<FanOut::Load>(&effect)) {
    tasks_->spawn(load_task(wanted->account));
  } else if (const auto* made = std::get_if<FanOut::Build>(&effect)) {
    build(*made);
  } else if (const auto* ended = std::get_if<FanOut::End>(&effect)) {
    end(*ended);
  } else if (const auto* forgotten = std::get_if<FanOut::Forget>(&effect)) {
    if (!fan_out_.has_account(forgotten->account)) forget(forgotten->account);
  }
}

void SyncHub::forget(const std::string& account) {
  const auto state = accounts_.find(account);
  if (state == accounts_.end()) return;
  let_go(std::move(state->second.view));
  accounts_.erase(state);
}

void SyncHub::let_go(netmap::MapViewPtr view) {
  if (view && view->snapshot().peers.size() >= kLargeAccount)
    maps_.post([view = std::move(view)] {});
}

void SyncHub::build(const FanOut::Build& wanted) {
  const auto sink = sinks_.find(wanted.stream);
  const auto account = accounts_.find(wanted.account);
  if (sink == sinks_.end() || account == accounts_.end()) return;
  const netmap::MapViewPtr view = account->second.view;
  const netmap::PeerIndex peer = view->find(PeerId(fan_out_.peer_of(wanted.stream)));
  if (peer == netmap::kNoPeer) {  // deleted, and nobody told us
    sink->second->end(EndReason::kDeleted, view);
    return;
  }
  // The message was lost, or came before this stream was open.
  if (!may_have_stream(view->snapshot(), *view->peer(peer)->peer))
    doubt(wanted.account, fan_out_.peer_of(wanted.stream));
  const Instant now = clock_.now();
  if (now - built_here_at_ >= kBuiltHerePause && sink->second->at_hand(view, peer)) {
    built_here_at_ = now;
    return sink->second->build(view, peer);
  }
  maps_.post([sink = sink->second, view, peer] { sink->build(view, peer); });
}

void SyncHub::end(const FanOut::End& wanted) {
  const auto sink = sinks_.find(wanted.stream);
  if (sink == sinks_.end()) return;
  const auto account = accounts_.find(wanted.account);
  sink->second->end(wanted.reason, account == accounts_.end() ? nullptr : account->second.view);
}

Task<AccountSnapshotPtr> SyncHub::read(AccountId account, AccountSnapshotPtr before) {
  if (before) {
    auto delta = co_await store_.changes(clock_.now() + options_.load_deadline, account,
                                         before->account.serial);
    if (!delta) co_return std::move(delta).error();
    if (*delta) {
      counters_.updates.count(*before, **delta);
      co_return applied(*before, **delta);
    }
  }
  counters_.loads_whole.fetch_add(1, std::memory_order_relaxed);
  const Instant began = clock_.now();
  auto whole = co_await store_.snapshot(began + options_.load_deadline, account);
  const auto state = accounts_.find(account.value());
  if (whole && state != accounts_.end()) state->second.read_whole_at = began;
  co_return whole;
}

SyncHub::AccountState* SyncHub::state_of(const std::string& account, std::uint64_t number) {
  const auto found = accounts_.find(account);
  return found != accounts_.end() && found->second.number == number ? &found->second : nullptr;
}

asio::awaitable<void> SyncHub::load_task(std::string account) {
  const auto self = shared_from_this();
  const auto state = accounts_.find(account);
  if (state == accounts_.end()) co_return;  // forgotten in the same step
  counters_.loads.fetch_add(1, std::memory_order_relaxed);
  const Instant began = clock_.now();
  const std::uint64_t number = state->second.number;
  const netmap::MapViewPtr view = state->second.view;
  AccountSnapshotPtr before;
  if (view && began < state->second.read_whole_at + options_.whole_interval)
    before = view->snapshot_ptr();
  auto snapshot = co_await read(AccountId(account), std::move(before));
  if (!snapshot) {
    counters_.load_failures.fetch_add(1, std::memory_order_relaxed);
    log_.warn("account not loaded, streams keep their maps",
              {log::f(log::kAccount, account), log::f(log::kError, snapshot.error().text)});
    if (state_of(account, number) == nullptr) co_return;
    fan_out_.load_failed(account, clock_.now());
    step();
    co_return;
  }
  maps_.post([self, number, began, account = std::move(account), view,
              snapshot = std::move(*snapshot)]() mutable {
    Loaded loaded = self->update(view, std::move(snapshot), began);
    self->post([hub = self.get(), number, account = std::move(account),
                loaded = std::move(loaded)] { hub->take(account, number, loaded); });
  });
}

SyncHub::Loaded SyncHub::update(const netmap::MapViewPtr& before, AccountSnapshotPtr snapshot,
                                Instant began) {
  Loaded out{.view = nullptr, .affected = {}, .unwelcome = {}, .began = began};
  if (before) out.unwelcome = lost_rights(before->snapshot(), *snapshot);
  netmap::ViewUpdate update = netmap::MapView::update(before, std::move(snapshot), options_.view);
  const bool silent = before && before->serial() == update.view->serial();
  if (!update.everyone)
    out.affected = peer_ids(*update.view, update.affected);
  else if (silent)
    out.affected = all_peer_ids(*update.view);
  if (silent && !out.affected->empty()) counters_.repairs.fetch_add(1, std::memory_order_relaxed);
  out.view = std::move(update.view);
  return out;
}

void SyncHub::take(const std::string& account, std::uint64_t number, const Loaded& loaded) {
  AccountState* const state = state_of(account, number);
  // The last stream left meanwhile. If others have come, a load of their own is under way or done,
  // which this one must not replace: it may be older.
  if (state == nullptr) return;
  // One load at a time: nobody replaced the one before.
  let_go(std::exchange(state->view, loaded.view));
  fan_out_.loaded(account, loaded.view->serial(), loaded.affected, clock_.now());
  for (const std::string& peer : loaded.unwelcome) doubt(account, peer);
  if (options_.on_update) options_.on_update(clock_.now() - loaded.began);
  step();
}

void SyncHub::reassert() {
  lapses_.fetch_add(1, std::memory_order_relaxed);
  post([this] { start_reassert(); });
}

void SyncHub::start_reassert() {
  reassert_again_ = true;
  if (reassert_handler_) reassert_handler_();
  if (!std::exchange(reasserting_, true)) tasks_->spawn(reassert_task());
}

asio::awaitable<void> SyncHub::reassert_task() {
  const auto self = shared_from_this();
  while (std::exchange(reassert_again_, false)) {
    const auto open = fan_out_.open_streams();
    for (std::size_t at = 0; at < open.size() && !stopped_; at += kReassertBatch) {
      const auto first = open.begin() + static_cast<std::ptrdiff_t>(at);
      const auto last =
          open.begin() + static_cast<std::ptrdiff_t>(std::min(at + kReassertBatch, open.size()));
      std::vector<FanOut::OpenStream> batch(first, last);
      co_await reassert_batch(std::move(batch));
    }
  }
  reasserting_ = false;
}

asio::awaitable<void> SyncHub::reassert_batch(std::vector<FanOut::OpenStream> batch) {
  const auto self = shared_from_this();
  std::vector<OpenSession> sessions;
  for (const auto& at : batch) sessions.push_back({PeerId(at.peer), at.epoch});
  Backoff backoff({.first = std::chrono::milliseconds(200),
                   .most = std::chrono::milliseconds(5'000),
                   .factor = 2.0,
                   .jitter = 0.5},
                  batch.front().stream);
  for (;;) {
    auto asked = sessions;
    const auto fates =
        co_await store_.reassert(clock_.now() + options_.load_deadline, std::move(asked));
    if (stopped_) co_return;
    if (!fates) {
      co_await clock_.sleep_for(backoff.next());
      if (stopped_) co_return;
      continue;
    }
    for (std::size_t i = 0; i < batch.size(); ++i) settle(batch[i].stream, (*fates)[i]);
    step();
    co_return;
  }
}

void SyncHub::doubt(const std::string& account, const std::string& peer) {
  for (FanOut::OpenStream& stream : fan_out_.open_streams(account, peer))
    doubted_.emplace(stream.stream, std::move(stream));
}

void SyncHub::ask_about_doubted() {
  std::vector<FanOut::OpenStream> batch;
  const auto ask = [&] { tasks_->spawn(reassert_batch(std::exchange(batch, {}))); };
  for (auto& [number, stream] : std::exchange(doubted_, {})) {
    batch.push_back(std::move(stream));
    if (batch.size() == kReassertBatch) ask();
  }
  if (!batch.empty()) ask();
}

void SyncHub::settle(StreamNumber stream, SessionFate fate) {
  const auto ended = [&](EndReason reason) {
    counters_.sessions_ended.fetch_add(1, std::memory_order_relaxed);
    fan_out_.end_stream(stream, reason);
  };
  switch (fate) {
    case SessionFate::kHeld:
      counters_.sessions_held.fetch_add(1, std::memory_order_relaxed);
      return;
    case SessionFate::kRestored:
      counters_.sessions_restored.fetch_add(1, std::memory_order_relaxed);
      return;
    case SessionFate::kSuperseded:
      return ended(EndReason::kSuperseded);
    case SessionFate::kRefused:
      return ended(EndReason::kRefused);
    case SessionFate::kDeleted:
      return ended(EndReason::kDeleted);
    case SessionFate::kEnded:
      return ended(EndReason::kDraining);  // UNAVAILABLE: the agent comes again
  }
}

asio::awaitable<void> SyncHub::poll_loop() {
  const auto self = shared_from_this();
  Instant sessions_at = clock_.now() + options_.session_interval;
  for (;;) {
    co_await clock_.sleep_for(options_.poll_interval);
    if (stopped_) co_return;
    if (clock_.now() >= sessions_at) {
      sessions_at = clock_.now() + options_.session_interval;
      start_reassert();
    }
    auto accounts = fan_out_.accounts();
    if (!accounts.empty()) co_await poll(std::move(accounts));
    // Not everything that changes an account raises its serial: in its turn each is read whole, as
    // if a serial had been announced that is not there yet (contract/network-map.md §3.4).
    std::size_t swept = 0;
    for (const auto& [id, state] : accounts_) {
      if (!state.view || clock_.now() < state.read_whole_at + options_.whole_interval) continue;
      fan_out_.changed(id, fan_out_.loaded_serial(id) + 1, clock_.now());
      if (++swept == kSweepsPerPoll) break;
    }
    if (swept > 0) step();
  }
}

asio::awaitable<void> SyncHub::poll(std::vector<std::string> accounts) {
  const auto self = shared_from_this();
  for (std::size_t at = 0; at < accounts.size(); at += kPollBatch) {
    std::vector<AccountId> ids;
    const std::size_t end = std::min(at + kPollBatch, accounts.size());
    for (std::size_t i = at; i < end; ++i) ids.emplace_back(std::move(accounts[i]));
    const auto serials =
        co_await store_.serials(clock_.now() + options_.load_deadline, std::move(ids));
    if (!serials) co_return;  // the next poll tries again
    for (const AccountSerial& entry : *serials) {
      if (fan_out_.changed(entry.id.value(), entry.serial, clock_.now()))
        counters_.repairs.fetch_add(1, std::memory_order_relaxed);
    }
    step();
  }
}

void SyncHub::arm() {
  const auto at = fan_out_.next_wakeup();
  if (!at || (armed_for_ && *armed_for_ <= *at)) return;  // an early wake-up finds nothing to do
  armed_for_ = at;
  tasks_->spawn(wake_at(*at));
}

asio::awaitable<void> SyncHub::wake_at(Instant at) {
  const auto self = shared_from_this();
  const auto wait = at - clock_.now();
  if (wait > std::chrono::nanoseconds::zero()) co_await clock_.sleep_for(wait);
  if (stopped_) co_return;
  if (armed_for_ && *armed_for_ <= at) armed_for_.reset();
  fan_out_.tick(clock_.now());
  step();
}

}  // namespace nb::management::app
