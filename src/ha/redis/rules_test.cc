// Property tests: the Lua of the Redis adapters and the tables in C++ agree on random histories,
// whatever outsiders write in between.
#include "ha/directory_table.h"
#include "ha/login_rules.h"
#include "ha/redis/contract_rig.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace nb::ha {
namespace {

class RulesTest : public testing::Test {
 protected:
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[engine() % all.size()];
  }
  void raw(std::vector<std::string> words) {
    ASSERT_TRUE(rig.get(rig.side().client.command_args(std::move(words))));
  }
  RedisRig rig;
  std::mt19937_64 engine{41};
};

std::string text(const std::optional<Holder>& holder) {
  if (!holder) return "nobody";
  return holder->instance.value() + " " + (holder->claim ? token(*holder->claim) : "no token");
}

TEST_F(RulesTest, DirectoryInLuaIsTheTable) {
  const auto directory = rig.directory();
  DirectoryTable table;
  const std::vector<std::string> peers{"p", "q"};
  const std::vector<std::string> instances{"a", "b", "r/1:x"};
  const std::vector<std::string> boots{"b1", "b2"};
  const std::vector<std::string> tokens{"a/b1/3",  "b/b2/4", "r/1:x/b1/9007199254740991",
                                        "garbage", "a/b1/",  "a/b1/007",
                                        "a b/b/1", "//1",    "a/b1/9007199254740992"};
  const std::string registry = kContractRegistry, epochs = registry + ":epoch";
  std::vector<PeerClaim> made;
  int steps_of[9] = {};
  for (int step = 0; step < 4000; ++step) {
    const PeerKey peer{one_of(peers)};
    Claim claim{InstanceId{one_of(instances)}, Incarnation{one_of(boots)}, engine() % 8};
    if (!made.empty() && engine() % 2 == 0) claim = one_of(made).claim;
    const auto what = engine() % 9;
    ++steps_of[what];
    SCOPED_TRACE(fmt::format("step {} kind {} peer {} claim {} stored: {}", step, what,
                             peer.value(), token(claim), text(table.find(peer))));
    switch (what) {
      case 0: {
        const auto lua = rig.get(directory->claim(peer, claim));
        const Claimed ours = table.claim(peer, claim);
        ASSERT_TRUE(lua);
        ASSERT_EQ(token(lua->claim), token(ours.claim));
        ASSERT_EQ(text(lua->previous), text(ours.previous));
        made.push_back({peer, ours.claim});
        break;
      }
      case 1: {
        const auto lua = rig.get(directory->release(peer, claim));
        ASSERT_TRUE(lua);
        ASSERT_EQ(*lua, table.release(peer, claim));
        break;
      }
      case 2:
      case 3: {
        const auto lua = rig.get(directory->reassert({{peer, claim}}));
        const Reasserted ours = table.reassert(peer, claim);
        ASSERT_TRUE(lua);
        ASSERT_EQ(lua->at(0).kept, ours.kept);
        ASSERT_EQ(text(lua->at(0).holder), text(ours.holder));
        break;
      }
      case 4: {
        const auto seen = table.find(peer);
        const Holder target =
            seen && engine() % 2 == 0
                ? *seen
                : Holder{claim.instance, engine() % 2 == 0 ? std::optional(claim) : std::nullopt};
        const auto lua = rig.get(directory->forget(peer, target));
        ASSERT_TRUE(lua);
        ASSERT_EQ(*lua, table.forget(peer, target));
        break;
      }
      case 5:
        raw({"HSET", registry, peer.value(), claim.instance.value()});
        table.registry[peer.value()] = claim.instance.value();
        break;
      case 6:
        raw({"HDEL", registry, peer.value()});
        table.registry.erase(peer.value());
        break;
      case 7:
        if (engine() % 2 == 0) {
          const std::string& value = one_of(tokens);
          raw({"HSET", epochs, peer.value(), value});
          table.epochs[peer.value()] = value;
        } else {
          raw({"HDEL", epochs, peer.value()});
          table.epochs.erase(peer.value());
        }
        break;
      default: {
        const bool fields = engine() % 2 == 0;
        raw({"DEL", fields ? registry : epochs});
        (fields ? table.registry : table.epochs).clear();
      }
    }
    const auto lua = rig.get(directory->find(peer));
    ASSERT_TRUE(lua);
    ASSERT_EQ(text(*lua), text(table.find(peer)));
    if (::testing::Test::HasFatalFailure()) return;
  }
  for (const int count : steps_of) EXPECT_GT(count, 100);
}

TEST_F(RulesTest, LoginFilterInLuaIsTheRules) {
  const LoginFilterConfig config{.reconnects_max = 5,
                                 .window = std::chrono::milliseconds(1000),
                                 .ban = std::chrono::milliseconds(700),
                                 .ban_level_max = 4,
                                 .calm = std::chrono::milliseconds(3000),
                                 .meta_changes_max = 3,
                                 .meta_window = std::chrono::milliseconds(900)};
  std::int64_t now = 1'700'000'000'000;
  RedisLoginFilter filter(rig.side().client, "nb:mgmt:loginfilter", config);
  rig.on_home([&] { filter.set_time([&now] { return now; }); });
  LoginTable table;
  const std::vector<std::uint64_t> hashes{0, 1, ~0ULL, ~0ULL - 1};
  const std::vector<std::string> garbage{"{}", "", "1|x|0|0|0|0|0|", "2|0|0|0|0|0|0|"};
  int kinds[3] = {};
  for (int step = 0; step < 6000; ++step) {
    // Mostly close together, sometimes a long silence; hashes in streaks so that bans happen.
    now += static_cast<std::int64_t>(engine() % 100 == 0 ? engine() % 8000 : engine() % 150);
    const LoginAttempt attempt{engine() % 3 == 0 ? "p" : "q",
                               engine() % 6 == 0 ? one_of(hashes) : hashes[step / 200 % 4]};
    SCOPED_TRACE(fmt::format("step {} now {} peer {} hash {:x} state '{}'", step, now, attempt.peer,
                             attempt.meta_hash, table.states[attempt.peer]));
    if (engine() % 300 == 0) {
      const std::string& value = one_of(garbage);
      raw({"HSET", "nb:mgmt:loginfilter", attempt.peer, value});
      table.states[attempt.peer] = value;
    }
    const bool add = engine() % 4 != 0;
    const LoginVerdict lua = rig.get(add ? filter.check_and_add(attempt) : filter.check(attempt));
    const LoginVerdict ours =
        add ? table.check_and_add(config, attempt, now) : table.check(config, attempt, now);
    ASSERT_EQ(static_cast<int>(lua.kind), static_cast<int>(ours.kind));
    ASSERT_EQ(lua.retry_after, ours.retry_after);
    ++kinds[static_cast<int>(lua.kind)];
    if (lua.allowed() && add) {
      auto stored = rig.get(rig.side().client.command("HGET", "nb:mgmt:loginfilter", attempt.peer));
      ASSERT_TRUE(stored);
      ASSERT_EQ(stored->text, table.states[attempt.peer]);
    }
  }
  for (const int count : kinds) EXPECT_GT(count, 50);
}

}  // namespace
}  // namespace nb::ha
