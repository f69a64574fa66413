#include "management/store/agent_work.h"
#include "management/store/migrations.h"
#include "management/store/units.h"

#include <utility>

namespace nb::management {
namespace {

using sql::Session;

Result<> own_tables(Session& session, sql::MigrationReport& /*report*/) {
  return session.script(
      "CREATE TABLE nb_token_claims (token_hash text NOT NULL PRIMARY KEY, peer_key text NOT NULL,"
      " claimed_at bigint NOT NULL, expires_at bigint NOT NULL);"
      "CREATE INDEX nb_token_claims_expiry ON nb_token_claims (expires_at);"
      "CREATE TABLE nb_job_streams (peer_id text NOT NULL PRIMARY KEY, instance_id text NOT NULL,"
      " incarnation bigint NOT NULL, epoch bigint NOT NULL,"
      " FOREIGN KEY (peer_id) REFERENCES peers (id) ON DELETE CASCADE);"
      "CREATE TABLE nb_job_dispatch (job_id text NOT NULL PRIMARY KEY, peer_id text NOT NULL,"
      " epoch bigint NOT NULL)");
}

Result<> one_pending_job(Session& session, sql::MigrationReport& report) {
  NB_LET(const std::int64_t failed,
         session.exec("UPDATE jobs SET status = 'failed', failed_reason = 'Pending job cleanup: "
                      "marked as failed automatically due to being stuck too long' WHERE status = "
                      "'pending' AND EXISTS (SELECT 1 FROM jobs other WHERE other.peer_id = "
                      "jobs.peer_id AND other.status = 'pending' AND other.id > jobs.id)"));
  if (failed > 0) report.push_back(fmt::format("second pending jobs of a peer failed: {}", failed));
  return session.script(
      "CREATE UNIQUE INDEX nb_jobs_pending ON jobs (peer_id) WHERE status = 'pending'");
}

class SqlAgentStore final : public AgentStore, private SqlUnits {
 public:
  SqlAgentStore(const SqlStoreParts& parts, SqlStoreOptions options)
      : SqlUnits(parts, std::move(options)) {}

  Task<> claim_token(Instant deadline, TokenUse use) override {
    return call(deadline, kWrite, work::claim_token, std::move(use));
  }
  Task<std::size_t> forget_tokens(Instant deadline) override {
    return call(deadline, kWrite, work::forget_tokens);
  }
  Task<ExtendedSession> extend_session(Instant deadline, PeerKey key, UserId user) override {
    return call(deadline, kWrite, work::extend_session, std::move(key), std::move(user));
  }

  Task<CreatedJob> create_job(Instant deadline, Job job) override {
    return call(deadline, kWrite, work::create_job, std::move(job));
  }
  Task<std::vector<Job>> jobs(Instant deadline, AccountId account, PeerId peer) override {
    return call(deadline, kRead, work::jobs, std::move(account), std::move(peer));
  }
  Task<Job> job(Instant deadline, AccountId account, PeerId peer, std::string id) override {
    return call(deadline, kRead, work::job, std::move(account), std::move(peer), std::move(id));
  }
  Task<JobStreamOpened> open_job_stream(Instant deadline, PeerKey key, InstanceId instance,
                                        std::int64_t incarnation) override {
    return call(deadline, kMark, work::open_job_stream, std::move(key), std::move(instance),
                incarnation);
  }
  Task<std::optional<Job>> claim_job(Instant deadline, PeerId peer, std::int64_t epoch) override {
    return call(deadline, kWrite, work::claim_job, std::move(peer), epoch);
  }
  Task<std::vector<WaitingPeer>> waiting_jobs(Instant deadline, InstanceId instance,
                                              std::int64_t incarnation) override {
    return call(deadline, kRead, work::waiting_jobs, std::move(instance), incarnation);
  }
  Task<bool> complete_job(Instant deadline, JobResult result) override {
    return call(deadline, kWrite, work::complete_job, std::move(result));
  }
  Task<> close_job_stream(Instant deadline, PeerId peer, std::int64_t epoch) override {
    return call(deadline, kWrite, work::close_job_stream, std::move(peer), epoch);
  }
  Task<std::vector<PeerId>> lost_job_streams(Instant deadline,
                                             std::vector<OpenSession> open) override {
    return call(deadline, kRead, work::lost_job_streams, std::move(open));
  }
  Task<std::size_t> fail_stuck_jobs(Instant deadline, std::chrono::seconds wait) override {
    return call(deadline, kWrite, work::fail_stuck_jobs, wait);
  }

  Task<std::int64_t> next_incarnation(Instant deadline, InstanceId instance,
                                      std::int64_t wanted) override {
    return call(deadline, kRead, work::next_incarnation, std::move(instance), wanted);
  }
};

}  // namespace

const sql::MigrationSet& agent_migrations() {
  static const sql::MigrationSet kSet{
      "agents", {{1, "own tables", own_tables}, {2, "one pending job", one_pending_job}}};
  return kSet;
}

Result<sql::MigrationReport> prepare_agent_tables(const SqlStoreParts& parts, Instant deadline) {
  return sql::migrate(parts.database, agent_migrations(), deadline, parts.log);
}

std::unique_ptr<AgentStore> make_sql_agent_store(SqlStoreParts parts, SqlStoreOptions options) {
  return std::make_unique<SqlAgentStore>(parts, std::move(options));
}

}  // namespace nb::management
