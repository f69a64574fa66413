#include "management/grpc/job_session.h"

#include "management/grpc/envelope.h"
#include "proto/management.pb.h"

#include <utility>

namespace nb::management::grpc {
namespace asio = boost::asio;

JobSession::JobSession(std::shared_ptr<ServiceState> service, LoopState& loop,
                       net::GrpcCallHandle call)
    : service_(std::move(service)), loop_(loop), call_(std::move(call)) {}

void JobSession::on_message(std::string_view message) {
  // Answers to jobs nobody sent.
  if (std::exchange(greeted_, true)) return;
  if (service_->draining.load(std::memory_order_relaxed))
    return finish({Code::kUnavailable, "server is shutting down"});
  loop_.jobs.insert(this);
  loop_.tasks.spawn(
      [](std::shared_ptr<JobSession> self, std::string hello) -> asio::awaitable<void> {
        co_await self->check(std::move(hello));
      }(shared_from_this(), std::string(message)));
}

asio::awaitable<void> JobSession::check(std::string hello) {
  auto opened = open_envelope(hello, service_->ports.keys);
  if (!opened) co_return finish(net::GrpcStatus::from(opened.error()));
  ::management::JobRequest request;
  if (!request.ParseFromString(opened->plain))
    co_return finish({Code::kInvalidArgument, "missing hello: not a job request"});
  const auto view = co_await service_->ports.sessions.registered(std::move(opened->channel.peer),
                                                                 service_->deadline(std::nullopt));
  if (!view) co_return finish(net::GrpcStatus::from(view.error()));
  if (net::GrpcCall* const call = call_.get()) call->send_headers();
}

void JobSession::on_half_close() {
  if (!greeted_) finish({Code::kInvalidArgument, "missing hello: stream closed by client"});
}

void JobSession::on_end() {
  loop_.jobs.erase(this);
}

void JobSession::finish(net::GrpcStatus status) {
  if (std::exchange(finishing_, true)) return;
  if (net::GrpcCall* const call = call_.get()) call->finish(std::move(status));
}

namespace {

class JobHandler final : public net::GrpcStreamHandler {
 public:
  explicit JobHandler(std::shared_ptr<JobSession> session) : session_(std::move(session)) {}
  void on_start(net::GrpcCall& /*call*/) override {}
  void on_message(net::GrpcCall& /*call*/, std::string_view message) override {
    session_->on_message(message);
  }
  void on_half_close(net::GrpcCall& /*call*/) override { session_->on_half_close(); }
  void on_end(net::GrpcCall& /*call*/) override { session_->on_end(); }

 private:
  const std::shared_ptr<JobSession> session_;
};

}  // namespace

std::unique_ptr<net::GrpcStreamHandler> make_job_handler(std::shared_ptr<ServiceState> service,
                                                         net::GrpcCall& call) {
  LoopState& loop = service->at(call.loop());
  return std::make_unique<JobHandler>(
      std::make_shared<JobSession>(std::move(service), loop, call.handle()));
}

}  // namespace nb::management::grpc
