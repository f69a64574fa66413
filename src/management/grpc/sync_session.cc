#include "management/grpc/sync_session.h"

#include "base/log_keys.h"
#include "management/grpc/meta.h"
#include "management/grpc/refresh_wait.h"
#include "management/netmap/wire.h"
#include "proto/management.pb.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace nb::management::grpc {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr std::size_t kOversizeBytes = 3'670'016;  // 3.5 MiB; agents of 2026-04 stop at 4 MiB
constexpr std::size_t kAtHandBytes = 256 * 1024;   // sealed in some tenths of a millisecond
constexpr auto kStartDeadline = 10s;
constexpr auto kAwaitedProviderLook = 30s;   // LoginSettings::awaited
constexpr unsigned kNetbirdConfigField = 1;  // of SyncResponse

double ms(Instant from, Instant to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

SyncSession::SyncSession(std::shared_ptr<ServiceState> service, LoopState& loop,
                         net::GrpcCallHandle call)
    : service_(std::move(service)),
      loop_(loop),
      call_(std::move(call)),
      began_(service_->ports.clock.now()),
      place_(service_->sync_openings),
      departure_(service_->departures) {}

SyncSession::~SyncSession() = default;

void SyncSession::on_request(net::GrpcCall& call, std::string_view message) {
  if (std::exchange(requested_, true)) return;
  if (service_->draining.load(std::memory_order_relaxed))
    return finish({Code::kUnavailable, "server is shutting down"});
  client_ip_ = call.client().ip;
  if (const auto allowed = service_->allow(client_ip_, AddressLimiter::kCall); !allowed)
    return finish(net::GrpcStatus::from(allowed.error()));
  request_ = message;
  loop_.syncs.insert(this);
  service_->streams.fetch_add(1);
  const app::AdmissionPlace::Asking asking{client_ip_, request_.size(), began_};
  const bool waits =
      place_.enter(asking, loop_.poster(), [weak = weak_from_this()](Outcome outcome) {
        if (const auto self = weak.lock()) self->on_admission(outcome);
      });
  if (waits) service_->ports.metrics.syncs_queued.add();
}

void SyncSession::on_admission(Outcome outcome) {
  if (finishing_ || ended_) return;  // it has left, or leaves, its place itself
  if (outcome == Outcome::kAdmittedAfterWait) {
    const auto wait = service_->ports.clock.now() - began_;
    service_->ports.metrics.sync_wait_s.observe(std::chrono::duration<double>(wait).count());
  }
  if (outcome != Outcome::kRefused)  // after what is answered at once
    return loop_.loop.post([self = shared_from_this()] { self->begin(); });
  service_->ports.metrics.syncs_refused.add();
  finish({Code::kResourceExhausted, "too many concurrent sync requests, please try again later"});
}

void SyncSession::begin() {
  if (finishing_ || ended_) return;  // its place is given back
  // The coroutine keeps the session, and nothing of the call.
  loop_.tasks.spawn([](std::shared_ptr<SyncSession> self, std::string request,
                       std::string ip) -> asio::awaitable<void> {
    co_await self->start(std::move(request), std::move(ip));
    // Whatever came of it: the next one may ask the database.
    self->place_.started();
  }(shared_from_this(), std::exchange(request_, {}), std::exchange(client_ip_, {})));
}

asio::awaitable<void> SyncSession::start(std::string request, std::string client_ip) {
  auto opened = open_envelope(request, service_->ports.keys);
  if (!opened) co_return finish(net::GrpcStatus::from(opened.error()));
  ::management::SyncRequest sync;
  if (!sync.ParseFromString(opened->plain))
    co_return finish({Code::kInvalidArgument, "invalid request message"});
  app::SyncCommand command;
  command.key = opened->channel.peer;
  if (sync.has_meta()) {
    auto meta = meta_from(sync.meta());
    if (!meta) co_return finish(net::GrpcStatus::from(meta.error()));
    command.meta = std::move(*meta);
  }
  command.location = location_of(client_ip);
  command.deadline = service_->ports.clock.now() + kStartDeadline;
  command.on_doubt = [this](app::SessionInDoubt doubt) { doubt_ = std::move(doubt); };
  channel_ = std::move(opened->channel);
  auto started = co_await service_->ports.sessions.start(std::move(command));
  if (!started) {
    if (doubt_) depart_now();
    co_return finish(net::GrpcStatus::from(started.error()));
  }
  service_->ports.metrics.sync_requests.add();
  peer_ = app::session_peer(started->view.peer);
  epoch_ = started->epoch;
  service_->departed.began(peer_.id, epoch_);
  if (ended_ || finishing_) {  // the agent left meanwhile
    service_->ports.hub.superseded(peer_.account, peer_.id, epoch_);
    co_return depart();
  }
  open(std::move(*started));
}

void SyncSession::open(app::SyncStarted started) {
  auto& ports = service_->ports;
  number_ = ports.hub.new_stream();
  opened_ = true;
  ports.metrics.streams.add();
  ports.metrics.streams_plain.add();
  turn_due_ = next_refresh(ports.configs.turn_refresh_after());
  relay_due_ = next_refresh(ports.configs.relay_refresh_after());
  loop_.refresh_at = std::min(loop_.refresh_at, refresh_at());
  const Instant opening = ports.clock.now();
  ports.hub.open({.stream = number_,
                  .account = peer_.account.value(),
                  .peer = peer_.id.value(),
                  .epoch = epoch_,
                  .serial = started.view.serial,
                  .replaces = started.replaces.value(),
                  .lapses = started.lapses},
                 shared_from_this());
  ports.metrics.create_us.observe(ms(opening, ports.clock.now()) * 1'000);
  if (ports.presence.opened) ports.presence.opened(peer_.key.value(), epoch_);
}

std::shared_ptr<PreparedMap> SyncSession::prepare(const RecentMaps::Source& source,
                                                  netmap::PeerIndex slot, WallTime now) const {
  auto& ports = service_->ports;
  auto out = std::make_shared<PreparedMap>(
      make_map(*source.view, slot, now, source.login->encoder, source.form));
  const Instant asked = ports.clock.now();
  out->checks = out->map.checks();
  ports.metrics.posture_checks_us.observe(ms(asked, ports.clock.now()) * 1'000);
  return out;
}

RecentMaps::Source SyncSession::source_of(const netmap::MapViewPtr& view,
                                          const std::shared_ptr<const LoginSettings>& login,
                                          netmap::PeerIndex slot) const {
  return {.peer = peer_.id,
          .view = view,
          .login = login,
          .form = service_->options.map_forms.of(*view->peer(slot)->peer)};
}

bool SyncSession::at_hand(const netmap::MapViewPtr& view, netmap::PeerIndex slot) {
  if (sent_) return false;
  const std::shared_ptr<const LoginSettings> login = service_->login();
  auto map = service_->recent_maps.find(source_of(view, login, slot), service_->ports.clock.wall());
  if (map && map->size() <= kAtHandBytes) at_hand_ = std::move(map);
  return at_hand_ != nullptr;
}

void SyncSession::build(const netmap::MapViewPtr& view, netmap::PeerIndex slot) {
  auto& ports = service_->ports;
  const Instant begin = ports.clock.now();
  const WallTime now = ports.clock.wall();
  const std::shared_ptr<const LoginSettings> login = service_->login();
  const RecentMaps::Source source = source_of(view, login, slot);
  // Only a new stream asks for what an older one of the peer has got.
  std::shared_ptr<const PreparedMap> map = std::exchange(at_hand_, nullptr);
  if (!map && !sent_) map = service_->recent_maps.find(source, now);
  const bool recent = map != nullptr;
  if (!recent) {
    map = prepare(source, slot, now);
    if (!sent_) service_->recent_maps.made(source, now, map);
  }
  std::optional<WallTime> changes_at = map->changes_at;
  if (login->awaited) {
    const WallTime again = now + kAwaitedProviderLook;
    changes_at = std::min(changes_at.value_or(again), again);
  }
  const Instant done = ports.clock.now();
  // Calculation and encoding are one: what upstream counts apart is counted together.
  ports.metrics.calc_map_ms.observe(ms(begin, done));
  ports.metrics.peer_map_ms.observe(ms(begin, done));
  if (sent_ && map->digest == digest_) {
    ports.metrics.maps_unchanged.add();
    ports.hub.ready(number_, changes_at);
    return;
  }
  digest_ = map->digest;
  const bool metrics_push = view->snapshot().account.settings.metrics_push_enabled;
  const std::string config =
      std::exchange(sent_, true) ? std::string{} : ports.configs.initial(now, metrics_push);
  if (recent) ports.metrics.maps_recent.add();
  const bool in_components = map->map.network.has_value();
  if (!in_components) ports.metrics.map_objects.observe(static_cast<double>(map->objects));
  const std::string front = map->map.before_map(view->serial(), config);
  const std::size_t size = front.size() + map->map.map.size();
  if (size > kOversizeBytes) {
    ports.metrics.maps_oversize.add();
    service_->log.limited().warn("map is larger than old agents can receive",
                                 {log::f(log::kPeer, peer_.id.value()), log::f(log::kCount, size)});
  }
  std::string sealed = channel_->seal({front, map->map.map}, ports.random);
  ports.metrics.maps_sent.add();
  if (in_components) ports.metrics.maps_in_components.add();
  ports.metrics.map_bytes.add(sealed.size());
  auto& encoding =
      in_components ? ports.metrics.to_component_response_us : ports.metrics.to_sync_response_us;
  encoding.observe(ms(done, ports.clock.now()) * 1'000);
  loop_.loop.post([self = shared_from_this(), sealed = std::move(sealed), done, changes_at,
                   checks = map->checks]() mutable {
    self->checks_ = std::move(checks);
    self->service_->ports.metrics.send_us.observe(ms(done, self->service_->ports.clock.now()) *
                                                  1000);
    self->deliver(std::move(sealed), changes_at);
  });
}

void SyncSession::deliver(std::string sealed, std::optional<WallTime> changes_at) {
  net::GrpcCall* const call = call_.get();
  if (call == nullptr || finishing_ || ended_) return;
  auto& metrics = service_->ports.metrics;
  if (place_.held()) {
    const Instant now = service_->ports.clock.now();
    metrics.sync_duration_ms.observe(ms(began_, now));
    metrics.sync_p95.observe(peer_.account.value(), ms(began_, now), now);
  }
  metrics.queue_length.observe(1);  // never more than the newest
  place_.leave();
  call->write_owned(std::move(sealed));
  changes_at_ = changes_at;
  // The transport takes it at the end of this turn; what is left then waits for the agent.
  loop_.loop.post([self = shared_from_this()] {
    if (self->ended_) return;
    self->awaiting_flush_ = true;
    self->loop_.unflushed.insert(self.get());
    self->check_flushed();
  });
}

void SyncSession::check_flushed() {
  if (!awaiting_flush_) return;
  net::GrpcCall* const call = call_.get();
  if (call == nullptr || call->queued_bytes() > 0) return;
  awaiting_flush_ = false;
  loop_.unflushed.erase(this);
  service_->ports.hub.ready(number_, changes_at_);
}

void SyncSession::on_writable() {
  check_flushed();
}

std::optional<Instant> SyncSession::next_refresh(std::optional<std::chrono::seconds> after) {
  if (!after) return std::nullopt;
  return service_->ports.clock.now() + refresh_wait(*after, service_->ports.random.fraction());
}

Instant SyncSession::refresh_at() const {
  return std::min(turn_due_.value_or(Instant::max()), relay_due_.value_or(Instant::max()));
}

void SyncSession::refresh_due(Instant now) {
  const auto& configs = service_->ports.configs;
  if (turn_due_ && now >= *turn_due_)
    refresh(configs.turn_refresh(service_->ports.clock.wall()), configs.turn_refresh_after(),
            turn_due_);
  if (relay_due_ && now >= *relay_due_)
    refresh(configs.relay_refresh(service_->ports.clock.wall()), configs.relay_refresh_after(),
            relay_due_);
}

void SyncSession::refresh(std::string config, std::optional<std::chrono::seconds> after,
                          std::optional<Instant>& due) {
  net::GrpcCall* const call = call_.get();
  // Not before the first map, and not on top of one that the agent has not taken yet.
  if (call == nullptr || finishing_ || place_.held() || awaiting_flush_) return;
  due = next_refresh(after);
  std::string plain;
  netmap::wire::put_element(plain, kNetbirdConfigField, config);
  // Agents of 2026-04 take a message without checks for "none any more" and ask again.
  plain += checks_;
  call->write(channel_->seal(plain, service_->ports.random));
}

void SyncSession::end(app::EndReason reason, const netmap::MapViewPtr& view) {
  std::string farewell;
  if (reason == app::EndReason::kDeleted)
    farewell = encode_deletion(view ? view->serial() : 0, view ? view->forwarder_port() : 0);
  loop_.loop.post([self = shared_from_this(), reason, farewell = std::move(farewell)] {
    net::GrpcCall* const call = self->call_.get();
    if (call == nullptr || self->finishing_) return;
    if (!farewell.empty())
      call->write(self->channel_->seal(farewell, self->service_->ports.random));
    self->finish(reason == app::EndReason::kDraining
                     ? net::GrpcStatus{Code::kUnavailable, "server is shutting down"}
                     : net::GrpcStatus{});
  });
}

void SyncSession::finish(net::GrpcStatus status) {
  if (std::exchange(finishing_, true)) return;
  place_.leave();
  if (net::GrpcCall* const call = call_.get()) call->finish(std::move(status));
}

void SyncSession::on_end() {
  ended_ = true;
  place_.leave();
  loop_.unflushed.erase(this);
  if (loop_.syncs.erase(this) > 0) service_->streams.fetch_sub(1);
  if (!std::exchange(opened_, false)) return;
  auto& ports = service_->ports;
  ports.metrics.streams.sub();
  ports.metrics.streams_plain.sub();
  const Instant closing = ports.clock.now();
  ports.hub.close(number_);
  ports.metrics.close_one_us.observe(ms(closing, ports.clock.now()) * 1'000);
  if (ports.presence.closed) ports.presence.closed(peer_.key.value(), epoch_);
  depart();
}

void SyncSession::depart() {
  ended_at_ = service_->ports.clock.now();
  departing_ = service_->departed.left(peer_.id, epoch_);
  if (service_->draining.load(std::memory_order_relaxed)) return depart_now();
  loop_.leaving.push_back(shared_from_this());
}

bool SyncSession::succeeded() {
  if (!departing_ || !departing_->over()) return false;
  departure_.leave();
  service_->ports.sessions.succeeded();
  return true;
}

void SyncSession::depart_now() {
  if (succeeded()) return;
  departure_.enter({.since = service_->ports.clock.now()}, loop_.poster(),
                   [self = shared_from_this()](Outcome outcome) {
                     if (outcome != Outcome::kRefused && !self->succeeded())
                       self->mark_disconnected();
                   });
}

void SyncSession::mark_disconnected() {
  loop_.tasks.spawn([](std::shared_ptr<SyncSession> self) -> asio::awaitable<void> {
    auto& sessions = self->service_->ports.sessions;
    auto told = self->doubt_ ? sessions.abandoned(*self->doubt_)
                             : sessions.stopped(self->peer_, self->epoch_);
    co_await std::move(told);
    if (self->departing_) self->service_->departed.forget(self->departing_);
    self->departure_.leave();
  }(shared_from_this()));
}

namespace {

class SyncHandler final : public net::GrpcStreamHandler {
 public:
  explicit SyncHandler(std::shared_ptr<SyncSession> session) : session_(std::move(session)) {}
  void on_start(net::GrpcCall& /*call*/) override {}
  void on_message(net::GrpcCall& call, std::string_view message) override {
    session_->on_request(call, message);
  }
  void on_writable(net::GrpcCall& /*call*/) override { session_->on_writable(); }
  void on_end(net::GrpcCall& /*call*/) override { session_->on_end(); }

 private:
  const std::shared_ptr<SyncSession> session_;
};

}  // namespace

std::unique_ptr<net::GrpcStreamHandler> make_sync_handler(std::shared_ptr<ServiceState> service,
                                                          net::GrpcCall& call) {
  LoopState& loop = service->at(call.loop());
  return std::make_unique<SyncHandler>(
      std::make_shared<SyncSession>(std::move(service), loop, call.handle()));
}

}  // namespace nb::management::grpc
