// One Job stream: hello, then jobs down and results up; silent most of its life.
// Source   contract/management-grpc.md §5.10: any other end of it makes old agents report
//          "management disconnected", PERMISSION_DENIED restarts an agent's whole engine. So when
//          thousands open at once they take turns at the database, as Syncs do (decision 0119).
#pragma once

#include "management/app/jobs.h"
#include "management/grpc/service_state.h"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace nb::management::grpc {

/// Lives on the loop of its connection; JobSink's functions may be called elsewhere and post.
/// Shared, because messages to the loop may be under way when the call ends.
class JobSession final : public app::JobSink, public std::enable_shared_from_this<JobSession> {
 public:
  JobSession(std::shared_ptr<ServiceState> service, LoopState& loop, net::GrpcCallHandle call);
  void on_message(net::GrpcCall& call, std::string_view message);
  void on_half_close();
  void on_end();
  void finish(net::GrpcStatus status);

  // JobSink
  void send(const Job& job) override;
  void end() override;

 private:
  using Outcome = app::AdmissionPlace::Outcome;
  void begin();
  void on_admission(Outcome outcome);
  boost::asio::awaitable<void> open(std::string hello);
  void deliver(const Job& job);
  void on_result(std::string_view message);

  const std::shared_ptr<ServiceState> service_;
  LoopState& loop_;
  const net::GrpcCallHandle call_;
  std::string hello_;          // while it waits for its turn
  app::AdmissionPlace place_;  // until the database knows the stream
  std::optional<Channel> channel_;
  PeerId peer_;
  std::int64_t epoch_ = 0;  // 0: not open
  std::string in_flight_;   // id of the job that was sent and not answered
  bool greeted_ = false;
  bool finishing_ = false;
  bool ended_ = false;
};

[[nodiscard]] std::unique_ptr<net::GrpcStreamHandler> make_job_handler(
    std::shared_ptr<ServiceState> service, net::GrpcCall& call);

}  // namespace nb::management::grpc
