// What only the agents' calls need of the database: single use of tokens, longer sessions, jobs.
//
// Beside Store so that either can grow alone; the same database, threads and failures (store.h).
#pragma once

#include "management/domain/job.h"
#include "management/store/sql_store.h"
#include "management/store/store.h"
#include "management/store/token_use.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

struct ExtendedSession {
  PeerView view;
  bool was_expired = false;  // others saw the peer offline
};

/// A Job stream; epochs of one peer only grow, whichever instance asks.
struct JobStreamOpened {
  AccountId account;
  PeerId peer;
  std::int64_t epoch = 0;
  InstanceId previous_instance;  // empty: none known
};

/// A stored job, and where to send it.
struct CreatedJob {
  Job job;
  InstanceId stream_instance;  // holds the peer's Job stream; empty: nobody does
};

struct JobResult {
  std::string job_id;
  PeerId peer;
  bool succeeded = false;
  std::string failed_reason;
  std::string upload_key;
};

/// A peer of ours with a job that nobody has sent yet.
struct WaitingPeer {
  AccountId account;
  PeerId peer;
  std::int64_t epoch = 0;  // of its stream
};

class AgentStore {
 public:
  virtual ~AgentStore() = default;

  /// The first peer to come with a token has it, whatever instances are asked.
  /// Errors   kUnauthenticated "JWT already used".
  virtual Task<> claim_token(Instant deadline, TokenUse use) = 0;

  /// Moves the deadline of a user's peer.
  /// Errors   kNotFound "peer is not registered"; kFailedPrecondition, kPermissionDenied: texts of
  ///          management-grpc.md §4.1.
  virtual Task<ExtendedSession> extend_session(Instant deadline, PeerKey key, UserId user) = 0;

  // --- jobs -----------------------------------------------------------------------------------

  /// Stores a pending job with its event.
  /// Errors   kNotFound "peer not found: <id>"; kOutOfRange "peer not connected", "peer
  ///          already has pending job".
  virtual Task<CreatedJob> create_job(Instant deadline, Job job) = 0;
  /// Newest first.
  virtual Task<std::vector<Job>> jobs(Instant deadline, AccountId account, PeerId peer) = 0;
  /// Errors   kNotFound "job <id> not found".
  virtual Task<Job> job(Instant deadline, AccountId account, PeerId peer, std::string id) = 0;

  /// A peer's Job stream opens: what is pending of earlier streams has failed.
  /// Errors   kNotFound "peer is not registered".
  virtual Task<JobStreamOpened> open_job_stream(Instant deadline, PeerKey key, InstanceId instance,
                                                std::int64_t incarnation) = 0;
  /// The peer's pending job, for the stream of `epoch` to send. Each job is given out once.
  virtual Task<std::optional<Job>> claim_job(Instant deadline, PeerId peer, std::int64_t epoch) = 0;
  /// Peers with a stream on this instance, as far as anybody was told, and a job that was not given
  /// out.
  virtual Task<std::vector<WaitingPeer>> waiting_jobs(Instant deadline, InstanceId instance,
                                                      std::int64_t incarnation) = 0;
  /// True: it was pending. An unknown job, or another peer's, is none.
  virtual Task<bool> complete_job(Instant deadline, JobResult result) = 0;
  /// The stream of `epoch` has ended; nothing if a newer one exists.
  virtual Task<> close_job_stream(Instant deadline, PeerId peer, std::int64_t epoch) = 0;
  /// Of these streams, those that are not their peers' newest any more, or whose peers are gone or
  /// may have none (login expired, user blocked):
  /// the message that said so may have been lost. At most some hundred at a time.
  virtual Task<std::vector<PeerId>> lost_job_streams(Instant deadline,
                                                     std::vector<OpenSession> open) = 0;
  /// Fails jobs that were not given out within `wait`, and those whose stream's instance is dead.
  virtual Task<std::size_t> fail_stuck_jobs(Instant deadline, std::chrono::seconds wait) = 0;

  /// An incarnation of the instance that is beyond `wanted` and every one before: after a start
  /// with a clock that was set back, a process must not look older than the one it replaces.
  virtual Task<std::int64_t> next_incarnation(Instant deadline, InstanceId instance,
                                              std::int64_t wanted) = 0;

  /// Forgets tokens that are expired anyway.
  virtual Task<std::size_t> forget_tokens(Instant deadline) = 0;
};

/// Tables of the agent store; after prepare_main_database().
Result<sql::MigrationReport> prepare_agent_tables(const SqlStoreParts& parts, Instant deadline);

std::unique_ptr<AgentStore> make_sql_agent_store(SqlStoreParts parts, SqlStoreOptions options = {});

}  // namespace nb::management
