#include "management/store/agent_work.h"
#include "management/store/guarded.h"
#include "management/store/migrations.h"

#include <utility>

namespace nb::management {
namespace {

using sql::RunOptions;
using sql::Session;
using work::Context;

constexpr RunOptions kRead{.read_only = true, .single_statement = true};
constexpr RunOptions kWrite{};

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

class SqlAgentStore final : public AgentStore {
 public:
  SqlAgentStore(SqlStoreParts parts, SqlStoreOptions options)
      : database_(parts.database), context_(std::make_shared<Context>(parts, std::move(options))) {}

  Task<> claim_token(Instant deadline, TokenUse use) override {
    return run<void>(deadline, kWrite,
                     [use = std::move(use)](Session& session, const Context& /*context*/) {
                       return work::claim_token(session, use);
                     });
  }

  Task<std::size_t> forget_tokens(Instant deadline) override {
    return run<std::size_t>(deadline, kWrite, [](Session& session, const Context& /*context*/) {
      return work::forget_tokens(session);
    });
  }

  Task<ExtendedSession> extend_session(Instant deadline, PeerKey key, UserId user) override {
    return run<ExtendedSession>(
        deadline, kWrite,
        [key = std::move(key), user = std::move(user)](Session& session, const Context& context) {
          return work::extend_session(session, context, key, user);
        });
  }

  Task<CreatedJob> create_job(Instant deadline, Job job) override {
    return run<CreatedJob>(deadline, kWrite,
                           [job = std::move(job)](Session& session, const Context& context) {
                             return work::create_job(session, context, job);
                           });
  }

  Task<std::vector<Job>> jobs(Instant deadline, AccountId account, PeerId peer) override {
    return run<std::vector<Job>>(deadline, kRead,
                                 [account = std::move(account), peer = std::move(peer)](
                                     Session& session, const Context& /*context*/) {
                                   return work::jobs(session, account, peer);
                                 });
  }

  Task<Job> job(Instant deadline, AccountId account, PeerId peer, std::string id) override {
    return run<Job>(deadline, kRead,
                    [account = std::move(account), peer = std::move(peer), id = std::move(id)](
                        Session& session, const Context& /*context*/) {
                      return work::job(session, account, peer, id);
                    });
  }

  Task<JobStreamOpened> open_job_stream(Instant deadline, PeerKey key, InstanceId instance,
                                        std::int64_t incarnation) override {
    return run<JobStreamOpened>(deadline, kWrite,
                                [key = std::move(key), instance = std::move(instance), incarnation](
                                    Session& session, const Context& context) {
                                  return work::open_job_stream(session, context, key, instance,
                                                               incarnation);
                                });
  }

  Task<std::optional<Job>> claim_job(Instant deadline, PeerId peer, std::int64_t epoch) override {
    return run<std::optional<Job>>(
        deadline, kWrite,
        [peer = std::move(peer), epoch](Session& session, const Context& /*context*/) {
          return work::claim_job(session, peer, epoch);
        });
  }

  Task<std::vector<WaitingPeer>> waiting_jobs(Instant deadline, InstanceId instance,
                                              std::int64_t incarnation) override {
    return run<std::vector<WaitingPeer>>(deadline, kRead,
                                         [instance = std::move(instance), incarnation](
                                             Session& session, const Context& /*context*/) {
                                           return work::waiting_jobs(session, instance,
                                                                     incarnation);
                                         });
  }

  Task<bool> complete_job(Instant deadline, JobResult result) override {
    return run<bool>(deadline, kWrite,
                     [result = std::move(result)](Session& session, const Context& context) {
                       return work::complete_job(session, context, result);
                     });
  }

  Task<> close_job_stream(Instant deadline, PeerId peer, std::int64_t epoch) override {
    return run<void>(deadline, kWrite,
                     [peer = std::move(peer), epoch](Session& session, const Context& context) {
                       return work::close_job_stream(session, context, peer, epoch);
                     });
  }

  Task<std::vector<PeerId>> lost_job_streams(Instant deadline,
                                             std::vector<OpenSession> open) override {
    return run<std::vector<PeerId>>(
        deadline, kRead, [open = std::move(open)](Session& session, const Context& /*context*/) {
          return work::lost_job_streams(session, open);
        });
  }

  Task<std::int64_t> next_incarnation(Instant deadline, InstanceId instance,
                                      std::int64_t wanted) override {
    return run<std::int64_t>(
        deadline, kRead,
        [instance = std::move(instance), wanted](Session& session, const Context& /*context*/) {
          return work::next_incarnation(session, instance, wanted);
        });
  }

  Task<std::size_t> fail_stuck_jobs(Instant deadline, std::chrono::seconds wait) override {
    return run<std::size_t>(deadline, kWrite, [wait](Session& session, const Context& context) {
      return work::fail_stuck_jobs(session, context, wait);
    });
  }

 private:
  template <class T, class Fn>
  Task<T> run(Instant deadline, RunOptions options, Fn fn) {
    return database_.run<T>(deadline, options, work::guarded<T>(context_, std::move(fn)));
  }

  sql::Database& database_;
  std::shared_ptr<const Context> context_;
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
