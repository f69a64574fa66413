#include "client/signal_client.h"

#include "base/log_keys.h"
#include "proto/signalexchange.pb.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace nb::client {
namespace asio = boost::asio;
namespace pb = ::signalexchange;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr auto kNever = asio::steady_timer::time_point::max();
const std::string kService = "/signalexchange.SignalExchange/";
constexpr auto kPeerHeader = "x-wiretrustee-peer-id";
constexpr auto kRegisteredHeader = "x-wiretrustee-peer-registered";

Result<crypto::BoxSession> box_with(const Identity& identity, const std::string& peer) {
  NB_LET(const auto key, crypto::PublicKey::parse(peer));
  return crypto::BoxSession::create(identity.private_key, key);
}
}  // namespace

SignalClient::SignalClient(const asio::any_io_executor& home, std::shared_ptr<GrpcChannel> channel,
                           const Identity& identity, SignalTimes times, Logger log)
    : channel_(std::move(channel)),
      identity_(identity),
      times_(times),
      log_(std::move(log)),
      tasks_(home),
      ended_(home, kNever) {
  tasks_.spawn(stay());
  tasks_.spawn(watch_silence());
}

SignalClient::~SignalClient() = default;

asio::awaitable<void> SignalClient::stop() {
  if (stream_) stream_->cancel();
  co_await tasks_.stop();
}

asio::awaitable<Result<>> SignalClient::send(SignalMessage message) {
  const auto box = box_with(identity_, message.peer);
  if (!box) co_return box.error();
  pb::Body body;
  body.set_type(static_cast<pb::Body::Type>(message.kind));
  body.set_payload(message.payload);
  body.set_netbirdversion("0.70.0");
  body.mutable_rosenpassconfig();  // always present, empty when off (client-agent §1.7)
  if (!message.relay_address.empty()) body.set_relayserveraddress(message.relay_address);
  if (!message.relay_ip.empty()) body.set_relayserverip(message.relay_ip);
  if (!message.session.empty()) body.set_sessionid(message.session);
  pb::EncryptedMessage envelope;
  envelope.set_key(identity_.key);
  envelope.set_remotekey(message.peer);
  envelope.set_body(box->seal(body.SerializeAsString(), random_));
  std::string method = kService + "Send";
  std::string bytes = envelope.SerializeAsString();
  const auto answer = co_await channel_->call(std::move(method), std::move(bytes), times_.call);
  if (!answer) co_return answer.error();
  co_return Result<>();
}

void SignalClient::take(std::string_view bytes) {
  heard_ = std::chrono::steady_clock::now();
  pb::EncryptedMessage envelope;
  if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto box = box_with(identity_, envelope.key());
  const auto plain = box ? box->open(envelope.body()) : Result<std::string>(box.error());
  pb::Body body;
  if (!plain || !body.ParseFromString(*plain))  // malformed: dropped (contract §1.6)
    return log_.limited().debug("signal message that is not for us",
                                {log::f(log::kPeer, envelope.key())});
  if (body.type() == pb::Body::HEARTBEAT) return;
  SignalMessage message;
  message.peer = envelope.key();
  message.kind = static_cast<SignalKind>(body.type());
  message.payload = body.payload();
  message.relay_address = body.relayserveraddress();
  message.relay_ip = body.relayserverip();
  message.session = body.sessionid();
  if (on_message_) on_message_(message);
}

void SignalClient::set_connected(bool connected) {
  if (std::exchange(connected_, connected) == connected) return;
  if (on_state_) on_state_();
}

asio::awaitable<void> SignalClient::stay() {
  Backoff backoff(times_.retry, random_.below(1ULL << 62U));
  for (;;) {
    over_ = false;
    heard_ = std::chrono::steady_clock::now();
    GrpcStreamEvents events;
    events.on_headers = [this](const auto& headers) {
      // Not registered before this header (contract/client-agent.md §1.6).
      if (headers.contains(kRegisteredHeader)) set_connected(true);
    };
    events.on_message = [this](std::string_view bytes) { take(bytes); };
    events.on_end = [this](const Error& why) {
      log_.limited().info("signal stream ended", {log::f(log::kError, why.text)});
      over_ = true;
      ended_.cancel();
    };
    std::string method = kService + "ConnectStream";
    std::multimap<std::string, std::string> metadata;
    metadata.emplace(kPeerHeader, identity_.key);
    stream_ = channel_->open(std::move(method), std::move(metadata), nullptr, std::move(events));
    while (!over_) co_await ended_.async_wait(kAwait);
    if (connected_) backoff.reset();
    set_connected(false);
    asio::steady_timer pause(tasks_.executor(), backoff.next());
    co_await pause.async_wait(kAwait);
  }
}

/// A stream may be dead without anybody noticing: what we send to ourselves must come back.
asio::awaitable<void> SignalClient::watch_silence() {
  asio::steady_timer pause(tasks_.executor());
  for (;;) {
    pause.expires_after(times_.look);
    co_await pause.async_wait(kAwait);
    const auto asked = std::chrono::steady_clock::now();
    if (!connected_ || asked - heard_ < times_.silence) continue;
    SignalMessage heartbeat;
    heartbeat.peer = identity_.key;
    heartbeat.kind = SignalKind::kHeartbeat;
    ignore(co_await send(std::move(heartbeat)), "what counts is whether it comes back");
    pause.expires_at(asked + times_.answer);
    co_await pause.async_wait(kAwait);
    if (heard_ < asked && stream_) stream_->cancel();
  }
}

}  // namespace nb::client
