#include "client/management_client.h"

#include "base/log_keys.h"
#include "crypto/encoding.h"
#include "proto/management.pb.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace nb::client {
namespace asio = boost::asio;
namespace pb = ::management;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
const std::string kService = "/management.ManagementService/";

pb::PeerSystemMeta meta_of(const Host& host) {
  pb::PeerSystemMeta meta;
  meta.set_hostname(host.name);
  meta.set_goos("linux");
  meta.set_kernel("Linux");
  meta.set_platform("x86_64");
  meta.set_os("Linux");
  meta.set_netbirdversion(host.version);
  return meta;
}

GrpcTarget target_of(const pb::HostConfig& host) {
  GrpcTarget target;
  target.address = host.uri();
  target.tls = host.protocol() == pb::HostConfig::HTTPS;
  return target;
}

/// Empty urls when the token cannot be used, since every relay would refuse it.
RelayServers relays_of(const pb::RelayConfig& config) {
  RelayServers relays;
  const auto signature = crypto::from_base64(config.tokensignature());
  if (!signature || signature->size() != relays.token.signature.size()) return relays;
  std::copy(signature->begin(), signature->end(), relays.token.signature.begin());
  relays.token.payload = config.tokenpayload();
  relays.urls.assign(config.urls().begin(), config.urls().end());
  return relays;
}

ServerConfig servers_of(const pb::NetbirdConfig& config) {
  ServerConfig out;
  out.signal = target_of(config.signal());
  if (config.has_relay()) out.relay = relays_of(config.relay());
  for (const auto& stun : config.stuns()) out.stuns.push_back({.uri = stun.uri()});
  for (const auto& turn : config.turns())
    out.turns.push_back(
        {.uri = turn.hostconfig().uri(), .user = turn.user(), .password = turn.password()});
  return out;
}

NetworkUpdate update_of(const pb::SyncResponse& message) {
  NetworkUpdate out;
  if (message.has_netbirdconfig()) out.servers = servers_of(message.netbirdconfig());
  if (!message.has_networkmap()) return out;
  const pb::NetworkMap& map = message.networkmap();
  out.has_map = true;
  out.serial = map.serial();
  out.address = map.peerconfig().address();
  for (const auto& peer : map.remotepeers()) out.peers.push_back(peer.wgpubkey());
  return out;
}

std::string sealed(const crypto::BoxSession& box, crypto::RandomSource& random,
                   const Identity& identity, const google::protobuf::Message& message) {
  pb::EncryptedMessage out;
  out.set_wgpubkey(identity.key);
  out.set_body(box.seal(message.SerializeAsString(), random));
  return out.SerializeAsString();
}

Result<> open(const crypto::BoxSession& box, std::string_view bytes,
              google::protobuf::Message& out) {
  pb::EncryptedMessage envelope;
  if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Code::kDataLoss, "management: not a message");
  const auto plain = box.open(envelope.body());
  if (!plain || !out.ParseFromString(*plain))
    return fail(Code::kDataLoss, "management: a message that is not for us");
  return {};
}
}  // namespace

ManagementClient::ManagementClient(const asio::any_io_executor& home,
                                   std::shared_ptr<GrpcChannel> channel, const Identity& identity,
                                   Host host, Logger log)
    : home_(home),
      channel_(std::move(channel)),
      identity_(identity),
      host_(std::move(host)),
      log_(std::move(log)) {}

ManagementClient::~ManagementClient() = default;

asio::awaitable<Result<crypto::BoxSession>> ManagementClient::server_box() {
  std::string method = kService + "GetServerKey";
  std::string nothing;
  const auto answer = co_await channel_->call(std::move(method), std::move(nothing), kCallTime);
  if (!answer) co_return answer.error();
  pb::ServerKeyResponse response;
  if (!response.ParseFromString(*answer))
    co_return fail(Code::kDataLoss, "management: not a server key");
  const auto key = crypto::PublicKey::parse(response.key());
  if (!key) co_return key.error();
  co_return crypto::BoxSession::create(identity_.private_key, *key);
}

asio::awaitable<Result<NetworkUpdate>> ManagementClient::login(std::string setup_key) {
  const auto box = co_await server_box();
  if (!box) co_return box.error();
  pb::LoginRequest request;
  *request.mutable_meta() = meta_of(host_);
  request.set_setupkey(setup_key);
  std::string method = kService + "Login";
  std::string bytes = sealed(*box, random_, identity_, request);
  const auto answer = co_await channel_->call(std::move(method), std::move(bytes), kCallTime);
  if (!answer) co_return answer.error();
  pb::LoginResponse response;
  const auto opened = open(*box, *answer, response);
  if (!opened) co_return opened.error();
  NetworkUpdate out;
  if (response.has_netbirdconfig()) out.servers = servers_of(response.netbirdconfig());
  out.address = response.peerconfig().address();
  co_return out;
}

asio::awaitable<Error> ManagementClient::sync(std::function<void(const NetworkUpdate&)> on_update) {
  const auto box = co_await server_box();
  if (!box) co_return box.error();
  pb::SyncRequest request;
  *request.mutable_meta() = meta_of(host_);
  const std::string bytes = sealed(*box, random_, identity_, request);
  // Shared with the callbacks, which may outlive a cancelled caller.
  struct State {
    explicit State(const asio::any_io_executor& home)
        : changed(home, asio::steady_timer::time_point::max()) {}
    asio::steady_timer changed;
    std::optional<Error> end;
    std::uint64_t serial = 0;
  };
  const auto state = std::make_shared<State>(home_);
  GrpcStreamEvents events;
  events.on_message = [state, box = *box, on_update, log = log_](std::string_view message) {
    pb::SyncResponse response;
    const auto opened = open(box, message, response);
    if (!opened)
      return log.limited().warn("sync message", {log::f(log::kError, opened.error().text)});
    NetworkUpdate update = update_of(response);
    // contract/client-agent.md §1.5: a map with a lower serial than the last is old.
    if (update.has_map && update.serial < state->serial) update.has_map = false;
    if (update.has_map) state->serial = update.serial;
    on_update(update);
  };
  events.on_end = [state](const Error& why) {
    state->end = why;
    state->changed.cancel();
  };
  std::string method = kService + "Sync";
  stream_ = channel_->open(std::move(method), {}, &bytes, std::move(events));
  struct Guard {
    ~Guard() { stream->cancel(); }
    const std::shared_ptr<GrpcStream> stream;
  } const guard{stream_};
  for (;;) {
    if (const auto end = state->end) co_return *end;
    co_await state->changed.async_wait(kAwait);
  }
}

void ManagementClient::end_sync() {
  if (stream_) stream_->cancel();
}

}  // namespace nb::client
