// Many Sync calls at once: they take turns, nobody is turned away for good, and the rest of the
// service goes on (contract/management-grpc.md §8.4).
#include "integration/mgmt_cluster.h"

#include <gmock/gmock.h>

#include <atomic>
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
