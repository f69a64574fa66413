// The rows of jobs in the database of work_database.h, and the ways to them.
#pragma once

#include "sim/work_database.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {

class WorkJobs final : public management::StubAgentStore {
 public:
  explicit WorkJobs(WorkStore& store) : store_(store), database_(store.database()) {}

  management::Task<management::CreatedJob> create_job(Instant, management::Job job) override {
    const std::string peer = job.peer_id.value();
    if (!co_await store_.way() || !co_await store_.row_free(peer)) co_return SimStore::away();
    if (!database_.rows.at(peer).connected) co_return fail(Code::kOutOfRange, "not connected");
    if (database_.pending_job(peer) != nullptr) co_return fail(Code::kOutOfRange, "has one");
    job.id = fmt::format("job-{:06}", ++database_.last_job);
    job.created_at = store_.env().clock.wall();  // the host's, as in the real statement
    management::CreatedJob out{job, management::InstanceId(database_.streams[peer].instance)};
    database_.jobs[job.id].job = std::move(job);
    if (!co_await store_.way()) co_return SimStore::away();
    co_return out;
  }
  management::Task<management::JobStreamOpened> open_job_stream(Instant, management::PeerKey key,
                                                                management::InstanceId instance,
                                                                std::int64_t incarnation) override {
    const std::string peer = key.value().substr(std::string("key-").size());
    if (!co_await store_.way() || !co_await store_.row_free(peer)) co_return SimStore::away();
    if (database_.rows.at(peer).deleted) co_return fail(Code::kNotFound, "not registered");
    if (!database_.welcome(peer)) co_return fail(Code::kPermissionDenied, "login has expired");
    WorkDatabase::JobStream& stream = database_.streams[peer];
    management::JobStreamOpened out;
    out.account = management::AccountId(kWorkAccount);
    out.peer = management::PeerId(peer);
    out.previous_instance = management::InstanceId(stream.instance);
    out.epoch = std::max<std::int64_t>(store_.now().time_since_epoch().count(), stream.epoch + 1);
    database_.fail_jobs(peer);
    stream = {instance.value(), incarnation, out.epoch};
    if (!co_await store_.way()) co_return SimStore::away();
    co_return out;
  }
  management::Task<std::optional<management::Job>> claim_job(Instant, management::PeerId peer,
                                                             std::int64_t epoch) override {
    if (!co_await store_.way()) co_return SimStore::away();
    std::optional<management::Job> out;
    WorkDatabase::JobRow* const row = database_.pending_job(peer.value());
    const bool mine = database_.streams[peer.value()].epoch == epoch;
    if (row != nullptr && mine && (row->given_to == 0 || database_.flaws.gives_twice)) {
      row->given_to = epoch;
      out = row->job;
    }
    if (out && database_.flaws.loses_claims) co_return SimStore::away();
    if (!co_await store_.way()) co_return SimStore::away();
    co_return out;
  }
  management::Task<std::vector<management::WaitingPeer>> waiting_jobs(
      Instant, management::InstanceId instance, std::int64_t incarnation) override {
    if (!co_await store_.way()) co_return SimStore::away();
    std::vector<management::WaitingPeer> out;
    for (const auto& [id, row] : database_.jobs) {
      if (!row.pending || (row.given_to != 0 && !database_.flaws.gives_twice)) continue;
      const WorkDatabase::JobStream& stream = database_.streams[row.job.peer_id.value()];
      if (stream.instance != instance.value() || stream.incarnation != incarnation) continue;
      out.push_back({row.job.account_id, row.job.peer_id, stream.epoch});
    }
    if (!co_await store_.way()) co_return SimStore::away();
    co_return out;
  }
  management::Task<bool> complete_job(Instant, management::JobResult result) override {
    if (!co_await store_.way()) co_return SimStore::away();
    const auto found = database_.jobs.find(result.job_id);
    const bool was = found != database_.jobs.end() && found->second.pending;
    if (was) found->second.pending = false;
    if (!co_await store_.way()) co_return SimStore::away();
    co_return was;
  }
  management::Task<> close_job_stream(Instant, management::PeerId peer,
                                      std::int64_t epoch) override {
    if (!co_await store_.way()) co_return SimStore::away();
    const auto found = database_.streams.find(peer.value());
    if (found != database_.streams.end() && found->second.epoch == epoch) {
      database_.streams.erase(found);
      database_.fail_jobs(peer.value());
    }
    if (!co_await store_.way()) co_return SimStore::away();
    co_return Result<>{};
  }
  management::Task<std::vector<management::PeerId>> lost_job_streams(
      Instant, std::vector<management::OpenSession> open) override {
    if (!co_await store_.way()) co_return SimStore::away();
    std::vector<management::PeerId> out;
    for (const management::OpenSession& at : open) {
      const bool newest = database_.streams[at.peer.value()].epoch == at.epoch;
      if ((!newest || !database_.welcome(at.peer.value())) && !database_.flaws.never_looks)
        out.push_back(at.peer);
    }
    if (!co_await store_.way()) co_return SimStore::away();
    co_return out;
  }
  management::Task<std::size_t> fail_stuck_jobs(Instant, std::chrono::seconds wait) override {
    if (!co_await store_.way()) co_return SimStore::away();
    std::size_t failed = 0;
    const WallTime long_ago = store_.env().clock.wall() - wait;
    for (auto& [id, row] : database_.jobs) {
      const auto& stream = database_.streams[row.job.peer_id.value()];
      const bool lives = stream.epoch == row.given_to &&
                         database_.leases.lives(stream.instance, stream.incarnation, store_.now());
      const bool stuck = row.given_to == 0 ? *row.job.created_at < long_ago : !lives;
      if (!row.pending || !stuck) continue;
      row.pending = false;
      ++failed;
    }
    if (!co_await store_.way()) co_return SimStore::away();
    co_return failed;
  }
  management::Task<std::size_t> forget_tokens(Instant) override { co_return std::size_t{0}; }

 private:
  WorkStore& store_;
  WorkDatabase& database_;
};

}  // namespace nb::sim
