// Many Sync or Job calls at once: they take turns, nobody is turned away for good, and the rest of
// the service goes on (contract/management-grpc.md §8.4).
#include "integration/mgmt_cluster.h"
#include "integration/mgmt_job_stream.h"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

constexpr int kAgents = 40;

class MgmtStorm : public MgmtCluster {
 protected:
  /// An instance that sets up two calls at a time and lets thirty wait.
  void SetUp() override {
    auto narrow = options("mgmt-3");
    narrow.env["NB_MAX_CONCURRENT_SYNCS"] = "2";
    narrow.env["NB_SYNC_QUEUE_MAX"] = "30";
    narrow.env["NB_SYNC_QUEUE_WAIT"] = wait;
    narrow.env.merge(more);
    small = std::make_unique<MgmtServer>(narrow);
    small->start();
    for (int i = 0; i < kAgents; ++i)
      agents.push_back(agent("storm-" + std::to_string(i), i % 2 == 0 ? one : two));
  }
  /// Opens a stream for each agent, from several threads.
  std::vector<std::unique_ptr<SyncStream>> all_at_once(std::size_t count) {
    std::vector<std::unique_ptr<SyncStream>> out(count);
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < count; i = next++)
          out[i] = std::make_unique<SyncStream>(*agents[i], small->target());
      });
    for (auto& thread : threads) thread.join();
    return out;
  }
  std::string wait = "60s";
  std::map<std::string, std::string> more;
  std::unique_ptr<MgmtServer> small;
  std::vector<std::unique_ptr<Agent>> agents;
};

class MgmtStormOfTheImpatient : public MgmtStorm {
 protected:
  MgmtStormOfTheImpatient() { wait = "2s"; }
};

TEST_F(MgmtStorm, EverybodyIsServedInTurn) {
  // Thirty have a place, however slow the two are.
  const auto streams = all_at_once(30);
  for (const auto& stream : streams) EXPECT_TRUE(stream->wait_first(30s));
  EXPECT_GT(small->metric("netbird_management_syncs_queued_total"), 0);
  EXPECT_EQ(small->metric("netbird_management_syncs_refused_total"), 0);
  EXPECT_EQ(small->metric("netbird_management_syncs_waiting"), 0);
  EXPECT_EQ(small->metric("netbird_management_sync_wait_seconds_count"),
            small->metric("netbird_management_syncs_queued_total"));
  // Those who are served make no room for others twice.
  const auto late = agent("late", two);
  for (const auto& stream : streams)
    EXPECT_TRUE(stream->wait_for([&](const auto& m) { return shows_peer(m, late->key()); }, 10s));
}

// Old agents report "management disconnected" when their Job stream ends, whatever its status
// (contract/management-grpc.md §5.10).
TEST_F(MgmtStorm, JobStreamsTakeTurnsAtASlowDatabase) {
  // One by one, whatever the number of connections: forty take longer than the eight seconds that
  // one of them may ask.
  postgres.psql(
      "create function slowly() returns trigger language plpgsql as $$ begin perform "
      "pg_advisory_xact_lock(4711); perform pg_sleep(0.3); return new; end $$; "
      "create trigger slowly before insert on nb_job_streams for each row execute function "
      "slowly()");
  std::vector<std::unique_ptr<JobStream>> jobs;
  for (const auto& agent : agents)
    jobs.push_back(std::make_unique<JobStream>(*agent, small->target()));
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_TRUE(jobs[i]->wait_open(patient(30s))) << i;
    EXPECT_FALSE(jobs[i]->wait_end(0ms)) << i;
  }
  EXPECT_GT(small->metric("netbird_management_job_streams_queued_total"), 0);
  EXPECT_EQ(small->metric("netbird_management_job_streams_refused_total"), 0);
  EXPECT_EQ(small->metric("netbird_management_job_streams_waiting"), 0);
}

/// All its work is done over one connection, as SQLite's writing is.
class MgmtStormOverOneConnection : public MgmtStorm {
 protected:
  MgmtStormOverOneConnection() { more["NB_SQL_MAX_OPEN_CONNS"] = "1"; }
};

// A balancer that restarts cuts thousands of streams at once. That their peers are marked
// disconnected is nothing anybody waits for.
TEST_F(MgmtStormOverOneConnection, WhoComesDoesNotWaitForThoseWhoWent) {
  auto streams = all_at_once(30);
  for (const auto& stream : streams) ASSERT_TRUE(stream->wait_first(30s));
  postgres.psql(
      "create function slowly() returns trigger language plpgsql as $$ begin perform "
      "pg_sleep(0.5); return new; end $$; create trigger slowly before update on peers for each "
      "row when (old.peer_status_connected and not new.peer_status_connected) execute function "
      "slowly()");
  const auto gone = [&] {
    return std::stoi(postgres.psql("select count(*) from peers where not peer_status_connected"));
  };
  const int before = gone();
  streams.clear();
  ASSERT_TRUE(eventually([&] { return gone() > before; }));
  // Fifteen seconds of it lie ahead, and a call has eight or ten.
  JobStream job(*agents[0], small->target());
  SyncStream sync(*agents[0], small->target());
  EXPECT_TRUE(job.wait_open(patient(6s)));
  EXPECT_TRUE(sync.wait_first(patient(9s)));  // three calls behind at most four marks each
  EXPECT_LT(gone(), before + 25);
  // Every fourth turn is theirs.
  EXPECT_TRUE(eventually([&] { return gone() == before + 29; }, 30s)) << gone() - before;
  EXPECT_EQ(connected(*agents[0]), "t");
}

TEST_F(MgmtStormOfTheImpatient, WhoCannotBeServedInTimeComesAgain) {
  std::thread holder([&] {
    postgres.psql("begin; lock table peers in access exclusive mode; select pg_sleep(6); commit");
  });
  ASSERT_TRUE(eventually([&] {
    return postgres.psql(
               "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and "
               "relation = 'peers'::regclass and granted") == "1";
  }));
  auto streams = all_at_once(kAgents);
  // Two ask the database, thirty wait, eight have no place.
  const auto refused = [&] {
    return std::ranges::count_if(streams, [](const auto& stream) {
      const auto end = stream->wait_end(0ms);
      return end && end->error_code() == StatusCode::RESOURCE_EXHAUSTED;
    });
  };
  EXPECT_TRUE(eventually([&] { return refused() >= 8; }, 10s)) << refused();
  EXPECT_EQ(small->metric("netbird_management_syncs_queued_total"), 30);
  EXPECT_TRUE(agents[0]->server_key(small->target()).ok());  // whatever waits
  EXPECT_TRUE(eventually([&] { return refused() == 38; }, 10s)) << refused();
  EXPECT_EQ(small->metric("netbird_management_syncs_waiting"), 0);
  for (const auto& stream : streams) {
    const auto end = stream->wait_end(0ms);
    if (!end) continue;
    EXPECT_EQ(end->error_message(), "too many concurrent sync requests, please try again later");
  }
  holder.join();
  EXPECT_TRUE(eventually(
      [&] {
        return std::ranges::count_if(streams,
                                     [](const auto& s) { return s->last().has_value(); }) == 2;
      },
      10s));
  // And come again, as agents do, until they are served.
  for (std::size_t i = 0; i < streams.size(); ++i) {
    EXPECT_TRUE(eventually(
        [&] {
          if (streams[i]->wait_first(2s)) return true;
          if (streams[i]->wait_end(0ms))
            streams[i] = std::make_unique<SyncStream>(*agents[i], small->target());
          return false;
        },
        30s))
        << i;
  }
}

}  // namespace
}  // namespace nb::test
