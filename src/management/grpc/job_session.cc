#include "management/grpc/job_session.h"

#include "management/grpc/envelope.h"
#include "management/grpc/text.h"
#include "proto/management.pb.h"

#include <utility>

namespace nb::management::grpc {
namespace {

namespace asio = boost::asio;
namespace pb = ::management;

}  // namespace

JobSession::JobSession(std::shared_ptr<ServiceState> service, LoopState& loop,
                       net::GrpcCallHandle call)
    : service_(std::move(service)),
      loop_(loop),
      call_(std::move(call)),
      place_(service_->job_openings) {}

void JobSession::on_message(net::GrpcCall& call, std::string_view message) {
  if (std::exchange(greeted_, true)) return on_result(message);
  if (service_->draining.load(std::memory_order_relaxed))
    return finish({Code::kUnavailable, "server is shutting down"});
  const std::string ip = call.client().ip;
  if (const auto allowed = service_->allow(ip, AddressLimiter::kCall); !allowed)
    return finish(net::GrpcStatus::from(allowed.error()));
  loop_.jobs.insert(this);
  hello_ = message;
  const app::AdmissionPlace::Asking asking{ip, hello_.size(), service_->ports.clock.now()};
  const bool waits =
      place_.enter(asking, loop_.poster(), [weak = weak_from_this()](Outcome outcome) {
        if (const auto self = weak.lock()) self->on_admission(outcome);
      });
  if (waits) service_->ports.metrics.jobs_queued.add();
}

void JobSession::on_admission(Outcome outcome) {
  if (finishing_ || ended_) return;  // it has left, or leaves, its place itself
  if (outcome != Outcome::kRefused)  // after what is answered at once
    return loop_.loop.post([self = shared_from_this()] { self->begin(); });
  service_->ports.metrics.jobs_refused.add();
  finish({Code::kResourceExhausted, "too many concurrent job streams, please try again later"});
}

void JobSession::begin() {
  if (finishing_ || ended_) return;  // its place is given back
  loop_.tasks.spawn(
      [](std::shared_ptr<JobSession> self, std::string hello) -> asio::awaitable<void> {
        co_await self->open(std::move(hello));
        self->place_.leave();
      }(shared_from_this(), std::exchange(hello_, {})));
}

asio::awaitable<void> JobSession::open(std::string hello) {
  auto opened = open_envelope(hello, service_->ports.keys);
  if (!opened) co_return finish(net::GrpcStatus::from(opened.error()));
  pb::JobRequest request;
  if (!request.ParseFromString(opened->plain))
    co_return finish({Code::kInvalidArgument, "missing hello: not a job request"});
  channel_ = std::move(opened->channel);
  const auto self = shared_from_this();
  const auto stream =
      co_await service_->ports.jobs.open(service_->deadline(std::nullopt), channel_->peer, self);
  if (!stream) co_return finish(net::GrpcStatus::from(stream.error()));
  peer_ = stream->peer;
  epoch_ = stream->epoch;
  if (ended_) {  // the agent left meanwhile
    co_await service_->ports.jobs.closed(peer_, epoch_, true);
    co_return;
  }
  if (net::GrpcCall* const call = call_.get()) call->send_headers();
}

void JobSession::send(const Job& job) {
  loop_.loop.post([self = shared_from_this(), job] { self->deliver(job); });
}

void JobSession::deliver(const Job& job) {
  net::GrpcCall* const call = call_.get();
  if (call == nullptr || finishing_ || ended_) {  // too late: on_end() knows of no job
    loop_.tasks.spawn(service_->ports.jobs.undelivered(peer_, epoch_));
    return;
  }
  in_flight_ = job.id;
  pb::JobRequest request;
  request.set_id(job.id);
  auto& bundle = *request.mutable_bundle();
  bundle.set_bundle_for(job.bundle.bundle_for);
  bundle.set_bundle_for_time(job.bundle.bundle_for_time);
  bundle.set_log_file_count(job.bundle.log_file_count);
  bundle.set_anonymize(job.bundle.anonymize);
  call->write(channel_->seal(request.SerializeAsString(), service_->ports.random));
}

void JobSession::on_result(std::string_view message) {
  // Only the job of this stream: whatever else an agent claims to have done is nobody's.
  if (!channel_ || in_flight_.empty()) return;
  const auto plain = open_on(*channel_, message);
  pb::JobResponse response;
  if (!plain || !response.ParseFromString(*plain) || response.id() != in_flight_) return;
  JobResult result{.job_id = std::exchange(in_flight_, {}),
                   .peer = peer_,
                   .succeeded = response.status() == pb::succeeded,
                   .failed_reason = storable_prefix(response.reason(), kJobReasonBytesMax),
                   .upload_key = response.bundle().upload_key()};
  if (result.upload_key.size() > kJobUploadKeyBytesMax || !is_storable(result.upload_key)) {
    result.succeeded = false;
    result.failed_reason = "upload key is no text or too long";
    result.upload_key.clear();
  }
  loop_.tasks.spawn(service_->ports.jobs.finished(std::move(result)));
}

void JobSession::end() {
  loop_.loop.post([self = shared_from_this()] { self->finish({}); });
}

void JobSession::on_half_close() {
  if (!greeted_) finish({Code::kInvalidArgument, "missing hello: stream closed by client"});
}

void JobSession::on_end() {
  place_.leave();
  loop_.jobs.erase(this);
  if (std::exchange(ended_, true) || epoch_ == 0) return;
  loop_.tasks.spawn(service_->ports.jobs.closed(peer_, epoch_, !in_flight_.empty()));
}

void JobSession::finish(net::GrpcStatus status) {
  if (std::exchange(finishing_, true)) return;
  place_.leave();
  if (net::GrpcCall* const call = call_.get()) call->finish(std::move(status));
}

namespace {

class JobHandler final : public net::GrpcStreamHandler {
 public:
  explicit JobHandler(std::shared_ptr<JobSession> session) : session_(std::move(session)) {}
  void on_start(net::GrpcCall& /*call*/) override {}
  void on_message(net::GrpcCall& call, std::string_view message) override {
    session_->on_message(call, message);
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
