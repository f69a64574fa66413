// Work that no caller asks for, over several instances, with everything that goes wrong: logins
// that expire, machines that are away for too long, ephemeral peers, jobs of agents. Each is done
// once, by whichever instance, and all of it in the end. Sweeps, deadlines, jobs, leases, hub and
// keeper are the production ones; database, agents and map threads are simulated.
#include "sim/seeds.h"
#include "sim/sim_agents.h"
#include "sim/work_instance.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

namespace nb::sim {
namespace {

using namespace std::chrono_literals;

constexpr int kPeers = 9;  // every third is ephemeral

/// What is due for long and not done. Time goes on, so that something always is due.
std::string undone(World& world, const WorkCluster& cluster) {
  const WallTime long_ago = world.clock().wall() - 25s;
  for (const auto& [id, row] : cluster.database.rows) {
    if (WorkDatabase::login_due(row, long_ago)) return id + " is still logged in";
    if (WorkDatabase::idle_due(row, long_ago)) return id + " need not log in again";
    if (WorkDatabase::ephemeral_due(row, world.clock().wall() - 60s)) return id + " is still there";
  }
  for (const auto& [id, row] : cluster.database.jobs)
    if (row.pending) return id + " is pending for ever";
  int janitors = 0;
  for (const auto& node : world.nodes()) {
    const auto* instance = node->as<WorkInstance>();
    if (instance == nullptr) return node->name() + " is down";
    janitors += instance->tidies_up() ? 1 : 0;
    for (const auto& [token, stream] : instance->streams()) {
      const std::string& peer = cluster.agents[stream->agent].peer;
      const auto open = cluster.database.streams.find(peer);
      if (open == cluster.database.streams.end() || open->second.epoch != stream->epoch)
        return peer + " has a Job stream that is not its newest";
      if (!cluster.database.welcome(peer)) return peer + " has a Job stream and may have none";
    }
  }
  return janitors == 1 ? std::string{} : fmt::format("{} instances tidy up", janitors);
}

Faults everything() {
  return {.drop = 0.02,
          .lose = 0.2,
          .duplicate = 0.1,
          .delay_max = 300ms,
          .reorder = true,
          .pause = 0.01,
          .pause_max = 60s,
          .crash = 0.005,
          .downtime_max = 10s,
          .cut = 0.02,
          .cut_max = 10s,
          .store_down = 0.01,
          .store_down_max = 10s,
          .store_forgets = true,
          .flush = 0.02};
}

void operators_act(World& world, const WorkCluster& cluster) {
  const std::size_t at = world.pick(world.nodes().size());
  auto* const instance = world.nodes()[at]->as<WorkInstance>();
  if (instance == nullptr || world.nodes()[at]->paused()) return;
  instance->order(cluster.agents[world.pick(cluster.agents.size())].peer);
}

void boot(World& world, const std::shared_ptr<WorkCluster>& shared) {
  for (int i = 0; i < kPeers; ++i) {
    const std::string id = "p" + std::to_string(i);
    shared->agents.push_back({.peer = id});
    WorkDatabase::Row& row = shared->database.rows[id];
    row.ephemeral = i % 3 == 0;
    row.last_seen = world.clock().wall();
  }
  add_instances<WorkInstance>(world, shared, 2 + world.pick(2));
}

/// So that there is something left to do when nobody acts any more: agents that never come back,
/// a process that ends with what it had in hand, and deadlines that are forgotten.
void last_blows(World& world, WorkCluster& cluster) {
  for (SimAgent& agent : cluster.agents) {
    if (agent.stream_token == 0 || !world.chance(0.4)) continue;
    agent.gone = true;
    if (auto* const instance = world.nodes()[agent.node]->as<WorkInstance>())
      instance->drop(std::exchange(agent.stream_token, 0));
  }
  world.run_for(world.between(1s, 5s));
  if (world.chance(0.5)) world.nodes()[0]->crash();
  world.flush_store();
}

struct Seen {
  std::uint64_t ended = 0;
  std::uint64_t runs = 0;
};

std::string first_alarm(const WorkCluster& cluster) {
  return cluster.alarm.empty() ? cluster.database.alarm : cluster.alarm;
}

/// Runs one seed; what went wrong, or nothing.
std::string run(World& world, const WorkFlaws& flaws, Duration storm, Seen* seen = nullptr) {
  const auto shared = std::make_shared<WorkCluster>();
  WorkCluster& cluster = *shared;
  cluster.database.flaws = flaws;
  boot(world, shared);
  world.faults = everything();
  const Instant calm_at = world.now() + storm;
  while (world.now() < calm_at) {
    agents_act<WorkInstance>(world, cluster, 0.005, [&world] { return world.chance(0.02); });
    if (world.chance(0.2)) operators_act(world, cluster);
    cluster.database.down = cluster.database.down ? !world.chance(0.1) : world.chance(0.01);
    world.run_for(world.between(1ms, 400ms));
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
  }
  cluster.database.down = false;
  cluster.database.cut_one_in = 0;
  last_blows(world, cluster);
  world.heal();
  std::string left = "never looked";
  // Long enough for what was not due yet to be late.
  for (int round = 0; round < 240 && (round < 110 || !left.empty()); ++round) {
    world.run_for(1s);
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
    left = undone(world, cluster);
  }
  if (seen != nullptr) {
    seen->ended += cluster.database.ended;
    seen->runs += cluster.runs.size();
  }
  return left;
}

constexpr Duration kStorm = 90s;

bool alarms(World& world, const WorkFlaws& flaws) {
  return !run(world, flaws, kStorm).empty();
}

TEST(MgmtWorkSim, WhatIsDueIsDoneOnceAndNothingIsLeft) {
  Seen seen;
  for_seeds(1000, [&](World& world) {
    const std::string what = run(world, {}, kStorm, &seen);
    EXPECT_EQ(what, "") << world.replay();
  });
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_GT(seen.ended, 0U);
    EXPECT_GT(seen.runs, 0U);
  }
}

TEST(MgmtWorkSim, JobWhoseGivingNobodyHeardOfDoesNotPend) {
  for_seeds(20, [](World& world) {
    EXPECT_EQ(run(world, {.loses_claims = true}, kStorm), "") << world.replay();
  });
}

TEST(MgmtWorkSim, OneSeedRunsTheSameTwice) {
  std::uint64_t prints[2];
  for (auto& print : prints) {
    World world(7);
    static_cast<void>(run(world, {}, 20s));
    print = world.fingerprint();
  }
  EXPECT_EQ(prints[0], prints[1]);
}

TEST(MgmtWorkSim, HearsASweepThatTakesRowsOfAnother) {
  EXPECT_GT(count_alarms(80, [](World& w) { return alarms(w, {.forgets_locks = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAClockThatIsFast) {
  EXPECT_GT(count_alarms(20, [](World& w) { return alarms(w, {.trusts_hosts = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAnEphemeralPeerThatRedisForgot) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.trusts_set = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAJobThatIsGivenTwice) {
  EXPECT_GT(count_alarms(20, [](World& w) { return alarms(w, {.gives_twice = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsThatNobodyTidiesUp) {
  EXPECT_GT(count_alarms(40, [](World& w) { return alarms(w, {.never_sweeps = true}); }), 0U);
}

TEST(MgmtWorkSim, HearsAStreamOfAPeerThatMayHaveNone) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.never_looks = true}); }), 0U);
}

}  // namespace
}  // namespace nb::sim
