#include "integration/mgmt_job_stream.h"

#include <utility>

namespace nb::test {

JobStream::JobStream(const Agent& agent, const std::string& target)
    : agent_(agent), server_key_(agent.server_key(target).value), stub_(stub(target)) {
  stream_ = stub_->Job(&context_);
  pb::JobRequest hello;
  hello.set_id("0123456789abcdef");
  stream_->Write(agent.seal(hello, server_key_));
  thread_ = std::thread([this] { read(); });
}

JobStream::~JobStream() {
  context_.TryCancel();
  if (thread_.joinable()) thread_.join();
}

void JobStream::read() {
  stream_->WaitForInitialMetadata();
  {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  pb::EncryptedMessage message;
  while (stream_->Read(&message)) {
    auto job = agent_.open<pb::JobRequest>(message, server_key_);
    const std::lock_guard lock(mutex_);
    if (job) jobs_.push_back(std::move(*job));
    changed_.notify_all();
  }
  grpc::Status status = stream_->Finish();
  const std::lock_guard lock(mutex_);
  end_ = std::move(status);
  changed_.notify_all();
}

bool JobStream::wait_open(std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return open_ || end_; }) && open_ && !end_;
}

std::optional<pb::JobRequest> JobStream::wait_job(std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return !jobs_.empty() || end_; });
  if (jobs_.empty()) return std::nullopt;
  return jobs_.front();
}

std::size_t JobStream::jobs() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void JobStream::answer(const pb::JobResponse& response) {
  stream_->Write(agent_.seal(response, server_key_));
}

std::optional<grpc::Status> JobStream::wait_end(std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return end_.has_value(); });
  return end_;
}

}  // namespace nb::test
