#include "client/peer.h"

#include "base/ip.h"
#include "base/log_keys.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace nb::client {
namespace asio = boost::asio;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// Payload of an offer without ICE (contract/client-agent.md §1.7).
constexpr auto kRelayOnly = ":";
constexpr std::uint32_t kRefusalsMax = 2;  // then our token is old: ask for another

std::string ip_bytes(const std::string& text) {
  const auto ip = IpAddress::parse(text);
  if (!ip) return {};
  const auto bytes = ip->bytes();
  return {bytes.begin(), bytes.end()};
}

std::string ip_text(const std::string& bytes) {
  if (bytes.size() == 4) {
    std::uint32_t value = 0;
    for (const char c : bytes) value = value << 8U | static_cast<unsigned char>(c);
    return IpAddress::v4(value).text();
  }
  if (bytes.size() != 16) return {};
  std::array<std::uint8_t, 16> v6;
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return IpAddress::v6(v6).text();
}
}  // namespace

/// The way to one other peer.
struct Peer::Link {
  Link(std::string to, const asio::any_io_executor& home) : peer(std::move(to)), wake(home) {}
  const std::string peer;
  asio::steady_timer wake;  // of its offer loop
  bool removed = false;
  std::string relay_address;  // of the other side, from its last offer or answer
  std::string relay_ip;
  std::shared_ptr<RelayTunnel> tunnel;
  std::string tunnel_url;
  std::string opening_url;    // empty: nothing is being opened
  std::uint64_t attempt = 0;  // the newest wins
};

Peer::Peer(const asio::any_io_executor& home, const crypto::PrivateKey& key, PeerOptions options,
           Logger log)
    : identity_(key),
      options_(std::move(options)),
      log_(std::move(log)),
      tasks_(home),
      relay_(home, crypto::relay_peer_id(identity_.key), options_.relay, log_) {
  relay_.on_home([this] { wake_links(); });
}

Peer::~Peer() = default;

asio::awaitable<Result<>> Peer::join(std::string setup_key) {
  const auto home = tasks_.executor();
  auto channel = GrpcChannel::create(home, options_.management);
  if (!channel) co_return channel.error();
  management_channel_ = *channel;
  management_ = std::make_unique<ManagementClient>(home, *channel, identity_, options_.host, log_);
  const auto login = co_await management_->login(std::move(setup_key));
  if (!login) co_return login.error();
  take_update(*login);
  tasks_.spawn(follow());
  co_return Result<>();
}

asio::awaitable<void> Peer::stop() {
  for (const auto& [key, link] : links_) {
    link->removed = true;
    link->wake.cancel();
  }
  if (management_channel_) co_await management_channel_->stop();
  if (signal_channel_) co_await signal_channel_->stop();
  if (signal_) co_await signal_->stop();
  co_await relay_.stop();
  co_await tasks_.stop();
}

/// Follows management, through restarts of it.
asio::awaitable<void> Peer::follow() {
  Backoff backoff(options_.sync_retry, random_.below(1ULL << 62U));
  for (;;) {
    bool heard = false;
    std::function<void(const NetworkUpdate&)> on_update = [this, &heard](const NetworkUpdate& u) {
      heard = true;
      take_update(u);
    };
    const Error why = co_await management_->sync(std::move(on_update));
    log_.limited().info("sync ended", {log::f(log::kError, why.text)});
    if (heard) backoff.reset();
    asio::steady_timer pause(tasks_.executor(), backoff.next());
    co_await pause.async_wait(kAwait);
  }
}

void Peer::take_update(const NetworkUpdate& update) {
  if (!update.address.empty()) address_ = update.address;
  if (update.servers) take_servers(*update.servers);
  if (!update.has_map) return;
  serial_ = update.serial;
  take_peers(update.peers);
}

void Peer::take_servers(const ServerConfig& servers) {
  relay_.use(servers.relay);
  if (signal_) return;  // a later change is ignored, as official agents do (client-agent §1.5)
  GrpcTarget target = servers.signal;
  if (!options_.signal_address.empty()) target.address = options_.signal_address;
  if (target.ca_file.empty()) target.ca_file = options_.management.ca_file;
  auto channel = GrpcChannel::create(tasks_.executor(), target);
  if (!channel) return log_.error("signal", {log::f(log::kError, channel.error().text)});
  signal_channel_ = *channel;
  signal_ =
      std::make_unique<SignalClient>(tasks_.executor(), *channel, identity_, options_.signal, log_);
  signal_->on_state([this] { wake_links(); });
  signal_->on_message([this](const SignalMessage& message) { take_message(message); });
}

void Peer::take_peers(const std::vector<std::string>& peers) {
  const std::set<std::string> wanted(peers.begin(), peers.end());
  for (auto each = links_.begin(); each != links_.end();) {
    const auto link = (each++)->second;
    if (!wanted.contains(link->peer)) remove(link);
  }
  for (const std::string& peer : wanted) {
    if (links_.contains(peer)) continue;
    const auto link = std::make_shared<Link>(peer, tasks_.executor());
    links_.emplace(peer, link);
    tasks_.spawn(offer_loop(link));
  }
}

void Peer::remove(const std::shared_ptr<Link>& link) {
  link->removed = true;
  link->wake.cancel();
  if (link->tunnel) link->tunnel->close();
  links_.erase(link->peer);
}

std::vector<std::string> Peer::peers() const {
  std::vector<std::string> out;
  out.reserve(links_.size());
  for (const auto& [key, link] : links_) out.push_back(key);
  return out;
}

// --- offers ------------------------------------------------------------------------------------

void Peer::wake_links() {
  for (const auto& [key, link] : links_) link->wake.cancel();
}

/// Offers until there is a tunnel, and again when it is lost.
asio::awaitable<void> Peer::offer_loop(std::shared_ptr<Link> link) {
  Backoff backoff(options_.offer_retry, random_.below(1ULL << 62U));
  while (!link->removed) {
    const bool can = signal_ && signal_->connected() && !relay_.instance_url().empty();
    if (link->tunnel) {
      backoff.reset();
      link->wake.expires_at(asio::steady_timer::time_point::max());
    } else {
      if (can) co_await tell(link->peer, SignalKind::kOffer);
      if (relay_.refusals() >= kRefusalsMax) management_->end_sync();
      link->wake.expires_after(backoff.next());
    }
    if (link->removed) co_return;
    co_await link->wake.async_wait(kAwait);
  }
}

asio::awaitable<void> Peer::tell(std::string peer, SignalKind kind) {
  SignalMessage message;
  message.peer = std::move(peer);
  message.kind = kind;
  message.payload = kRelayOnly;
  message.relay_address = relay_.instance_url();
  message.relay_ip = ip_bytes(relay_.instance_ip());
  const auto sent = co_await signal_->send(std::move(message));
  if (!sent) log_.limited().debug("signal send", {log::f(log::kError, sent.error().text)});
}

void Peer::take_message(const SignalMessage& message) {
  const auto found = links_.find(message.peer);
  if (found == links_.end()) return;  // not in our map: dropped (client-agent §1.6)
  const bool offer = message.kind == SignalKind::kOffer;
  if (!offer && message.kind != SignalKind::kAnswer) return;
  if (offer) tasks_.spawn(tell(message.peer, SignalKind::kAnswer));
  const auto link = found->second;
  link->relay_address = message.relay_address;
  link->relay_ip = message.relay_ip;
  // Both must meet: on the relay of the one who controls (client-agent §1.9 "Choice").
  const std::string own = relay_.instance_url();
  if (own.empty() || link->relay_address.empty()) return;
  const bool ours = controls(link->peer);
  const std::string url = ours ? own : link->relay_address;
  if (link->tunnel && link->tunnel_url == url) return;
  if (link->opening_url == url) return;
  tasks_.spawn(open(link, url, ours ? std::string() : ip_text(link->relay_ip)));
}

asio::awaitable<void> Peer::open(std::shared_ptr<Link> link, std::string url, std::string ip) {
  const std::uint64_t attempt = ++link->attempt;
  link->opening_url = url;
  const PeerId id = crypto::relay_peer_id(link->peer);
  const auto opened = co_await relay_.open(id, url, std::move(ip));
  const bool newest = attempt == link->attempt && !link->removed;
  if (newest) link->opening_url.clear();
  if (!opened) {
    log_.limited().debug(
        "tunnel", {log::f(log::kPeer, link->peer), log::f(log::kError, opened.error().text)});
    co_return;
  }
  const auto& tunnel = *opened;
  if (!newest) {
    tunnel->close();
    co_return;
  }
  if (link->tunnel) link->tunnel->close();
  link->tunnel = tunnel;
  link->tunnel_url = std::move(url);
  tunnel->on_closed([link] {
    link->tunnel.reset();
    link->tunnel_url.clear();
    link->wake.cancel();
  });
  tunnel->on_packet([this, peer = link->peer](std::string_view packet) {
    if (receiver_) receiver_(peer, packet);
  });
  link->wake.cancel();
}

// --- packets -----------------------------------------------------------------------------------

bool Peer::send(const std::string& peer, std::string_view packet) {
  const auto found = links_.find(peer);
  return found != links_.end() && found->second->tunnel && found->second->tunnel->send(packet);
}

bool Peer::connected(const std::string& peer) const {
  return !relay_of(peer).empty();
}

std::string Peer::relay_of(const std::string& peer) const {
  const auto found = links_.find(peer);
  return found != links_.end() && found->second->tunnel ? found->second->tunnel_url : std::string();
}

}  // namespace nb::client
