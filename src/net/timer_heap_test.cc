#include "net/timer_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace nb::net {
namespace {

struct Probe final : Timer {
  void on_timer(Instant now) override {
    fired_at = now;
    ++count;
  }
  Instant fired_at{};
  int count = 0;
};

Instant at(int ms) {
  return Instant{} + std::chrono::milliseconds(ms);
}

TEST(TimerHeap, FiresWhatIsDueAndNothingElse) {
  TimerHeap heap;
  Probe early;
  Probe late;
  heap.arm(late, at(20));
  heap.arm(early, at(10));
  EXPECT_EQ(heap.earliest(), at(10));
  heap.run(at(15));
  EXPECT_EQ(early.count, 1);
  EXPECT_EQ(late.count, 0);
  EXPECT_FALSE(early.armed());
  heap.arm(late, at(12));
  heap.run(at(15));
  EXPECT_EQ(late.count, 1);
  EXPECT_EQ(heap.earliest(), std::nullopt);
}

TEST(TimerHeap, AgreesWithASortedListOverRandomUse) {
  std::mt19937 random(7);
  TimerHeap heap;
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<int> due(200, -1);
  for (int i = 0; i < 200; ++i) probes.push_back(std::make_unique<Probe>());
  for (int step = 0; step < 5000; ++step) {
    const std::size_t i = random() % probes.size();
    if (random() % 3 == 0) {
      heap.cancel(*probes[i]);
      due[i] = -1;
    } else {
      due[i] = static_cast<int>(random() % 1000);
      heap.arm(*probes[i], at(due[i]));
    }
    int earliest = 1000;
    for (const int each : due) {
      if (each >= 0) earliest = std::min(earliest, each);
    }
    ASSERT_EQ(heap.earliest().has_value(), earliest < 1000);
    if (earliest < 1000) {
      ASSERT_EQ(*heap.earliest(), at(earliest));
    }
  }
  heap.run(at(1000));
  for (std::size_t i = 0; i < probes.size(); ++i) EXPECT_EQ(probes[i]->count, due[i] >= 0 ? 1 : 0);
}

}  // namespace
}  // namespace nb::net
