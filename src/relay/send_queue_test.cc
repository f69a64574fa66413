#include "relay/send_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace nb::relay {
namespace {

using Refusal = SendQueue::Refusal;

struct RelaySendQueue : testing::Test {
  Refusal push(SendQueue& queue, std::size_t size, std::size_t sender, char fill = 'x') {
    const auto room = queue.push(size, 4, sender);
    std::fill(room.bytes.begin(), room.bytes.end(), static_cast<std::uint8_t>(fill));
    return room.refusal;
  }
  std::string pop(SendQueue& queue, std::size_t bytes) {
    net::OutputBuffer out;
    taken = queue.pop(out, bytes);
    return {reinterpret_cast<const char*>(out.view().data()), out.view().size()};
  }
  BlockPool pool{100};
  SendQueue::Taken taken;
};

TEST_F(RelaySendQueue, GivesWholeFramesInTheOrderTheyCame) {
  SendQueue queue(pool, 100'000);
  push(queue, 10, 1, 'a');
  push(queue, 8'000, 2, 'b');
  push(queue, 9'000, 3, 'c');
  std::string first_two(10, 'a');
  first_two.append(8'000, 'b');
  EXPECT_EQ(pop(queue, 11), first_two);
  EXPECT_EQ(taken.frames, 2U);
  EXPECT_EQ(taken.message_bytes, 8'002U);
  EXPECT_EQ(pop(queue, 1), std::string(9'000, 'c'));
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0U);
}

TEST_F(RelaySendQueue, KeepsNoMemoryWhenEmpty) {
  SendQueue queue(pool, 1'000'000);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) push(queue, 1'200, static_cast<std::size_t>(i));
    EXPECT_GT(pool.used(), 0U);
    pop(queue, 1'000'000);
    EXPECT_EQ(pool.used(), 0U);
  }
}

TEST_F(RelaySendQueue, RefusesTheNewestWhenFull) {
  SendQueue queue(pool, 10'000);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(push(queue, 1'000, i, 'o'), Refusal::kNone);
  EXPECT_EQ(push(queue, 1'000, 11, 'n'), Refusal::kFull);
  EXPECT_EQ(pop(queue, 100'000), std::string(10'000, 'o'));
}

TEST_F(RelaySendQueue, OneSenderFillsNoMoreThanHalf) {
  SendQueue queue(pool, 100'000);
  int flooder = 0;
  while (push(queue, 1'000, 1) == Refusal::kNone) ++flooder;
  EXPECT_EQ(flooder, 50);
  EXPECT_EQ(push(queue, 1'000, 1), Refusal::kUnfair);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(push(queue, 1'000, 2), Refusal::kNone) << i;
  pop(queue, 30'000);
  EXPECT_EQ(push(queue, 1'000, 1), Refusal::kNone) << "its share is free again";
}

TEST_F(RelaySendQueue, MemoryOfAllQueuesIsLimited) {
  BlockPool small(2);
  SendQueue first(small, 1'000'000);
  SendQueue second(small, 1'000'000);
  EXPECT_EQ(first.push(9'000, 4, 1).refusal, Refusal::kNone);
  EXPECT_EQ(second.push(9'000, 4, 1).refusal, Refusal::kNone);
  EXPECT_EQ(first.push(9'000, 4, 1).refusal, Refusal::kNoMemory);
  second.clear();
  EXPECT_EQ(first.push(9'000, 4, 1).refusal, Refusal::kNone);
}

TEST(RelayBlockPool, KeepsWhatIsNeededAgainAndAgainAndFreesTheRest) {
  BlockPool pool(100, {.min = 2, .max = 8});
  const auto burst = [&pool](std::size_t count) {
    std::vector<Block*> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(pool.take());
    for (Block* const block : blocks) pool.give(block);
  };
  burst(10);
  EXPECT_EQ(pool.spare(), 8U);
  pool.trim();
  burst(5);
  pool.trim();
  EXPECT_EQ(pool.spare(), 5U) << "three of eight were not needed";
  burst(5);
  pool.trim();
  EXPECT_EQ(pool.spare(), 5U);
  pool.trim();
  EXPECT_EQ(pool.spare(), 2U) << "idle";
}

}  // namespace
}  // namespace nb::relay
