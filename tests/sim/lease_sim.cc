// Leases under everything that goes wrong: never two holders, and one again after healing.
// The smallest example of a simulation; see ha/sim/world.h.
#include "base/task_group.h"
#include "ha/local/adapters.h"
#include "sim/seeds.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace nb::sim {
namespace {
namespace asio = boost::asio;
using namespace std::chrono_literals;

/// What a planted flaw changes.
struct Flaws {
  bool trusts_answer =
      false;  // thinks it holds while it has not heard otherwise, whatever the time
};

/// Takes the lease whenever it can, works under it for a while, gives it back.
class Worker final : public Process {
 public:
  Worker(NodeEnv& env, Flaws flaws)
      : env_(env),
        flaws_(flaws),
        leases_(env.home, std::make_unique<ha::LocalLeaseStore>(env.store, "nb:mgmt:lock:"),
                env.clock, env.random),
        tasks_(env.home) {
    tasks_.spawn(run());
  }
  asio::awaitable<void> stop() override {
    co_await tasks_.stop();
    co_await leases_.stop();
  }
  /// Whether it would start a step of the work now.
  [[nodiscard]] bool working() const { return lease_ && (flaws_.trusts_answer || lease_.held()); }
  [[nodiscard]] std::uint64_t fence() const { return lease_.fence(); }
  [[nodiscard]] int turns() const { return turns_; }

 private:
  asio::awaitable<void> run() {
    const ha::Resource job{"job"};
    const ha::AcquireOptions options{.ttl = 3s, .wait = 10s};
    for (;;) {
      auto lease = co_await leases_.acquire(job, options);
      if (!lease) {
        co_await env_.clock.sleep_for(100ms);
        continue;
      }
      lease_ = std::move(*lease);
      ++turns_;
      env_.world.note(env_.name + " holds");
      co_await env_.clock.sleep_for(std::chrono::milliseconds(env_.random() % 10'000));
      co_await lease_.release();
      env_.world.note(env_.name + " is done");
      co_await env_.clock.sleep_for(2s);  // others' turn: leases promise no fairness
    }
  }
  NodeEnv& env_;
  Flaws flaws_;
  ha::StoreLeases leases_;
  ha::Lease lease_;
  int turns_ = 0;
  TaskGroup tasks_;
};

Boot a_worker(Flaws flaws = {}) {
  return [flaws](NodeEnv& env) { return std::make_unique<Worker>(env, flaws); };
}

int working(World& world) {
  int count = 0;
  for (const auto& node : world.nodes()) {
    // Who is paused does nothing; it is asked again when it goes on.
    const auto* worker = node->as<Worker>();
    if (worker && !node->paused() && worker->working()) ++count;
  }
  return count;
}

// No data loss here: a store that forgets a lock may give it to a second holder. That is what the
// fence is for; FencesGrowOverDataLoss has it.
Faults everything_but_loss() {
  return {.drop = 0.02,
          .lose = 0.05,
          .duplicate = 0.05,
          .delay_max = 400ms,
          .reorder = true,
          .pause = 0.02,
          .pause_max = 10s,
          .crash = 0.005,
          .downtime_max = 10s,
          .cut = 0.02,
          .cut_max = 8s,
          .split = 0.01,
          .store_down = 0.005,
          .store_down_max = 8s};
}

TEST(LeaseSim, NeverTwoHoldersAndHealsToOne) {
  for_seeds(200, [](World& world) {
    for (const char* name : {"a", "b", "c"}) world.add_node(name, a_worker());
    world.faults = everything_but_loss();
    world.run_for(5min, [&] { ASSERT_LE(working(world), 1) << world.replay(); });
    if (testing::Test::HasFailure()) return;
    world.heal();
    std::vector<int> before;
    EXPECT_TRUE(world.run_until([&] { return working(world) == 1; }, 30s)) << world.replay();
    for (const auto& node : world.nodes()) before.push_back(node->as<Worker>()->turns());
    world.run_for(5min, [&] { ASSERT_LE(working(world), 1) << world.replay(); });
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_GT(world.nodes()[i]->as<Worker>()->turns(), before[i])
          << "starved; " << world.replay();
    }
  });
}

TEST(LeaseSim, HolderThatTrustsItsLastAnswerIsCaught) {
  const auto alarms = count_alarms(20, [](World& world) {
    for (const char* name : {"a", "b", "c"})
      world.add_node(name, a_worker({.trusts_answer = true}));
    world.faults = everything_but_loss();
    bool alarm = false;
    world.run_for(5min, [&] { alarm = alarm || working(world) > 1; });
    return alarm;
  });
  EXPECT_GE(alarms, 15U);
}

TEST(LeaseSim, FencesGrowOverDataLoss) {
  for_seeds(100, [](World& world) {
    for (const char* name : {"a", "b", "c"}) world.add_node(name, a_worker());
    world.faults = everything_but_loss();
    world.faults.flush = 0.05;
    world.faults.store_forgets = true;
    // The order in which the store granted: each must be above all before.
    std::uint64_t newest = 0;
    std::string holder;
    world.run_for(5min, [&] {
      const auto it = world.store().leases.locks.find("nb:mgmt:lock:job");
      if (it == world.store().leases.locks.end() || it->second.token == holder) return;
      holder = it->second.token;
      const auto fence = world.store().leases.fences.at("nb:mgmt:lock:job");
      ASSERT_GT(fence, newest) << world.replay();
      newest = fence;
    });
  });
}

std::uint64_t fingerprint_of(std::uint64_t seed) {
  World world(seed);
  for (const char* name : {"a", "b", "c"}) world.add_node(name, a_worker());
  world.faults = everything_but_loss();
  world.run_for(2min);
  return world.fingerprint();
}

TEST(LeaseSim, SameSeedIsTheSameRun) {
  EXPECT_EQ(fingerprint_of(7), fingerprint_of(7));
  EXPECT_NE(fingerprint_of(7), fingerprint_of(8));
}

}  // namespace
}  // namespace nb::sim
