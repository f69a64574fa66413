// Loops over seeds for simulation tests.
//
//   TEST(LeaseSim, NeverTwoHolders) {
//     sim::for_seeds(300, [](sim::World& world) {
//       …; world.run_for(10min, [&] { ASSERT_LE(holders, 1) << world.replay(); });
//     });
//   }
//
// NB_SIM_SEED=41 runs only that seed, NB_SIM_SEEDS=5000 more of them; the loop ends with the first
// seed that fails. A companion that plants a flaw uses count_alarms().
#pragma once

#include "ha/sim/world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>

namespace nb::sim {

inline std::string running_test() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  if (!info) return "<no test>";
  const auto& program = testing::internal::GetArgvs();
  return fmt::format("{} --gtest_filter={}.{}", program.empty() ? "<program>" : program[0],
                     info->test_suite_name(), info->name());
}

inline void for_seeds(std::uint64_t count, const std::function<void(World&)>& run) {
  World::set_test_name(&running_test);
  std::uint64_t first = 1;
  if (const char* one = std::getenv("NB_SIM_SEED")) {
    first = std::strtoull(one, nullptr, 10);
    count = 1;
  } else if (const char* more = std::getenv("NB_SIM_SEEDS")) {
    count = std::strtoull(more, nullptr, 10);
  }
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    World world(seed);
    run(world);
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << world.replay();
      return;
    }
  }
}

/// How many of `count` seeds end with `run` returning true (the alarm went off).
inline std::uint64_t count_alarms(std::uint64_t count, const std::function<bool(World&)>& run) {
  std::uint64_t alarms = 0;
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    World world(seed);
    if (run(world)) ++alarms;
  }
  return alarms;
}

}  // namespace nb::sim
