#include "client/relay_connection.h"

#include "client/deadline.h"
#include "client/relay_url.h"
#include "crypto/encoding.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace nb::client {
namespace asio = boost::asio;
using crypto::as_bytes;
using relay::Type;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::uint16_t kPolicyClose = 1008;
constexpr std::uint16_t kFullClose = 1013;

std::string plain(Type type) {
  const auto bytes = relay::make_plain(type);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string one_id(Type type, const PeerId& peer) {
  return relay::make_ids(type, {&peer, 1});
}

/// A relay refuses without a word; the close code is all there is (contract §3.3).
Error refusal(const WebSocket& socket, const std::string& url, const Error& error) {
  switch (socket.close_code()) {
    case kPolicyClose:
      return fail(Code::kUnauthenticated, "relay {} refused us: wrong or expired token", url);
    case kFullClose:
      return fail(Code::kResourceExhausted, "relay {} takes nobody else now", url);
    default:
      return fail(error.code, "relay {}: no answer to our token: {}", url, error.text);
  }
}
}  // namespace

// --- tunnel ------------------------------------------------------------------------------------

RelayTunnel::RelayTunnel(std::weak_ptr<RelayConnection> connection, const PeerId& peer,
                         const asio::any_io_executor& home)
    : connection_(std::move(connection)),
      peer_(peer),
      changed_(home, asio::steady_timer::time_point::max()) {}

bool RelayTunnel::send(std::string_view payload) {
  const auto connection = connection_.lock();
  return connection && open() && connection->write_packet(peer_, payload);
}

void RelayTunnel::on_packet(Receiver receiver) {
  receiver_ = std::move(receiver);
  while (receiver_ && !waiting_.empty()) {
    const std::string payload = std::move(waiting_.front());
    waiting_.pop_front();
    receiver_(payload);
  }
}

void RelayTunnel::deliver(std::string_view payload) {
  if (receiver_ && open()) return receiver_(payload);
  // Newest first to go: what waits longer is what the other side answers to.
  if (waiting_.size() < kQueueMax) waiting_.emplace_back(payload);
}

void RelayTunnel::end() {
  if (std::exchange(state_, State::kClosed) == State::kClosed) return;
  changed_.cancel();
  receiver_ = nullptr;
  if (const auto closed = std::exchange(closed_, nullptr)) closed();
}

void RelayTunnel::close() {
  closed_ = nullptr;
  if (state_ == State::kClosed) return;
  end();
  if (const auto connection = connection_.lock()) connection->forget(peer_);
}

// --- connection --------------------------------------------------------------------------------

RelayConnection::RelayConnection(std::shared_ptr<WebSocket> socket, std::string instance_url,
                                 RelayTimes times, const asio::any_io_executor& home)
    : socket_(std::move(socket)),
      instance_url_(std::move(instance_url)),
      times_(times),
      home_(home),
      wake_(home, asio::steady_timer::time_point::max()),
      health_(home),
      ended_(home, asio::steady_timer::time_point::max()),
      unused_since_(std::chrono::steady_clock::now()) {}

asio::awaitable<Result<std::shared_ptr<RelayConnection>>> RelayConnection::dial(RelayDial dial,
                                                                                RelayTimes times,
                                                                                TaskGroup& tasks) {
  const auto home = co_await asio::this_coro::executor;
  const auto url = parse_relay_url(dial.url);
  if (!url) co_return url.error();
  WebSocketTarget target;
  target.host = url->host;
  target.port = url->port;
  target.path = "/relay";
  target.tls = url->tls;
  target.dial_host = dial.dial_ip;
  target.ca_file = dial.ca_file;
  target.message_bytes_max = relay::kMessageMax;
  const auto socket = co_await WebSocket::dial(std::move(target), times.connect);
  if (!socket) co_return socket.error();
  const auto& connected = *socket;
  const Deadline deadline(home, times.authenticate, [connected] { connected->abort(); });
  std::string request = relay::make_auth(dial.self, dial.token);
  const auto written = co_await connected->write(std::move(request));
  if (!written) co_return refusal(*connected, dial.url, written.error());
  const auto answer = co_await connected->read();
  if (!answer) co_return refusal(*connected, dial.url, answer.error());
  const auto instance = relay::parse_auth_response(as_bytes(*answer));
  if (!instance) {
    connected->abort();
    co_return fail(Code::kUnavailable, "relay {}: not an answer to our token", dial.url);
  }
  auto made = std::make_shared<RelayConnection>(connected, std::string(*instance), times, home);
  tasks.spawn(read_loop(made));
  tasks.spawn(write_loop(made));
  tasks.spawn(health_loop(made));
  co_return made;
}

asio::awaitable<Result<std::shared_ptr<RelayTunnel>>> RelayConnection::open(PeerId peer) {
  const auto self = shared_from_this();
  if (end_) co_return *end_;
  const auto tunnel = std::make_shared<RelayTunnel>(weak_from_this(), peer, home_);
  if (!tunnels_.emplace(peer, tunnel).second)
    co_return fail(Code::kAlreadyExists, "a tunnel to {}", crypto::printable(peer));
  if (const auto early = early_.find(peer); early != early_.end()) {
    if (early->second.at + times_.early > std::chrono::steady_clock::now())
      tunnel->deliver(early->second.payload);
    early_.erase(early);
  }
  write(one_id(Type::kSubscribe, peer));
  // Forgotten also when the caller is cancelled while it waits.
  struct Guard {
    ~Guard() {
      if (!tunnel->open()) tunnel->close();
    }
    const std::shared_ptr<RelayTunnel>& tunnel;
  } const guard{tunnel};
  tunnel->changed_.expires_after(times_.open);
  if (tunnel->state_ == RelayTunnel::State::kWaiting) co_await tunnel->changed_.async_wait(kAwait);
  if (end_) co_return *end_;
  if (!tunnel->open())
    co_return fail(Code::kDeadlineExceeded, "{} did not come to relay {}", crypto::printable(peer),
                   instance_url_);
  co_return tunnel;
}

asio::awaitable<Error> RelayConnection::ended() {
  const auto self = shared_from_this();
  while (!end_) co_await ended_.async_wait(kAwait);
  co_return *end_;
}

void RelayConnection::close() {
  if (end_) return;
  end(fail(Code::kCancelled, "closed"));
}

void RelayConnection::end(Error why) {
  if (end_) return;
  end_ = std::move(why);
  socket_->abort();
  wake_.cancel();
  health_.cancel();
  ended_.cancel();
  early_.clear();
  const auto tunnels = std::exchange(tunnels_, {});
  for (const auto& [peer, tunnel] : tunnels) tunnel->end();
}

void RelayConnection::forget(const PeerId& peer) {
  if (end_ || tunnels_.erase(peer) == 0) return;
  if (tunnels_.empty()) unused_since_ = std::chrono::steady_clock::now();
  write(one_id(Type::kUnsubscribe, peer));
}

// --- input -------------------------------------------------------------------------------------

asio::awaitable<void> RelayConnection::read_loop(std::shared_ptr<RelayConnection> self) {
  while (self->alive()) {
    const auto message = co_await self->socket_->read();
    if (!message) {
      self->end(message.error());
      co_return;
    }
    self->take(*message);
  }
}

void RelayConnection::take(std::string_view message) {
  if (message.size() < relay::kHeadBytes) return;  // malformed ones are ignored (contract §3.1)
  const auto bytes = as_bytes(message);
  const auto type = relay::server_type(bytes[0], bytes[1]);
  if (!type) return;
  switch (*type) {
    case Type::kTransport:
      return take_packet(message);
    case Type::kHealthCheck:
      heard_ = true;
      return write(plain(Type::kHealthCheck));
    case Type::kClose:
      return end(fail(Code::kUnavailable, "relay {} said goodbye", instance_url_));
    case Type::kPeersOnline:
    case Type::kPeersOffline:
      return take_presence(*type, message.substr(relay::kHeadBytes));
    default:
      return;
  }
}

void RelayConnection::take_packet(std::string_view message) {
  if (message.size() < relay::kTransportHeadBytes) return;
  PeerId from;
  std::copy_n(as_bytes(message).begin() + relay::kHeadBytes, from.size(), from.begin());
  const std::string_view payload = message.substr(relay::kTransportHeadBytes);
  const auto found = tunnels_.find(from);
  if (found == tunnels_.end()) return keep_early(from, payload);
  const auto tunnel = found->second;  // the receiver may close it
  tunnel->deliver(payload);
}

/// The newest of each peer, for a tunnel that is about to be opened (contract §3.4.6).
void RelayConnection::keep_early(const PeerId& from, std::string_view payload) {
  const Instant now = std::chrono::steady_clock::now();
  if (early_.size() >= kEarlyPeersMax)
    std::erase_if(early_, [&](const auto& each) { return each.second.at + times_.early <= now; });
  if (early_.size() >= kEarlyPeersMax && !early_.contains(from)) return;
  early_[from] = Early{std::string(payload), now};
}

void RelayConnection::take_presence(Type type, std::string_view body) {
  const auto ids = relay::parse_ids(as_bytes(body));
  if (!ids) return;
  for (const PeerId& id : *ids) {
    const auto found = tunnels_.find(id);
    if (found == tunnels_.end()) continue;
    const auto tunnel = found->second;
    if (type == Type::kPeersOnline) {
      if (tunnel->state_ != RelayTunnel::State::kWaiting) continue;
      tunnel->state_ = RelayTunnel::State::kOpen;
      tunnel->changed_.cancel();
    } else if (tunnel->open()) {
      forget(id);
      tunnel->end();
    }
  }
}

asio::awaitable<void> RelayConnection::health_loop(std::shared_ptr<RelayConnection> self) {
  for (;;) {
    self->health_.expires_after(self->times_.health_check);
    co_await self->health_.async_wait(kAwait);
    if (!self->alive()) co_return;
    if (!std::exchange(self->heard_, false))
      self->end(fail(Code::kUnavailable, "relay {} is silent", self->instance_url_));
  }
}

// --- output ------------------------------------------------------------------------------------

void RelayConnection::write(std::string message) {
  if (end_) return;
  outbox_bytes_ += message.size();
  outbox_.push_back(std::move(message));
  if (outbox_.size() == 1) wake_.cancel();
}

bool RelayConnection::write_packet(const PeerId& to, std::string_view payload) {
  if (end_ || payload.size() > relay::kPayloadMax ||
      outbox_bytes_ + payload.size() > kOutboxBytesMax)
    return false;
  write(relay::make_transport(to, payload));
  return true;
}

asio::awaitable<void> RelayConnection::write_loop(std::shared_ptr<RelayConnection> self) {
  while (self->alive()) {
    if (self->outbox_.empty()) {
      co_await self->wake_.async_wait(kAwait);
      continue;
    }
    std::string message = std::move(self->outbox_.front());
    self->outbox_.pop_front();
    self->outbox_bytes_ -= message.size();
    const auto written = co_await self->socket_->write(std::move(message));
    if (!written) self->end(written.error());
  }
}

}  // namespace nb::client
