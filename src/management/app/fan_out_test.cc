#include "management/app/fan_out.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace nb::management::app {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Effects = std::vector<FanOut::Effect>;

constexpr Instant kStart{1h};

class FanOutTest : public testing::Test {
 protected:
  /// A stream that has had its first map from a snapshot of `serial`.
  void settled(StreamNumber number, const std::string& peer, Serial serial) {
    fan_out.opened(number, "acc", peer, static_cast<std::int64_t>(number), serial, now);
    if (fan_out.loaded_serial("acc") < serial) fan_out.loaded("acc", serial, std::nullopt, now);
    fan_out.ready(number, std::nullopt, now);
    ignore_effects();
  }
  void ignore_effects() { static_cast<void>(fan_out.take_effects()); }
  Effects effects() { return fan_out.take_effects(); }
  void pass(std::chrono::nanoseconds time) {
    now += time;
    fan_out.tick(now);
  }

  Instant now = kStart;
  FanOut fan_out{FanOutOptions{.window = 1s, .load_retry = 1s, .builds_max = 2, .slow_after = 2s}};
};

FanOut::Effect build(StreamNumber stream) {
  return FanOut::Build{stream, "acc"};
}
FanOut::Effect load(Serial serial) {
  return FanOut::Load{"acc", serial};
}
FanOut::Affected peers(std::vector<std::string> ids) {
  return ids;
}

TEST_F(FanOutTest, FirstMapIsAtLeastTheSerialReadAfterSubscribing) {
  fan_out.opened(1, "acc", "a", 1, 7, now);
  EXPECT_THAT(effects(), ElementsAre(load(7)));
  fan_out.loaded("acc", 6, std::nullopt, now);  // a lagging read
  EXPECT_THAT(effects(), IsEmpty());
  pass(1s);
  EXPECT_THAT(effects(), ElementsAre(load(7)));
  fan_out.loaded("acc", 7, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
}

TEST_F(FanOutTest, LoadWaitsForOthersThatAskForOne) {
  fan_out = FanOut({.window = 1s, .gather = 100ms});
  fan_out.opened(1, "acc", "a", 1, 7, now);
  pass(60ms);
  fan_out.opened(2, "acc", "b", 1, 8, now);
  fan_out.changed("acc", 9, now);
  EXPECT_THAT(effects(), IsEmpty());
  EXPECT_EQ(fan_out.next_wakeup(), now + 40ms);
  pass(40ms);
  EXPECT_THAT(effects(), ElementsAre(load(9)));
  fan_out.loaded("acc", 9, std::nullopt, now);
  EXPECT_THAT(effects(), UnorderedElementsAre(build(1), build(2)));
  fan_out.ready(1, std::nullopt, now);
  fan_out.ready(2, std::nullopt, now);
  // In its round a change is gathered as well, and what comes while it is read is read after it.
  fan_out.changed("acc", 10, now);
  pass(1s);
  EXPECT_THAT(effects(), IsEmpty());
  pass(100ms);
  EXPECT_THAT(effects(), ElementsAre(load(10)));
  fan_out.changed("acc", 11, now);
  EXPECT_THAT(effects(), IsEmpty());
  fan_out.loaded("acc", 10, peers({"a"}), now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
  pass(1s);
  pass(100ms);
  EXPECT_THAT(effects(), ElementsAre(load(11)));
}

TEST_F(FanOutTest, RoundsAreFurtherApartAfterTheStart) {
  fan_out = FanOut({.window = 1s, .startup_window = 10s, .startup_until = kStart + 30s});
  settled(1, "a", 7);
  const auto rounds_in = [&](std::chrono::seconds time) {
    int rounds = 0;
    for (std::chrono::seconds at{0}; at < time; ++at) {
      fan_out.changed("acc", fan_out.loaded_serial("acc") + 1, now);
      for (const auto& effect : effects())
        if (const auto* asked = std::get_if<FanOut::Load>(&effect)) {
          fan_out.loaded("acc", asked->at_least, std::nullopt, now);
          fan_out.ready(1, std::nullopt, now);
          ++rounds;
        }
      pass(1s);
    }
    return rounds;
  };
  EXPECT_EQ(rounds_in(30s), 3);
  EXPECT_EQ(rounds_in(30s), 30);
}

TEST_F(FanOutTest, AccountWithSerialZeroGetsAFirstMapToo) {
  fan_out.opened(1, "acc", "a", 1, 0, now);
  EXPECT_THAT(effects(), ElementsAre(load(0)));
  fan_out.loaded("acc", 0, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
}

TEST_F(FanOutTest, OneLoadServesAllWaitingStreams) {
  fan_out.opened(1, "acc", "a", 1, 7, now);
  fan_out.opened(2, "acc", "b", 1, 7, now);
  EXPECT_THAT(effects(), ElementsAre(load(7)));
  fan_out.loaded("acc", 7, std::nullopt, now);
  EXPECT_THAT(effects(), UnorderedElementsAre(build(1), build(2)));
}

TEST_F(FanOutTest, ChangeDuringTheFirstLoadReachesTheStream) {
  fan_out.opened(1, "acc", "a", 1, 7, now);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 7, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(load(7), load(8), build(1)));
  fan_out.ready(1, std::nullopt, now);
  fan_out.loaded("acc", 8, peers({"a"}), now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
}

TEST_F(FanOutTest, ChangeDuringABuildIsBuiltAgain) {
  settled(1, "a", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, peers({"a"}), now);
  EXPECT_THAT(effects(), ElementsAre(load(8), build(1)));
  fan_out.changed("acc", 9, now);
  pass(1s);
  fan_out.loaded("acc", 9, peers({"a"}), now);
  EXPECT_THAT(effects(), ElementsAre(load(9)));  // one map at a time
  fan_out.ready(1, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
}

TEST_F(FanOutTest, WhatALoadOfTheSameSerialFindsDifferentGoesOutToo) {
  settled(1, "a", 7);
  settled(2, "b", 7);
  fan_out.changed("acc", 8, now);  // a serial that is not there only causes the load
  EXPECT_THAT(effects(), ElementsAre(load(8)));
  fan_out.loaded("acc", 7, peers({"b"}), now);
  EXPECT_THAT(effects(), ElementsAre(build(2)));
  fan_out.ready(2, std::nullopt, now);
  pass(5s);
  EXPECT_THAT(effects(), IsEmpty());
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 6, peers({"b"}), now);  // from behind: nothing of it is newer
  EXPECT_THAT(effects(), ElementsAre(load(8)));
}

TEST_F(FanOutTest, FirstChangeGoesOutAtOnceAndFollowersShareOneRound) {
  settled(1, "a", 7);
  fan_out.changed("acc", 8, now);
  EXPECT_THAT(effects(), ElementsAre(load(8)));
  fan_out.loaded("acc", 8, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
  fan_out.ready(1, std::nullopt, now);
  for (Serial serial = 9; serial < 200; ++serial) fan_out.changed("acc", serial, now);
  EXPECT_THAT(effects(), IsEmpty());
  EXPECT_EQ(fan_out.next_wakeup(), kStart + 1s);
  pass(1s);
  EXPECT_THAT(effects(), ElementsAre(load(199)));
  fan_out.loaded("acc", 199, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
  fan_out.ready(1, std::nullopt, now);
  EXPECT_THAT(effects(), IsEmpty());
  EXPECT_EQ(fan_out.next_wakeup(), std::nullopt);
}

TEST_F(FanOutTest, OnlyAffectedPeersAreServed) {
  settled(1, "a", 7);
  settled(2, "b", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, peers({"b", "x"}), now);
  EXPECT_THAT(effects(), ElementsAre(load(8), build(2)));
}

TEST_F(FanOutTest, LoadsThatAffectNobodyHereKeepTheirDistance) {
  settled(1, "a", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, peers({}), now);
  EXPECT_THAT(effects(), ElementsAre(load(8)));
  fan_out.changed("acc", 9, now);
  EXPECT_THAT(effects(), IsEmpty());
  pass(1s);
  EXPECT_THAT(effects(), ElementsAre(load(9)));
}

TEST_F(FanOutTest, RepeatedAnnouncementDoesNothing) {
  settled(1, "a", 7);
  EXPECT_FALSE(fan_out.changed("acc", 7, now));
  EXPECT_FALSE(fan_out.changed("acc", 3, now));
  EXPECT_FALSE(fan_out.changed("other", 30, now));
  EXPECT_THAT(effects(), IsEmpty());
  EXPECT_TRUE(fan_out.changed("acc", 8, now));
}

TEST_F(FanOutTest, ForgedSerialCostsOneLoadAndStopsNothing) {
  settled(1, "a", 7);
  fan_out.changed("acc", 99'999'999, now);
  fan_out.loaded("acc", 7, peers({}), now);
  EXPECT_THAT(effects(), ElementsAre(load(99'999'999)));
  pass(10s);
  EXPECT_THAT(effects(), IsEmpty());
  fan_out.opened(2, "acc", "b", 2, 7, now);
  EXPECT_THAT(effects(), ElementsAre(build(2)));
  fan_out.changed("acc", 8, now);
  EXPECT_THAT(effects(), ElementsAre(load(8)));
}

TEST_F(FanOutTest, LoadForANewStreamMarksTheOthersForTheirRound) {
  settled(1, "a", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, peers({"a"}), now);
  fan_out.ready(1, std::nullopt, now);
  ignore_effects();
  fan_out.opened(2, "acc", "b", 2, 9, now);  // registered meanwhile
  EXPECT_THAT(effects(), ElementsAre(load(9)));
  fan_out.loaded("acc", 9, peers({"a", "b"}), now);
  EXPECT_THAT(effects(), ElementsAre(build(2)));
  pass(1s);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
}

TEST_F(FanOutTest, MapThatChangesByTimeIsMadeAgainThen) {
  settled(1, "a", 7);
  settled(2, "b", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, peers({"a"}), now);
  ignore_effects();
  fan_out.ready(1, now + 1min, now);
  EXPECT_EQ(fan_out.next_wakeup(), now + 1min);
  pass(1min);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
  fan_out.ready(1, std::nullopt, now);
  EXPECT_EQ(fan_out.next_wakeup(), std::nullopt);
}

TEST_F(FanOutTest, TimeOfAMapIsForgottenWithItsStream) {
  settled(1, "a", 7);
  fan_out.ready(1, now + 1min, now);
  fan_out.closed(1, now);
  EXPECT_EQ(fan_out.next_wakeup(), std::nullopt);
}

TEST_F(FanOutTest, SlowStreamGetsOneMapFromTheNewestSnapshotWhenItCanTakeIt) {
  settled(1, "a", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, std::nullopt, now);
  ignore_effects();  // build 1 goes out and is not taken
  for (Serial serial = 9; serial < 20; ++serial) {
    pass(1s);
    fan_out.changed("acc", serial, now);
    fan_out.loaded("acc", serial, std::nullopt, now);
    for (const auto& effect : effects())
      EXPECT_FALSE(std::holds_alternative<FanOut::Build>(effect));
  }
  fan_out.ready(1, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
  fan_out.ready(1, std::nullopt, now);
  EXPECT_THAT(effects(), IsEmpty());
}

TEST_F(FanOutTest, StuckStreamsStopCountingAgainstTheLimit) {
  for (StreamNumber n = 1; n <= 3; ++n)
    fan_out.opened(n, "acc", "p" + std::to_string(n), 1, 7, now);
  fan_out.loaded("acc", 7, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(load(7), build(1), build(2)));  // builds_max
  EXPECT_EQ(fan_out.next_wakeup(), kStart + 2s);
  pass(2s);
  EXPECT_THAT(effects(), ElementsAre(build(3)));
}

TEST_F(FanOutTest, FirstMapsGoBeforeUpdates) {
  settled(1, "a", 7);
  settled(2, "b", 7);
  settled(3, "c", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(load(8), build(1), build(2)));
  fan_out.opened(4, "acc", "d", 4, 8, now);
  fan_out.ready(1, std::nullopt, now);
  EXPECT_THAT(effects(), ElementsAre(build(4)));
}

TEST_F(FanOutTest, NewStreamOfAPeerEndsTheOldOne) {
  settled(1, "a", 7);
  fan_out.opened(2, "acc", "a", 2, 7, now);
  const FanOut::Effect end = FanOut::End{1, "acc", EndReason::kSuperseded};
  EXPECT_THAT(effects(), ElementsAre(end, build(2)));
  fan_out.superseded("acc", "a", 2, now);  // our own announcement coming back
  EXPECT_THAT(effects(), IsEmpty());
}

TEST_F(FanOutTest, AnOlderSessionElsewhereEndsNothing) {
  settled(5, "a", 7);
  fan_out.superseded("acc", "a", 4, now);
  EXPECT_THAT(effects(), IsEmpty());
  fan_out.superseded("acc", "a", 6, now);
  EXPECT_EQ(effects().size(), 1U);
}

TEST_F(FanOutTest, OpeningThatANewerOneOvertookEndsAtOnce) {
  settled(2, "a", 7);
  fan_out.opened(3, "acc", "a", 1, 7, now);
  const FanOut::Effect end = FanOut::End{3, "acc", EndReason::kSuperseded};
  EXPECT_THAT(effects(), ElementsAre(end));
  EXPECT_EQ(fan_out.open_streams("acc", "a").size(), 1U);
}

TEST_F(FanOutTest, OpeningAfterTheStreamOfANewerSessionIsGoneEndsAtOnce) {
  settled(2, "a", 7);
  fan_out.closed(2, now);
  ignore_effects();
  fan_out.opened(3, "acc", "a", 1, 7, now);
  const FanOut::Effect end = FanOut::End{3, "acc", EndReason::kSuperseded};
  EXPECT_THAT(effects(), testing::Contains(end));
}

TEST_F(FanOutTest, MessageThatComesBeforeTheStreamEndsItAllTheSame) {
  fan_out.superseded("acc", "a", 6, now);  // nobody of the account is here
  pass(20s);
  fan_out.opened(1, "acc", "b", 1, 7, now);
  ignore_effects();
  fan_out.opened(2, "acc", "a", 5, 7, now);
  const FanOut::Effect end = FanOut::End{2, "acc", EndReason::kSuperseded};
  EXPECT_THAT(effects(), ElementsAre(end));
  fan_out.opened(3, "acc", "a", 6, 7, now);  // the one that was told of
  EXPECT_THAT(effects(), IsEmpty());
  EXPECT_EQ(fan_out.open_streams("acc", "a").size(), 1U);
}

TEST(NewestEpochs, AreForgottenInTimeAndNeverTooMany) {
  NewestEpochs known;
  known.note("a", 7, kStart);
  known.note("b", 1, kStart);
  known.note("a", 5, kStart + 20s);  // told late
  EXPECT_EQ(known.of("a"), 7);
  known.forget_old(kStart + NewestEpochs::kRemembered);
  EXPECT_EQ(known.of("a"), 7) << "heard of again meanwhile";
  EXPECT_EQ(known.of("b"), 0);
  known.forget_old(kStart + 20s + NewestEpochs::kRemembered);
  EXPECT_EQ(known.size(), 0U);
  for (std::size_t i = 0; i < NewestEpochs::kMost + 100; ++i)
    known.note(std::to_string(i), 1, kStart + 60s);
  EXPECT_EQ(known.size(), NewestEpochs::kMost);
  EXPECT_EQ(known.of("0"), 0);
  EXPECT_EQ(known.of("100"), 1);
}

TEST_F(FanOutTest, FailedLoadIsTriedAgainLater) {
  fan_out.opened(1, "acc", "a", 1, 7, now);
  ignore_effects();
  fan_out.load_failed("acc", now);
  EXPECT_THAT(effects(), IsEmpty());
  EXPECT_EQ(fan_out.next_wakeup(), kStart + 1s);
  pass(1s);
  EXPECT_THAT(effects(), ElementsAre(load(7)));
}

TEST_F(FanOutTest, FailedLoadHoldsBackNothingThatIsKnown) {
  settled(1, "a", 7);
  fan_out.changed("acc", 8, now);
  fan_out.loaded("acc", 8, peers({}), now);
  fan_out.opened(2, "acc", "b", 2, 9, now);
  fan_out.loaded("acc", 9, peers({"a"}), now);  // "a" waits for its round
  ignore_effects();
  fan_out.changed("acc", 10, now);
  pass(1s);
  EXPECT_THAT(effects(), ElementsAre(load(10)));
  fan_out.load_failed("acc", now);
  EXPECT_THAT(effects(), ElementsAre(build(1)));
  pass(1s);
  EXPECT_THAT(effects(), ElementsAre(load(10)));
}

TEST_F(FanOutTest, LastStreamForgetsTheAccount) {
  settled(1, "a", 7);
  fan_out.closed(1, now);
  const FanOut::Effect forget = FanOut::Forget{"acc"};
  EXPECT_THAT(effects(), ElementsAre(forget));
  fan_out.ready(1, std::nullopt, now);  // a build that finished late
  fan_out.loaded("acc", 9, std::nullopt, now);
  EXPECT_THAT(effects(), IsEmpty());
  EXPECT_EQ(fan_out.streams(), 0U);
}

}  // namespace
}  // namespace nb::management::app
