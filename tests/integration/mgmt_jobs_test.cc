// Jobs across instances (contract/management-grpc.md §5.10): made by rows, as another instance
// whose message was lost leaves them; the instance that holds the stream finds and sends them.
#include "integration/held_table.h"
#include "integration/mgmt_cluster.h"
#include "integration/mgmt_job_stream.h"

#include <gmock/gmock.h>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

class MgmtJobs : public MgmtCluster {
 protected:
  void make_job(const std::string& job, const Agent& peer) {
    postgres.psql(
        "insert into jobs (id, created_at, triggered_by, peer_id, account_id, status, "
        "failed_reason, workload_workload_type, workload_parameters, workload_result) select '" +
        job + "', now(), 'u', id, account_id, 'pending', '', 'bundle', " +
        R"('{"bundle_for":true,"bundle_for_time":2,"log_file_count":7,"anonymize":true}', '{}')" +
        " from peers where key='" + peer.key() + "'");
  }
  [[nodiscard]] std::string row(const std::string& job) const {
    return postgres.psql(
        "select status || '/' || failed_reason || '/' || "
        "coalesce(workload_result::text, '') from jobs where id='" +
        job + "'");
  }
  static pb::JobResponse success(const pb::JobRequest& job) {
    pb::JobResponse response;
    response.set_id(job.id());
    response.set_status(pb::succeeded);
    response.mutable_bundle()->set_upload_key("bundles/abc");
    return response;
  }
};

TEST_F(MgmtJobs, JobFindsTheStreamAndItsResultTheDatabase) {
  const auto a = agent("a", one);
  SyncStream sync(*a, one.target());  // elsewhere than the job stream
  JobStream stream(*a, two.target());
  ASSERT_TRUE(sync.wait_first() && stream.wait_open());
  make_job("job-1", *a);
  const auto job = stream.wait_job(10s);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->id(), "job-1");
  EXPECT_TRUE(job->bundle().bundle_for());
  EXPECT_EQ(job->bundle().bundle_for_time(), 2);
  EXPECT_EQ(job->bundle().log_file_count(), 7);
  EXPECT_TRUE(job->bundle().anonymize());
  auto foreign = success(*job);
  foreign.set_id("job-2");
  stream.answer(foreign);  // is nobody's
  stream.answer(success(*job));
  EXPECT_TRUE(
      eventually([&] { return row("job-1") == R"(succeeded//{"upload_key":"bundles/abc"})"; }, 10s))
      << row("job-1");
  stream.answer(success(*job));  // again: nothing happens
  EXPECT_FALSE(stream.wait_end(500ms));
  EXPECT_EQ(stream.jobs(), 1U);
}

TEST_F(MgmtJobs, NewStreamElsewhereEndsTheOldOneAndFailsItsJob) {
  const auto a = agent("a", one);
  SyncStream sync(*a, one.target());
  JobStream old(*a, one.target());
  ASSERT_TRUE(old.wait_open());
  make_job("job-1", *a);
  ASSERT_TRUE(old.wait_job(10s));
  JobStream fresh(*a, two.target());
  ASSERT_TRUE(fresh.wait_open());
  const auto end = old.wait_end(10s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok()) << end->error_message();
  EXPECT_THAT(row("job-1"), testing::HasSubstr("Pending job cleanup"));
  make_job("job-2", *a);
  const auto job = fresh.wait_job(10s);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->id(), "job-2");
}

TEST_F(MgmtJobs, OldStreamWhoseMessageWasLostEndsAtTheNextLook) {
  const auto a = agent("a", one);
  const auto b = agent("b", one);
  JobStream old(*a, one.target());
  JobStream stays(*b, one.target());
  ASSERT_TRUE(old.wait_open() && stays.wait_open());
  // What the other instance writes for a newer stream, without what it says.
  postgres.psql(
      "update nb_job_streams set epoch = epoch + 1, instance_id = 'mgmt-2' where peer_id = '" +
      id(*a) + "'");
  // Messages may have been lost: all sessions are compared.
  redis.kill();
  redis.start();
  const auto end = old.wait_end(20s);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ok()) << end->error_message();
  EXPECT_EQ(one.metric("netbird_management_job_streams_fenced_total"), 1);
  EXPECT_FALSE(stays.wait_end(0ms));
}

TEST_F(MgmtJobs, JobOfAStreamThatEndsHasFailed) {
  const auto a = agent("a", one);
  {
    JobStream stream(*a, one.target());
    ASSERT_TRUE(stream.wait_open());
    make_job("job-1", *a);
    ASSERT_TRUE(stream.wait_job(10s));
  }
  EXPECT_TRUE(
      eventually([&] { return row("job-1") == "failed/Time out peer disconnected/{}"; }, 10s))
      << row("job-1");
}

TEST_F(MgmtJobs, JobClaimedForAStreamThatEndsMeanwhileHasFailedAndTheStreamCountsOnce) {
  const auto a = agent("a", one);
  auto stream = std::make_unique<JobStream>(*a, one.target());
  ASSERT_TRUE(stream->wait_open());
  const auto open = [&] { return one.metric("netbird_management_job_streams"); };
  ASSERT_EQ(open(), 1);
  {
    const HeldTable held(postgres, "nb_job_dispatch", "netbird");
    make_job("job-1", *a);
    ASSERT_TRUE(eventually(
        [&] {
          return postgres.psql(
                     "select count(*) from pg_locks where not granted and relation = "
                     "'nb_job_dispatch'::regclass") != "0";
        },
        10s));
    stream.reset();
    ASSERT_TRUE(eventually([&] { return open() == 0; }, 5s));
  }
  EXPECT_TRUE(
      eventually([&] { return row("job-1") == "failed/Time out peer disconnected/{}"; }, 10s))
      << row("job-1");
  EXPECT_EQ(open(), 0);
}

TEST_F(MgmtJobs, JobThatNoStreamTookHasFailedToo) {
  const auto a = agent("a", one);
  {
    const JobStream stream(*a, one.target());
    ASSERT_TRUE(stream.wait_open());
  }
  ASSERT_TRUE(eventually([&] { return one.metric("netbird_management_job_streams") == 0; }, 5s));
  const auto b = agent("b", one);
  const JobStream other(*b, one.target());  // so that the instance looks for jobs
  ASSERT_TRUE(other.wait_open());
  make_job("job-1", *a);  // by an operator who thinks that the stream is open
  EXPECT_TRUE(
      eventually([&] { return row("job-1") == "failed/Time out peer disconnected/{}"; }, 15s))
      << row("job-1");
}

TEST_F(MgmtJobs, StreamSurvivesARestartOfTheDatabase) {
  const auto a = agent("a", one);
  JobStream stream(*a, one.target());
  ASSERT_TRUE(stream.wait_open());
  postgres.stop();
  postgres.start();
  EXPECT_TRUE(eventually([&] { return one.ready(); }, 20s));
  EXPECT_FALSE(stream.wait_end(0ms));
  make_job("job-1", *a);
  EXPECT_TRUE(stream.wait_job(20s));
}

}  // namespace
}  // namespace nb::test
