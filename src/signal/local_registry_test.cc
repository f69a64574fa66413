#include "signal/local_registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace nb::signal {
namespace {

TEST(LocalRegistry, NewerStreamReplacesAndOlderIsReturned) {
  LocalRegistry registry;
  EXPECT_FALSE(registry.insert("p", {.stream = 1, .loop = 0}));
  const auto old = registry.insert("p", {.stream = 2, .loop = 1});
  ASSERT_TRUE(old);
  EXPECT_EQ(old->stream, 1U);
  EXPECT_EQ(registry.find("p")->stream, 2U);
}

TEST(LocalRegistry, OlderStreamDoesNotReplaceANewerOne) {
  LocalRegistry registry;
  EXPECT_FALSE(registry.insert("p", {.stream = 2, .loop = 1}));
  const auto other = registry.insert("p", {.stream = 1, .loop = 0});
  ASSERT_TRUE(other);
  EXPECT_EQ(other->stream, 2U);
  EXPECT_EQ(registry.find("p")->stream, 2U);
}

TEST(LocalRegistry, EndOfADisplacedStreamLeavesTheNewEntry) {
  LocalRegistry registry;
  registry.insert("p", {.stream = 1});
  registry.insert("p", {.stream = 2});
  EXPECT_FALSE(registry.erase("p", 1));
  EXPECT_TRUE(registry.find("p"));
  EXPECT_TRUE(registry.erase("p", 2));
  EXPECT_FALSE(registry.find("p"));
  EXPECT_EQ(registry.size(), 0U);
}

TEST(LocalRegistry, CongestionBelongsToOneStream) {
  LocalRegistry registry;
  registry.insert("p", {.stream = 2});
  registry.set_congested("p", 1, true);
  EXPECT_FALSE(registry.find("p")->congested);
  registry.set_congested("p", 2, true);
  EXPECT_TRUE(registry.find("p")->congested);
}

TEST(LocalRegistry, NewestStreamWinsAmongManyThreads) {
  LocalRegistry registry;
  std::atomic<std::uint64_t> next{1};
  std::vector<std::thread> threads;
  for (std::uint32_t loop = 0; loop < 4; ++loop) {
    threads.emplace_back([&, loop] {
      for (int i = 0; i < 5'000; ++i) {
        const std::uint64_t stream = next.fetch_add(1);
        registry.insert("p", {.stream = stream, .loop = loop});
        if (i % 3 == 0) registry.erase("p", stream - 1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  registry.insert("p", {.stream = next.load()});
  EXPECT_EQ(registry.find("p")->stream, next.load());
  EXPECT_EQ(registry.size(), 1U);
}

}  // namespace
}  // namespace nb::signal
