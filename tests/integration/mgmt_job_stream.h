// A Job stream as an agent holds it: says hello, collects jobs, answers them when the test says so.
#pragma once

#include "integration/mgmt_harness.h"

namespace nb::test {

class JobStream {
 public:
  JobStream(const Agent& agent, const std::string& target);
  ~JobStream();
  JobStream(const JobStream&) = delete;
  JobStream& operator=(const JobStream&) = delete;

  /// The server has accepted the hello.
  [[nodiscard]] bool wait_open(std::chrono::milliseconds limit = std::chrono::seconds(10)) const;
  /// The first job, or nothing within `limit`.
  [[nodiscard]] std::optional<pb::JobRequest> wait_job(std::chrono::milliseconds limit) const;
  [[nodiscard]] std::size_t jobs() const;
  void answer(const pb::JobResponse& response);
  [[nodiscard]] std::optional<grpc::Status> wait_end(std::chrono::milliseconds limit) const;

 private:
  void read();

  const Agent& agent_;
  std::string server_key_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<pb::JobRequest> jobs_;
  bool open_ = false;
  std::optional<grpc::Status> end_;
  grpc::ClientContext context_;
  std::unique_ptr<pb::ManagementService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::EncryptedMessage, pb::EncryptedMessage>> stream_;
  std::thread thread_;
};

}  // namespace nb::test
