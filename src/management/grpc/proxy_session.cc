#include "management/grpc/proxy_session.h"

#include "base/log_keys.h"
#include "crypto/random.h"
#include "management/grpc/proxy_requests.h"
#include "proto/proxy_service.pb.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace nb::management::grpc {
namespace {

namespace asio = boost::asio;
namespace pb = ::management;
using namespace std::chrono_literals;

constexpr auto kGreetingWait = 10s;

template <class Hello, class Has, class Get>
std::optional<bool> ability(const Hello& hello, Has has, Get get) {
  if (!hello.has_capabilities() || !(hello.capabilities().*has)()) return std::nullopt;
  return (hello.capabilities().*get)();
}

Error token_ended() {
  return fail(Code::kUnauthenticated, "token expired or revoked");
}

}  // namespace

ProxySession::ProxySession(ProxyStatePtr service, ProxyLoop& loop, net::GrpcCallHandle call,
                           MappingRpc rpc)
    : service_(std::move(service)),
      loop_(loop),
      call_(std::move(call)),
      rpc_(rpc),
      timer_(loop.loop.executor()) {}

void ProxySession::on_start(std::string authorization, std::string ip) {
  if (service_->draining.load(std::memory_order_relaxed))
    return finish({Code::kUnavailable, "server is shutting down"});
  if (service_->streams.fetch_add(1) >= service_->options.streams_max) {
    service_->streams.fetch_sub(1);
    return finish({Code::kResourceExhausted, "too many proxies"});
  }
  loop_.sessions.insert(this);
  loop_.tasks.spawn([](std::shared_ptr<ProxySession> self, std::string token,
                       std::string from) -> asio::awaitable<void> {
    co_await self->run(std::move(token), std::move(from));
  }(shared_from_this(), std::move(authorization), std::move(ip)));
}

void ProxySession::on_message(std::string_view message) {
  if (!std::exchange(greeted_, true)) {
    first_.emplace(message);
    return wake();
  }
  pb::SyncMappingsRequest request;
  if (rpc_ != MappingRpc::kSyncMappings ||
      !request.ParseFromArray(message.data(), static_cast<int>(message.size())) ||
      !request.has_ack())
    return finish({Code::kInvalidArgument, "expected ack"});
  unanswered_ = false;
  wake();
}

void ProxySession::on_half_close() {
  // The one request of GetMappingUpdate is the end of what that proxy has to say.
  if (rpc_ == MappingRpc::kSyncMappings || !greeted_) finish({});
}

void ProxySession::on_end() {
  if (std::exchange(ended_, true)) return;
  if (loop_.sessions.erase(this) > 0) service_->streams.fetch_sub(1);
  wake();
}

void ProxySession::news() {
  news_ = true;
  wake();
}

void ProxySession::finish(net::GrpcStatus status) {
  if (std::exchange(finishing_, true)) return;
  if (net::GrpcCall* const call = call_.get()) call->finish(std::move(status));
  wake();
}

void ProxySession::wake() {
  timer_.cancel();
}

asio::awaitable<void> ProxySession::wait_until(Instant at) {
  timer_.expires_at(at);
  const auto token = asio::as_tuple(asio::use_awaitable);
  co_await timer_.async_wait(token);  // woken or in time: the caller looks
}

asio::awaitable<void> ProxySession::run(std::string authorization, std::string ip) {
  const auto self = shared_from_this();
  const auto served = co_await serve(std::move(authorization), std::move(ip));
  if (!served) finish(net::GrpcStatus::from(served.error()));
  if (!book_) co_return;
  service_->log.info("a proxy's stream ended",
                     {log::f("proxy", hello_.id), log::f("cluster", hello_.address)});
  const Instant by = service_->ports.clock.now() + service_->options.unary_deadline;
  const auto left = co_await service_->ports.store.disconnect(by, hello_.id, hello_.session);
  if (!left)
    service_->log.debug("a proxy stays listed until its time is up",
                        {log::f(log::kError, left.error().text)});
}

Task<> ProxySession::greeting() {
  const Instant until = service_->ports.clock.now() + kGreetingWait;
  while (!first_ && !ended_ && !finishing_ && service_->ports.clock.now() < until)
    co_await wait_until(until);
  if (!first_) co_return fail(Code::kInvalidArgument, "first message must be init");
  const std::string message = *std::exchange(first_, std::nullopt);
  co_return read_hello(message);
}

template <class Hello>
Result<> ProxySession::take_hello(const Hello& hello) {
  using Can = pb::ProxyCapabilities;
  NB_TRY(check_hello(hello.proxy_id(), hello.address()));
  hello_.id = hello.proxy_id();
  hello_.address = hello.address();
  hello_.session = crypto::make_uuid(service_->ports.random);
  hello_.account = grant_.account;
  hello_.supports_custom_ports =
      ability(hello, &Can::has_supports_custom_ports, &Can::supports_custom_ports);
  hello_.require_subdomain = ability(hello, &Can::has_require_subdomain, &Can::require_subdomain);
  hello_.supports_crowdsec = ability(hello, &Can::has_supports_crowdsec, &Can::supports_crowdsec);
  hello_.is_private = ability(hello, &Can::has_private_, &Can::private_);
  const auto serves_private =
      ability(hello, &Can::has_supports_private_service, &Can::supports_private_service);
  book_.emplace(ProxyAbilities{.custom_ports_known = hello_.supports_custom_ports.has_value(),
                               .private_services = serves_private.value_or(false)});
  return {};
}

Result<> ProxySession::read_hello(std::string_view message) {
  const auto size = static_cast<int>(message.size());
  if (rpc_ == MappingRpc::kGetMappingUpdate) {
    pb::GetMappingUpdateRequest request;
    if (!request.ParseFromArray(message.data(), size))
      return fail(Code::kInvalidArgument, "invalid request message");
    return take_hello(request);
  }
  pb::SyncMappingsRequest request;
  if (!request.ParseFromArray(message.data(), size) || !request.has_init())
    return fail(Code::kInvalidArgument, "first message must be init");
  return take_hello(request.init());
}

Task<> ProxySession::serve(std::string authorization, std::string ip) {
  const ProxyPorts& ports = service_->ports;
  const auto deadline = [&] { return ports.clock.now() + service_->options.unary_deadline; };
  hello_.ip = ip;
  const Instant known_by = deadline();
  NB_CO_LET(grant_, co_await proxy_caller(service_, &loop_, std::move(authorization), std::move(ip),
                                          known_by));
  NB_CO_TRY(co_await greeting());
  const Instant connected_by = deadline();
  const auto connected = co_await ports.store.connect(connected_by, hello_);
  if (!connected) {
    book_.reset();
    co_return connected.error();
  }
  service_->log.info("a proxy's stream opened",
                     {log::f("proxy", hello_.id), log::f("cluster", hello_.address)});
  if (net::GrpcCall* const call = call_.get()) call->send_headers();
  heartbeat_due_ = ports.clock.now() + service_->options.heartbeat;
  whole_due_ = ports.clock.now() + service_->options.whole;
  Instant look_due{};
  while (!ended_ && !finishing_) {
    const Instant now = ports.clock.now();
    if (std::exchange(news_, false) || now >= look_due) {
      look_due = now + service_->options.poll;
      NB_CO_TRY(co_await look());
      continue;
    }
    send_waiting();
    co_await wait_until(look_due);
  }
  co_return Result<>{};
}

Task<> ProxySession::look() {
  const ProxyPorts& ports = service_->ports;
  const Instant now = ports.clock.now();
  const Instant by = now + service_->options.unary_deadline;
  const bool heartbeat = now >= heartbeat_due_;
  if (now >= whole_due_) {
    book_->distrust();
    whole_due_ = now + service_->options.whole;
  }
  const auto pulse = co_await ports.store.pulse(by, hello_, grant_.token, heartbeat);
  if (!pulse) {
    // What the proxy has stays true for longer than a database is away.
    service_->log.debug("a proxy's stream could not be checked",
                        {log::f(log::kError, pulse.error().text)});
    co_return Result<>{};
  }
  if (heartbeat) heartbeat_due_ = now + service_->options.heartbeat;
  switch (pulse->state) {
    case ProxyPulse::State::kServing:
      break;
    case ProxyPulse::State::kTokenEnded:
      co_return token_ended();
    case ProxyPulse::State::kSuperseded:
      co_return fail(Code::kAborted, "the proxy has opened another stream");
    case ProxyPulse::State::kDisconnected:
      co_return fail(Code::kUnavailable, "the proxy was disconnected");
  }
  std::vector<AccountId> behind = book_->behind(pulse->marks);
  if (!behind.empty()) {
    const auto services = co_await ports.store.services(by, hello_.address, behind);
    if (!services) {
      service_->log.debug("mappings could not be read",
                          {log::f(log::kError, services.error().text)});
      co_return Result<>{};
    }
    book_->apply(behind, *services, pulse->marks);
  }
  looked_ = true;
  co_return Result<>{};
}

bool ProxySession::may_send() const {
  net::GrpcCall* const call = call_.get();
  return call != nullptr && !ended_ && !finishing_ && looked_ && !unanswered_ &&
         call->queued_bytes() == 0;
}

void ProxySession::send_waiting() {
  const auto stamp = [this](const std::string& account, const std::string& service) {
    return service_->ports.seals.token(account, service, service_->ports.clock.wall());
  };
  // The question after a message asks for on_writable(), when there is more.
  while ((!book_->empty() || first_round_) && may_send()) {
    // Equal fields under equal numbers: one message serves both calls.
    pb::GetMappingUpdateResponse response;
    for (pb::ProxyMapping& mapping : book_->take(stamp))
      *response.add_mapping() = std::move(mapping);
    if (first_round_) {
      response.set_initial_sync_complete(book_->empty());
      unanswered_ = rpc_ == MappingRpc::kSyncMappings;
      first_round_ = !book_->empty();
    }
    call_.get()->write(response.SerializeAsString());
  }
}

namespace {

class MappingHandler final : public net::GrpcStreamHandler {
 public:
  explicit MappingHandler(std::shared_ptr<ProxySession> session) : session_(std::move(session)) {}
  void on_start(net::GrpcCall& call) override {
    session_->on_start(std::string(call.metadata("authorization")), call.client().ip);
  }
  void on_message(net::GrpcCall& /*call*/, std::string_view message) override {
    session_->on_message(message);
  }
  void on_half_close(net::GrpcCall& /*call*/) override { session_->on_half_close(); }
  void on_writable(net::GrpcCall& /*call*/) override { session_->on_writable(); }
  void on_end(net::GrpcCall& /*call*/) override { session_->on_end(); }

 private:
  const std::shared_ptr<ProxySession> session_;
};

}  // namespace

std::unique_ptr<net::GrpcStreamHandler> make_mapping_handler(ProxyStatePtr service,
                                                             net::GrpcCall& call, MappingRpc rpc) {
  ProxyLoop& loop = service->at(call.loop());
  return std::make_unique<MappingHandler>(
      std::make_shared<ProxySession>(std::move(service), loop, call.handle(), rpc));
}

}  // namespace nb::management::grpc
