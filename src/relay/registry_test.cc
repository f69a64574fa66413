#include "relay/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace nb::relay {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const PeerId kA = crypto::relay_peer_id("a");
const Route kFirst{0, 1, 11};
const Route kSecond{1, 1, 12};
const Route kWatcher{0, 2, 13};
const Instant kStart = Instant{} + 1h;

struct RelayRegistry : testing::Test {
  Registry registry{{.replacements_max = 2, .replacement_window = 10s}};
};

TEST_F(RelayRegistry, TheNewestConnectionHasTheId) {
  EXPECT_FALSE(registry.claim(kA, kFirst, kStart).displaced.somebody());
  EXPECT_EQ(registry.claim(kA, kSecond, kStart).displaced, kFirst);
  EXPECT_EQ(registry.find(kA), kSecond);
}

TEST_F(RelayRegistry, TheEndOfADisplacedConnectionIsNoNews) {
  registry.watch(kA, kWatcher);
  registry.claim(kA, kFirst, kStart);
  const auto claim = registry.claim(kA, kSecond, kStart);
  EXPECT_THAT(claim.change.watchers, IsEmpty());
  EXPECT_FALSE(registry.leave(kA, kFirst));
  EXPECT_EQ(registry.find(kA), kSecond);
}

TEST_F(RelayRegistry, OnlineIsToldOnceAndOfflineEachTime) {
  EXPECT_FALSE(registry.watch(kA, kWatcher).online);
  EXPECT_THAT(registry.claim(kA, kFirst, kStart).change.watchers, ElementsAre(kWatcher));
  EXPECT_THAT(registry.leave(kA, kFirst)->watchers, ElementsAre(kWatcher));
  EXPECT_THAT(registry.claim(kA, kSecond, kStart).change.watchers, IsEmpty());
  EXPECT_THAT(registry.leave(kA, kSecond)->watchers, ElementsAre(kWatcher));
  registry.watch(kA, kWatcher);
  EXPECT_THAT(registry.claim(kA, kFirst, kStart).change.watchers, ElementsAre(kWatcher));
}

TEST_F(RelayRegistry, WhoIsThereAlreadyIsKnownAtOnceAndInOrder) {
  const auto claim = registry.claim(kA, kFirst, kStart);
  const auto state = registry.watch(kA, kWatcher);
  EXPECT_TRUE(state.online);
  EXPECT_GT(state.order, claim.change.order);
  EXPECT_GT(registry.leave(kA, kFirst)->order, state.order);
}

TEST_F(RelayRegistry, AnIdTakenOverTooOftenIsLeftAlone) {
  registry.claim(kA, {0, 0, 1}, kStart);
  EXPECT_FALSE(registry.claim(kA, {0, 0, 2}, kStart).refused);
  EXPECT_FALSE(registry.claim(kA, {0, 0, 3}, kStart + 1s).refused);
  EXPECT_TRUE(registry.claim(kA, {0, 0, 4}, kStart + 2s).refused);
  EXPECT_EQ(registry.find(kA).serial, 3U);
  EXPECT_FALSE(registry.claim(kA, {0, 0, 5}, kStart + 10s).refused);
}

TEST_F(RelayRegistry, ItsVersionTellsOfEveryChangeOfARoute) {
  std::uint64_t before = registry.version();
  const auto changed = [&] {
    return std::exchange(before, registry.version()) != registry.version();
  };
  registry.claim(kA, kFirst, kStart);
  EXPECT_TRUE(changed());
  registry.claim(kA, kSecond, kStart);
  EXPECT_TRUE(changed());
  registry.leave(kA, kFirst);
  EXPECT_FALSE(changed());
  registry.leave(kA, kSecond);
  EXPECT_TRUE(changed());
}

TEST_F(RelayRegistry, KeepsNothingOfWhoIsGone) {
  registry.watch(kA, kWatcher);
  registry.claim(kA, kFirst, kStart);
  registry.leave(kA, kFirst);
  EXPECT_EQ(registry.size(), 1U);
  registry.unwatch(kA, kWatcher);
  EXPECT_EQ(registry.size(), 0U);
  registry.claim(kA, kFirst, kStart);
  registry.unwatch(kA, kWatcher);
  EXPECT_EQ(registry.size(), 1U);
  registry.leave(kA, kFirst);
  EXPECT_EQ(registry.size(), 0U);
}

}  // namespace
}  // namespace nb::relay
