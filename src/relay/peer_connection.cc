#include "relay/peer_connection.h"

#include "base/log_keys.h"
#include "relay/shard.h"
#include "relay/shared.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace nb::relay {

using net::websocket::CloseCode;

namespace {
/// Packets handed to the socket at once; the rest stays in the queue, where it counts.
constexpr std::size_t kProduceBytes = 64 * 1024;
constexpr auto kActiveWindow = std::chrono::seconds(30);  // contract §8.2
constexpr std::uint8_t kHmacSha256 = 1;
/// What fits into one datagram on any path (contract §3.4 "Do better" (e)).
constexpr std::size_t kQuicIdsMax = 30;

/// In [0, 1), evenly spread over consecutive connections.
double spread(std::uint64_t serial) {
  return static_cast<double>((serial * 0x9E37'79B9'7F4A'7C15ULL) >> 40) / double{1 << 24};
}

Instant part_of(Instant from, std::chrono::milliseconds time, double part) {
  return from + std::chrono::duration_cast<std::chrono::nanoseconds>(time * part);
}

double ms_since(Instant then, Instant now) {
  return std::chrono::duration<double, std::milli>(now - then).count();
}

void put_message(net::OutputBuffer& out, std::string_view message) {
  net::websocket::put_frame(out, net::websocket::Opcode::kBinary, message);
}

void put_plain(net::OutputBuffer& out, Type type) {
  const auto message = make_plain(type);
  put_message(out, {reinterpret_cast<const char*>(message.data()), message.size()});
}

/// As proxies log it, so that a line here is found again there.
std::string address_of(const net::ClientAddress& client) {
  const bool ipv6 = client.ip.find(':') != std::string::npos;
  if (client.port == 0) return client.ip;
  return fmt::format(fmt::runtime(ipv6 ? "[{}]:{}" : "{}:{}"), client.ip, client.port);
}

/// Upstream's own prober; its token never fits and is not worth a line (contract §3.3).
bool health_prober(const PeerId& id) {
  static const PeerId kProber = crypto::relay_peer_id("healthcheck-agent");
  return id == kProber;
}
}  // namespace

PeerConnection::PeerConnection(net::WebSocketChannel& channel, Shard& shard, Transport transport)
    : channel_(channel),
      shard_(shard),
      shared_(shard.shared()),
      transport_(transport),
      route_(shard.add(*this)),
      since_(shard.loop().now()),
      active_at_(since_ - kActiveWindow),
      queue_(shard.pool(), shared_.options.queue_bytes_max) {
  shared_.metrics.handshakes.add();
  if (shared_.handshakes.fetch_add(1) >= shared_.options.handshakes_max) {
    refuse(shared_.metrics.refused_full, CloseCode::kTryAgainLater, "too many handshakes");
  }
}

PeerConnection::~PeerConnection() {
  leave_handshake();
  leave_registry();
  shard_.remove(route_);
}

FastGauge& PeerConnection::peers_of_transport() const {
  return transport_ == Transport::kQuic ? shared_.metrics.quic_peers : shared_.metrics.peers;
}

void PeerConnection::leave_handshake() {
  if (state_ != State::kHandshake) return;
  state_ = State::kLeaving;
  shared_.handshakes.fetch_sub(1);
  shared_.metrics.handshakes.sub();
}

void PeerConnection::leave_registry() {
  if (state_ != State::kOpen) return;
  state_ = State::kLeaving;
  queue_.clear();
  shared_.peers.fetch_sub(1);
  peers_of_transport().sub();
  shared_.metrics.instance_peers.sub();
  if (presence_) {
    presence_->each([this](const PeerId& id) { shared_.registry.unwatch(id, route_); });
    shared_.subscriptions.fetch_sub(presence_->size());
    shared_.metrics.subscriptions.sub(static_cast<std::int64_t>(presence_->size()));
    presence_.reset();
  }
  if (const auto change = shared_.registry.leave(id_, route_)) shard_.announce(*change);
}

// --- the end -----------------------------------------------------------------------------------

void PeerConnection::refuse(FastCounter& counter, CloseCode code, std::string_view why) {
  counter.add();
  leave_handshake();
  shared_.log.limited().debug(
      "refused a connection",
      {log::f(log::kAddress, address_of(channel_.client())), log::f(log::kReason, why)});
  channel_.close(code);
}

void PeerConnection::end(FastCounter& counter, CloseCode code) {
  counter.add();
  leave_registry();
  channel_.close(code);
}

void PeerConnection::say_goodbye() {
  goodbye_at_ = Instant::max();
  leave_handshake();
  owe_goodbye_ = open();
  leave_registry();
  channel_.close(CloseCode::kGoingAway);
}

void PeerConnection::drain() {
  // Not all at once: those who leave here arrive at another relay together.
  goodbye_at_ =
      open() ? part_of(shard_.loop().now(), shared_.options.drain_time, spread(route_.serial))
             : shard_.loop().now();
  channel_.wake_at(goodbye_at_);
}

void PeerConnection::shut() {
  say_goodbye();
}

void PeerConnection::on_displaced() {
  if (open()) end(shared_.metrics.ended_displaced, CloseCode::kPolicy);
}

void PeerConnection::check_slow(Instant now) {
  const bool waiting = !queue_.empty() || channel_.blocked();
  if (!waiting || now - waiting_since_ < shared_.options.write_timeout) return;
  shared_.metrics.ended_slow.add();
  leave_registry();
  channel_.abort();
}

// --- time --------------------------------------------------------------------------------------

Instant PeerConnection::on_timer(Instant now) {
  if (now >= goodbye_at_) say_goodbye();
  if (state_ == State::kHandshake) {
    const Instant limit = since_ + shared_.options.handshake_timeout;
    if (now < limit) return std::min(limit, goodbye_at_);
    refuse(shared_.metrics.refused_timeout, CloseCode::kPolicy, "no authentication in time");
  }
  if (!open()) return Instant::max();
  if (now >= health_at_) {
    owe_health_ = true;
    health_at_ = now + shared_.options.health_interval;
    channel_.want_flush();
  }
  if (now >= check_at_) check_health(now);
  return std::min({health_at_, check_at_, goodbye_at_});
}

/// Contract §3.4.3: judged at fixed intervals, whatever was answered in between.
void PeerConnection::check_health(Instant now) {
  check_at_ = now + shared_.options.health_check;
  health_failures_ = health_answered_ ? 0 : health_failures_ + 1;
  health_answered_ = false;
  if (health_failures_ < shared_.options.health_failures_max) return;
  shared_.metrics.ended_dead.add();
  leave_registry();
  channel_.abort();
}

bool PeerConnection::active(Instant now) const {
  return now - active_at_ < kActiveWindow;
}

// --- input -------------------------------------------------------------------------------------

void PeerConnection::on_message(const net::WebSocketMessage& message) {
  if (state_ == State::kHandshake) return authenticate(message);
  if (!open()) return;
  std::array<std::uint8_t, kTransportHeadBytes> head{};
  message.copy(0, std::span(head).first(std::min(head.size(), message.size())));
  const auto type = message.size() < kHeadBytes ? std::nullopt : client_type(head[0], head[1]);
  if (message.text() || !type) {
    return end(shared_.metrics.ended_malformed,
               message.text() ? CloseCode::kUnsupported : CloseCode::kPolicy);
  }
  switch (*type) {
    case Type::kTransport: {
      if (message.size() < kTransportHeadBytes) return shared_.metrics.malformed.add();
      shared_.metrics.received_bytes.add(message.size());
      active_at_ = shard_.loop().now();
      PeerId to;
      std::copy(head.begin() + kHeadBytes, head.end(), to.begin());
      return shard_.forward(id_, to, message);
    }
    case Type::kHealthCheck:
      health_answered_ = true;
      return;
    case Type::kClose:
      leave_registry();
      return channel_.close(CloseCode::kNormal);
    case Type::kSubscribe:
      return subscribe(message);
    case Type::kUnsubscribe:
      return unsubscribe(message);
    default:
      return shared_.metrics.malformed.add();  // authentication once more
  }
}

void PeerConnection::authenticate(const net::WebSocketMessage& message) {
  std::array<std::uint8_t, kAuthMax> bytes;
  if (message.text())
    return refuse(shared_.metrics.refused_protocol, CloseCode::kUnsupported, "text message");
  if (message.size() > bytes.size())
    return refuse(shared_.metrics.refused_protocol, CloseCode::kPolicy, "first message too long");
  const auto room = std::span(bytes).first(message.size());
  message.copy(0, room);
  const auto request = parse_auth(room);
  if (!request)
    return refuse(shared_.metrics.refused_protocol, CloseCode::kPolicy, request.error().text);
  if (request->algorithm != kHmacSha256)
    return refuse(shared_.metrics.refused_token, CloseCode::kPolicy, "unknown algorithm");
  const auto now = std::chrono::floor<std::chrono::seconds>(shared_.clock.wall());
  const auto valid = shared_.tokens.check(request->payload, request->signature, now);
  if (!valid) {
    if (!health_prober(request->id)) {
      shared_.log.limited().warn("peer with a token that does not count",
                                 {log::f(log::kPeer, crypto::printable(request->id)),
                                  log::f(log::kAddress, address_of(channel_.client())),
                                  log::f(log::kReason, valid.error().text)});
    }
    return refuse(shared_.metrics.refused_token, CloseCode::kPolicy, "token");
  }
  accept(*request);
}

void PeerConnection::accept(const AuthRequest& request) {
  const Instant now = shared_.clock.now();
  shared_.metrics.auth_ms.observe(ms_since(since_, now));
  const auto claim = shared_.registry.claim(request.id, route_, now);
  if (claim.refused) {
    shared_.log.limited().warn("peer id is taken over again and again; two agents with one key?",
                               {log::f(log::kPeer, crypto::printable(request.id)),
                                log::f(log::kAddress, address_of(channel_.client()))});
    return refuse(shared_.metrics.refused_replaced, CloseCode::kTryAgainLater,
                  "replaced too often");
  }
  leave_handshake();
  state_ = State::kOpen;
  id_ = request.id;
  // The answer leaves before anything else (contract §3.4 "Do better" (a)): produce() writes it
  // first, whatever other loops have queued in the meantime.
  owe_response_ = true;
  health_answered_ = false;
  health_at_ = part_of(now, shared_.options.health_interval, 0.5 + spread(route_.serial) / 2);
  check_at_ = now + shared_.options.health_check;
  channel_.wake_at(std::min(health_at_, check_at_));
  channel_.want_flush();
  shared_.peers.fetch_add(1);
  peers_of_transport().add();
  shared_.metrics.instance_peers.add();
  if (claim.displaced.somebody()) {
    shared_.metrics.reconnections.add();
    shard_.displace(claim.displaced);
  } else {
    shard_.announce(claim.change);
  }
  shared_.metrics.store_ms.observe(ms_since(now, shared_.clock.now()));
}

std::optional<std::vector<PeerId>> PeerConnection::ids_of(const net::WebSocketMessage& message) {
  std::array<std::uint8_t, kIdsMax * kIdBytes> bytes;
  const std::size_t size = message.size() - kHeadBytes;
  std::optional<std::vector<PeerId>> ids;
  if (size <= bytes.size()) {
    const auto body = std::span(bytes).first(size);
    message.copy(kHeadBytes, body);
    ids = parse_ids(body);
  }
  if (!ids) shared_.metrics.malformed.add();
  return ids;
}

void PeerConnection::subscribe(const net::WebSocketMessage& message) {
  const auto ids = ids_of(message);
  if (!ids) return;
  if (!presence_) presence_ = std::make_unique<PresenceBook>();
  for (const PeerId& id : *ids) {
    if (presence_->subscribe(id)) {
      const bool full = presence_->size() > shared_.options.subscriptions_max ||
                        shared_.subscriptions.load() >= shared_.options.subscriptions_total_max;
      if (full) {
        presence_->unsubscribe(id);
        shared_.metrics.subscriptions_refused.add();
        continue;
      }
      shared_.subscriptions.fetch_add(1);
      shared_.metrics.subscriptions.add();
    }
    const Change state = shared_.registry.watch(id, route_);
    if (state.online) on_presence(id, true, state.order);
  }
}

void PeerConnection::unsubscribe(const net::WebSocketMessage& message) {
  const auto ids = ids_of(message);
  if (!ids || !presence_) return;
  for (const PeerId& id : *ids) {
    if (!presence_->unsubscribe(id)) continue;
    shared_.registry.unwatch(id, route_);
    shared_.subscriptions.fetch_sub(1);
    shared_.metrics.subscriptions.sub();
  }
}

// --- output ------------------------------------------------------------------------------------

std::span<std::uint8_t> PeerConnection::room(std::size_t frame_bytes, std::size_t message_bytes,
                                             std::size_t sender) {
  const bool first = queue_.empty();
  const auto room = queue_.push(frame_bytes, frame_bytes - message_bytes, sender);
  switch (room.refusal) {
    case SendQueue::Refusal::kFull:
      shared_.metrics.dropped_full.add();
      break;
    case SendQueue::Refusal::kUnfair:
      shared_.metrics.dropped_unfair.add();
      break;
    case SendQueue::Refusal::kNoMemory:
      shared_.metrics.dropped_memory.add();
      break;
    case SendQueue::Refusal::kNone:
      // Otherwise the socket is full, and its loop comes back when it has room.
      if (!first) break;
      waiting_since_ = shard_.loop().now();
      channel_.want_flush();
  }
  return room.bytes;
}

void PeerConnection::on_presence(const PeerId& id, bool online, std::uint64_t order) {
  if (presence_ && presence_->note(id, online, order)) channel_.want_flush();
}

void PeerConnection::produce_control(net::OutputBuffer& out) {
  if (std::exchange(owe_response_, false))
    put_message(out, make_auth_response(shared_.options.instance_url));
  if (std::exchange(owe_health_, false)) put_plain(out, Type::kHealthCheck);
  while (presence_ && presence_->has_news() && !out.full()) {
    const auto news = presence_->take(transport_ == Transport::kQuic ? kQuicIdsMax : kIdsMax);
    if (!news.ids.empty()) put_message(out, make_ids(news.type, news.ids));
  }
  if (std::exchange(owe_goodbye_, false)) put_plain(out, Type::kClose);
}

void PeerConnection::produce(net::OutputBuffer& out) {
  waiting_since_ = shard_.loop().now();
  produce_control(out);
  if (queue_.empty()) return;
  active_at_ = waiting_since_;
  const auto taken = queue_.pop(out, kProduceBytes);
  shared_.metrics.sent_messages.add(taken.frames);
  shared_.metrics.sent_bytes.add(taken.message_bytes);
}

bool PeerConnection::has_more() const {
  return owe_response_ || owe_health_ || owe_goodbye_ || (presence_ && presence_->has_news()) ||
         !queue_.empty();
}

}  // namespace nb::relay
