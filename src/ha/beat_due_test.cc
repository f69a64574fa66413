#include "ha/beat_due.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {

using namespace std::chrono_literals;

const Instant kStart = Instant{} + 1h;

TEST(BeatDue, FirstAtOnceThenAfterTheInterval) {
  BeatDue beat(10s, 1s);
  EXPECT_TRUE(beat.due(kStart));
  beat.begun();
  beat.ended(kStart, true);
  EXPECT_FALSE(beat.due(kStart + 9'999ms));
  EXPECT_TRUE(beat.due(kStart + 10s));
}

TEST(BeatDue, SoonerAfterAFailure) {
  BeatDue beat(10s, 1s);
  beat.begun();
  beat.ended(kStart, false);
  EXPECT_FALSE(beat.due(kStart + 999ms));
  EXPECT_TRUE(beat.due(kStart + 1s));
  BeatDue quick(500ms, 1s);
  quick.begun();
  quick.ended(kStart, false);
  EXPECT_TRUE(quick.due(kStart + 500ms)) << "never later than without one";
}

TEST(BeatDue, AtOnceWhenAsked) {
  BeatDue beat(10s, 1s);
  beat.begun();
  beat.ended(kStart, true);
  beat.soon();
  EXPECT_TRUE(beat.due(kStart));
}

TEST(BeatDue, AskedWhileABeatIsOnItsWayItComesAgain) {
  BeatDue beat(10s, 1s);
  beat.begun();
  EXPECT_FALSE(beat.due(kStart));
  beat.soon();
  beat.ended(kStart, true);
  EXPECT_TRUE(beat.due(kStart));
}

}  // namespace
}  // namespace nb::ha
