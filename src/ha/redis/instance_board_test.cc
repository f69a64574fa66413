// The board over a real Redis: what the keys of a membership tell from outside.
#include "ha/redis/instance_board.h"

#include "ha/redis/contract_rig.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {

class RedisBoard : public testing::Test {
 protected:
  std::unique_ptr<Membership> start(const std::string& id, const std::string& boot,
                                    std::string metadata) {
    auto member = rig.membership(
        id, boot,
        {.service = "signal", .ttl = std::chrono::seconds(30), .metadata = std::move(metadata)});
    EXPECT_TRUE(rig.get(member->beat()));
    return member;
  }
  std::vector<BoardEntry> list() {
    auto entries = rig.get(board.list());
    EXPECT_TRUE(entries);
    return entries ? *std::move(entries) : std::vector<BoardEntry>{};
  }
  bool ordered(const std::string& id, const std::string& boot) {
    const auto answer = rig.get(board.drain_ordered(InstanceId(id), Incarnation(boot)));
    EXPECT_TRUE(answer);
    return answer && *answer;
  }
  RedisRig rig;
  RedisInstanceBoard board{rig.side().client, "signal"};
};

TEST_F(RedisBoard, ListsMembersWithTheirFacts) {
  EXPECT_TRUE(list().empty());
  const auto b = start("b", "2", "");
  const auto a = start("a", "1", "version=1.1 peers=3");
  const auto entries = list();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].id, InstanceId("a"));
  EXPECT_EQ(entries[0].incarnation, Incarnation("1"));
  EXPECT_TRUE(entries[0].alive);
  EXPECT_GT(entries[0].left.count(), 0);
  EXPECT_EQ(entries[0].facts.version, "1.1");
  EXPECT_EQ(entries[0].facts.peers, 3U);
  EXPECT_EQ(entries[1].facts, InstanceFacts{});  // a version that tells nothing
  EXPECT_TRUE(rig.get(b->leave()));
  EXPECT_EQ(list().size(), 1U);
  rig.redis().cli({"DEL", "nb:signal:alive:a"});
  ASSERT_EQ(list().size(), 1U);
  EXPECT_FALSE(list()[0].alive);
}

TEST_F(RedisBoard, AnOrderIsForOneIncarnation) {
  const auto first = start("a", "1", "");
  EXPECT_FALSE(ordered("a", "1"));
  EXPECT_TRUE(rig.get(board.order_drain(InstanceId("a"), Incarnation("1"))));
  EXPECT_TRUE(ordered("a", "1"));
  EXPECT_TRUE(list()[0].drain_ordered);
  const auto second = start("a", "2", "");
  EXPECT_FALSE(ordered("a", "2"));
  EXPECT_FALSE(list()[0].drain_ordered);
  EXPECT_NE(rig.redis().cli({"PTTL", "nb:signal:drain:a"}), "-1");
}

TEST_F(RedisBoard, LeavesKeysOfOutsidersAlone) {
  for (const char* const key :
       {"nb:signal:alive:a", "nb:signal:instances:info", "nb:signal:drain:a"})
    rig.redis().cli({"RPUSH", key, "x"});
  rig.redis().cli({"ZADD", "nb:signal:instances", "1", "a"});
  ASSERT_EQ(list().size(), 1U);
  EXPECT_FALSE(list()[0].alive);
  for (const char* const key :
       {"nb:signal:alive:a", "nb:signal:instances:info", "nb:signal:drain:a"})
    EXPECT_EQ(rig.redis().cli({"TYPE", key}), "list");
  rig.redis().cli({"DEL", "nb:signal:instances"});
  rig.redis().cli({"SET", "nb:signal:instances", "x"});
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(rig.redis().cli({"TYPE", "nb:signal:instances"}), "string");
}

}  // namespace
}  // namespace nb::ha
