#include "management/grpc/unary_calls.h"

#include "management/domain/login_rules.h"
#include "management/grpc/expose.h"
#include "management/grpc/flows.h"
#include "management/grpc/meta.h"
#include "management/grpc/text.h"
#include "proto/management.pb.h"

#include <string_view>
#include <utility>

namespace nb::management::grpc {
namespace {

namespace asio = boost::asio;
namespace pb = ::management;
using namespace std::chrono_literals;
using Answer = Result<std::string>;
using State = std::shared_ptr<ServiceState>;
using Call = asio::awaitable<Answer> (*)(State, net::GrpcRequest);

constexpr auto kKeyLifetime = 24h;  // told, not meant: agents fetch the key before every call
constexpr auto kSlowLogin = 7s;
constexpr std::size_t kLabelsMax = 64;  // the store's rule is stricter and says which label
constexpr std::size_t kSecretBytesMax = 256;
constexpr std::size_t kTokenBytesMax = 16'384;

Error not_a_message() {
  return fail(Code::kInvalidArgument, "invalid request message");
}

/// Requests without fields are messages all the same.
Result<> check_empty(const Opened& opened) {
  if (pb::Empty{}.ParseFromString(opened.plain)) return {};
  return not_a_message();
}

Result<> check_flow(const Opened& opened) {
  if (pb::Empty{}.ParseFromString(opened.plain)) return {};
  return fail(Code::kInvalidArgument,
              "error while decrypting peer's message with Wireguard public key {}.",
              opened.channel.peer.value());
}

Result<> check_token(const std::string& token) {
  if (token.size() <= kTokenBytesMax) return {};
  return fail(Code::kInvalidArgument, "invalid jwt token, err: longer than {} bytes",
              kTokenBytesMax);
}

void get_server_key(ServiceState& service, net::GrpcCall& call) {
  service.ports.metrics.key_requests.add();
  if (const auto allowed = service.allow(call.client().ip, AddressLimiter::kKey); !allowed)
    return call.finish(net::GrpcStatus::from(allowed.error()));
  const auto keys = service.ports.keys.keys();
  pb::ServerKeyResponse response;
  response.set_key(keys->front().public_text);
  const auto expires =
      std::chrono::floor<std::chrono::seconds>(service.ports.clock.wall()) + kKeyLifetime;
  response.mutable_expiresat()->set_seconds(expires.time_since_epoch().count());
  call.write(response.SerializeAsString());
  call.finish({});
}

void is_healthy(ServiceState& service, net::GrpcCall& call) {
  if (service.draining.load(std::memory_order_relaxed) ||
      (service.ports.healthy && !service.ports.healthy()))
    return call.finish({Code::kUnavailable, "server is not ready"});
  call.write({});
  call.finish({});
}

Result<app::LoginCommand> login_command(const pb::LoginRequest& request, const PeerKey& key,
                                        const std::string& ip) {
  app::LoginCommand command;
  command.key = key;
  command.location = location_of(ip);
  if (request.has_meta()) {
    NB_LET(command.meta, meta_from(request.meta()));
  }
  if (request.setupkey().size() > kSecretBytesMax)
    return fail(Code::kNotFound, "couldn't add peer: setup key is invalid");
  command.setup_key = request.setupkey();
  NB_TRY(check_token(request.jwttoken()));
  command.jwt = request.jwttoken();
  if (request.peerkeys().sshpubkey().size() > static_cast<std::size_t>(kMetaTextBytesMax))
    return fail(Code::kInvalidArgument, "SSH public key longer than {} bytes", kMetaTextBytesMax);
  if (!is_storable(request.peerkeys().sshpubkey()))
    return fail(Code::kInvalidArgument, "SSH public key is no text");
  command.ssh_key = request.peerkeys().sshpubkey();
  if (static_cast<std::size_t>(request.dnslabels_size()) > kLabelsMax)
    return fail(Code::kInvalidArgument, "more than {} DNS labels", kLabelsMax);
  command.extra_dns_labels.assign(request.dnslabels().begin(), request.dnslabels().end());
  return command;
}

/// Which files the agent has to look for.
void add_checks(pb::LoginResponse& response, const ServiceState& service,
                const AccountSnapshotPtr& posture, const PeerId& peer) {
  const std::shared_ptr<const LoginSettings> login = service.login();
  const netmap::MapViewPtr view =
      netmap::MapView::update(nullptr, posture, view_options(login->encoder)).view;
  const netmap::PeerIndex slot = view->find(peer);
  if (slot == netmap::kNoPeer) return;
  const MadeMap made = make_map(*view, slot, service.ports.clock.wall(), login->encoder);
  pb::SyncResponse map;
  if (map.ParseFromString(made.map.checks())) *response.mutable_checks() = map.checks();
}

std::string login_response(const ServiceState& service, const app::LoggedIn& done) {
  const std::shared_ptr<const LoginSettings> login = service.login();
  pb::LoginResponse response;
  if (done.posture) add_checks(response, service, done.posture, done.peer.id);
  const std::string config =
      service.ports.configs.login(service.ports.clock.wall(), done.settings.metrics_push_enabled);
  response.mutable_netbirdconfig()->ParseFromString(config);
  const std::string& domain =
      done.settings.dns_domain.empty() ? login->encoder.dns_domain : done.settings.dns_domain;
  fill_peer_config(*response.mutable_peerconfig(),
                   {.peer = done.peer,
                    .network = done.network,
                    .settings = done.settings,
                    .dns_domain = domain,
                    .ssh_enabled = done.peer.ssh_enabled},
                   login->encoder);
  fill_session_deadline(*response.mutable_sessionexpiresat(), done.peer, done.settings);
  return response.SerializeAsString();
}

asio::awaitable<Answer> login(State service, net::GrpcRequest request) {
  auto& ports = service->ports;
  const Instant began = ports.clock.now();
  NB_CO_LET(const Opened opened, open_envelope(request.message, ports.keys));
  pb::LoginRequest message;
  if (!message.ParseFromString(opened.plain)) co_return not_a_message();
  NB_CO_LET(app::LoginCommand command,
            login_command(message, opened.channel.peer, request.client.ip));
  command.deadline = service->deadline(request.deadline);
  ports.metrics.login_requests.add();
  auto done = co_await ports.sessions.login(std::move(command));
  if (!done) co_return std::move(done).error();
  const auto took = ports.clock.now() - began;
  ports.metrics.login_duration_ms.observe(std::chrono::duration<double, std::milli>(took).count());
  ports.metrics.login_p95.observe(done->peer.account_id.value(),
                                  std::chrono::duration<double, std::milli>(took).count(),
                                  ports.clock.now());
  if (took > kSlowLogin) ports.metrics.login_slow.add();
  co_return opened.channel.seal(login_response(*service, *done), ports.random);
}

asio::awaitable<Answer> sync_meta(State service, net::GrpcRequest request) {
  NB_CO_LET(const Opened opened, open_envelope(request.message, service->ports.keys));
  pb::SyncMetaRequest message;
  if (!message.ParseFromString(opened.plain)) co_return not_a_message();
  app::SyncCommand command;
  command.key = opened.channel.peer;
  command.location = location_of(request.client.ip);
  command.deadline = service->deadline(request.deadline);
  if (message.has_meta()) {
    NB_CO_LET(command.meta, meta_from(message.meta()));
  }
  auto done = co_await service->ports.sessions.update_meta(std::move(command));
  if (!done) co_return std::move(done).error();
  co_return std::string{};  // Empty
}

asio::awaitable<Answer> logout(State service, net::GrpcRequest request) {
  NB_CO_LET(Opened opened, open_envelope(request.message, service->ports.keys));
  NB_CO_TRY(check_empty(opened));
  auto done = co_await service->ports.sessions.logout(opened.channel.peer, std::move(opened.nonce),
                                                      service->deadline(request.deadline));
  if (!done) co_return std::move(done).error();
  co_return std::string{};  // Empty
}

/// Agents take NOT_FOUND for good; UNAVAILABLE they try again.
Result<> reached(const LoginSettings& login) {
  if (!login.awaited) return {};
  return fail(Code::kUnavailable, "the identity provider has not been reached yet");
}

asio::awaitable<Answer> device_flow(State service, net::GrpcRequest request) {
  NB_CO_LET(const Opened opened, open_envelope(request.message, service->ports.keys,
                                               EnvelopeTexts::kFlow, "GetDeviceAuthorizationFlow"));
  NB_CO_TRY(check_flow(opened));
  const std::shared_ptr<const LoginSettings> login = service->login();
  NB_CO_TRY(reached(*login));
  NB_CO_LET(const std::string flow, encode_device_flow(login->device_flow));
  co_return opened.channel.seal(flow, service->ports.random);
}

asio::awaitable<Answer> pkce_flow(State service, net::GrpcRequest request) {
  NB_CO_LET(const Opened opened, open_envelope(request.message, service->ports.keys,
                                               EnvelopeTexts::kFlow, "GetPKCEAuthorizationFlow"));
  NB_CO_TRY(check_flow(opened));
  const std::shared_ptr<const LoginSettings> login = service->login();
  NB_CO_TRY(reached(*login));
  NB_CO_LET(const std::string flow, encode_pkce_flow(login->pkce_flow));
  co_return opened.channel.seal(flow, service->ports.random);
}

asio::awaitable<Answer> extend_session(State service, net::GrpcRequest request) {
  NB_CO_LET(const Opened opened, open_envelope(request.message, service->ports.keys));
  pb::ExtendAuthSessionRequest message;
  if (!message.ParseFromString(opened.plain)) co_return not_a_message();
  NB_CO_TRY(check_token(message.jwttoken()));
  app::ExtendCommand command{opened.channel.peer, message.jwttoken(),
                             service->deadline(request.deadline)};
  auto done = co_await service->ports.sessions.extend(std::move(command));
  if (!done) co_return std::move(done).error();
  pb::ExtendAuthSessionResponse response;
  fill_session_deadline(*response.mutable_sessionexpiresat(), done->peer, done->settings);
  co_return opened.channel.seal(response.SerializeAsString(), service->ports.random);
}

/// Who asks, and what for: who asks decides first.
template <class Message>
struct Exposing {
  Channel channel;
  Peer peer;
  Message message;
  std::string nonce;
  Instant deadline{};
};

template <class Message>
asio::awaitable<Result<Exposing<Message>>> exposing(State service, net::GrpcRequest request) {
  NB_CO_LET(Opened opened, open_envelope(request.message, service->ports.keys));
  Message message;
  if (!message.ParseFromString(opened.plain)) co_return not_a_message();
  const Instant deadline = service->deadline(request.deadline);
  auto view = co_await service->ports.sessions.registered(opened.channel.peer, deadline);
  if (!view) co_return std::move(view).error();
  co_return Exposing<Message>{std::move(opened.channel), std::move(view->peer), std::move(message),
                              std::move(opened.nonce), deadline};
}

asio::awaitable<Answer> create_expose(State service, net::GrpcRequest request) {
  auto asked = co_await exposing<pb::ExposeServiceRequest>(service, std::move(request));
  if (!asked) co_return std::move(asked).error();
  NB_CO_LET(ExposeService command, expose_command(asked->message));
  auto made = co_await service->ports.exposures.create(asked->deadline, asked->peer, asked->nonce,
                                                       std::move(command));
  if (!made) co_return expose_error(std::move(made).error());
  co_return asked->channel.seal(expose_answer(*made).SerializeAsString(), service->ports.random);
}

asio::awaitable<Answer> renew_expose(State service, net::GrpcRequest request) {
  auto asked = co_await exposing<pb::RenewExposeRequest>(service, std::move(request));
  if (!asked) co_return std::move(asked).error();
  NB_CO_TRY(check_expose_domain(asked->message.domain()));
  const auto done = co_await service->ports.exposures.renew(asked->deadline, asked->peer,
                                                            asked->message.domain());
  if (!done) co_return expose_error(done.error());
  co_return asked->channel.seal(pb::RenewExposeResponse{}.SerializeAsString(),
                                service->ports.random);
}

asio::awaitable<Answer> stop_expose(State service, net::GrpcRequest request) {
  auto asked = co_await exposing<pb::StopExposeRequest>(service, std::move(request));
  if (!asked) co_return std::move(asked).error();
  NB_CO_TRY(check_expose_domain(asked->message.domain()));
  const auto done = co_await service->ports.exposures.stop(
      asked->deadline, asked->peer, std::move(asked->nonce), asked->message.domain());
  if (!done) co_return expose_error(done.error());
  co_return asked->channel.seal(pb::StopExposeResponse{}.SerializeAsString(),
                                service->ports.random);
}

asio::awaitable<Answer> refused(Error error) {
  co_return error;
}

}  // namespace

void add_unary_calls(net::GrpcRouter& router, State service) {
  const auto path = [](std::string_view method) {
    return "/management.ManagementService/" + std::string(method);
  };
  router.unary(path("GetServerKey"), [service](net::GrpcCall& call, std::string_view /*request*/) {
    get_server_key(*service, call);
  });
  router.unary(path("isHealthy"), [service](net::GrpcCall& call, std::string_view /*request*/) {
    is_healthy(*service, call);
  });
  const auto add = [&](std::string_view method, CallPrice price, Call call) {
    router.async_unary(path(method), [service, price, call](net::GrpcRequest request) {
      const Result<> allowed = service->allow(request.client.ip, price);
      if (!allowed) return refused(allowed.error());
      return call(service, std::move(request));
    });
  };
  constexpr CallPrice kCall = AddressLimiter::kCall;
  constexpr CallPrice kUnrepeated = AddressLimiter::kUnrepeated;
  add("Login", kCall, login);
  add("SyncMeta", kUnrepeated, sync_meta);
  add("Logout", kUnrepeated, logout);
  add("GetDeviceAuthorizationFlow", kCall, device_flow);
  add("GetPKCEAuthorizationFlow", kCall, pkce_flow);
  add("ExtendAuthSession", kCall, extend_session);
  add("CreateExpose", kCall, create_expose);
  add("RenewExpose", kUnrepeated, renew_expose);
  add("StopExpose", kUnrepeated, stop_expose);
}

}  // namespace nb::management::grpc
