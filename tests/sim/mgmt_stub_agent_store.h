// An AgentStore of which a test overrides what it needs; everything else fails with kUnimplemented.
#pragma once

#include "management/store/agent_store.h"

#include <optional>
#include <string>
#include <vector>

namespace nb::management {

class StubAgentStore : public AgentStore {
 public:
  Task<> claim_token(Instant, TokenUse) override { return none<>(); }
  Task<ExtendedSession> extend_session(Instant, PeerKey, UserId) override {
    return none<ExtendedSession>();
  }
  Task<CreatedJob> create_job(Instant, Job) override { return none<CreatedJob>(); }
  Task<std::vector<Job>> jobs(Instant, AccountId, PeerId) override {
    return none<std::vector<Job>>();
  }
  Task<Job> job(Instant, AccountId, PeerId, std::string) override { return none<Job>(); }
  Task<JobStreamOpened> open_job_stream(Instant, PeerKey, InstanceId, std::int64_t) override {
    return none<JobStreamOpened>();
  }
  Task<std::optional<Job>> claim_job(Instant, PeerId, std::int64_t) override {
    return none<std::optional<Job>>();
  }
  Task<std::vector<WaitingPeer>> waiting_jobs(Instant, InstanceId, std::int64_t) override {
    return none<std::vector<WaitingPeer>>();
  }
  Task<bool> complete_job(Instant, JobResult) override { return none<bool>(); }
  Task<> close_job_stream(Instant, PeerId, std::int64_t) override { return none<>(); }
  Task<std::vector<PeerId>> lost_job_streams(Instant, std::vector<OpenSession>) override {
    return none<std::vector<PeerId>>();
  }
  Task<std::size_t> fail_stuck_jobs(Instant, std::chrono::seconds) override {
    return none<std::size_t>();
  }
  Task<std::int64_t> next_incarnation(Instant, InstanceId, std::int64_t) override {
    return none<std::int64_t>();
  }
  Task<std::size_t> forget_tokens(Instant) override { return none<std::size_t>(); }

 private:
  template <class T = void>
  static Task<T> none() {
    co_return fail(Code::kUnimplemented, "not part of this test");
  }
};

}  // namespace nb::management
