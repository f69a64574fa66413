// One Job stream: silent after a valid hello. Jobs themselves come with the REST API.
// Source   contract/management-grpc.md §5.10: any other end of it makes old agents report
//          "management disconnected", PERMISSION_DENIED restarts an agent's whole engine.
#pragma once

#include "management/grpc/service_state.h"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>

namespace nb::management::grpc {

/// Lives on the loop of its connection.
class JobSession final : public std::enable_shared_from_this<JobSession> {
 public:
  JobSession(std::shared_ptr<ServiceState> service, LoopState& loop, net::GrpcCallHandle call);
  void on_message(std::string_view message);
  void on_half_close();
  void on_end();
  void finish(net::GrpcStatus status);

 private:
  boost::asio::awaitable<void> check(std::string hello);

  const std::shared_ptr<ServiceState> service_;
  LoopState& loop_;
  const net::GrpcCallHandle call_;
  bool greeted_ = false;
  bool finishing_ = false;
};

[[nodiscard]] std::unique_ptr<net::GrpcStreamHandler> make_job_handler(
    std::shared_ptr<ServiceState> service, net::GrpcCall& call);

}  // namespace nb::management::grpc
