#include "management/app/departures.h"

#include <gtest/gtest.h>

namespace nb::management::app {
namespace {

const PeerId kPeer("p");

TEST(Departures, IsOverOnceANewerSessionHasBegun) {
  Departures departures;
  const auto left = departures.left(kPeer, 5);
  EXPECT_FALSE(left->over());
  departures.began(PeerId("q"), 6);
  EXPECT_FALSE(left->over());
  departures.began(kPeer, 6);
  EXPECT_TRUE(left->over());
}

TEST(Departures, IsNotOverByItsOwnSessionOrAnOlderOne) {
  Departures departures;
  const auto left = departures.left(kPeer, 5);
  departures.began(kPeer, 4);
  departures.began(kPeer, 5);
  EXPECT_FALSE(left->over());
}

TEST(Departures, OnlyTheNewestOfSeveralIsLeft) {
  Departures departures;
  const auto first = departures.left(kPeer, 5);
  const auto third = departures.left(kPeer, 7);
  const auto second = departures.left(kPeer, 6);  // its connection was found dead later
  EXPECT_TRUE(first->over());
  EXPECT_TRUE(second->over());
  EXPECT_FALSE(third->over());
  departures.forget(second);
  departures.began(kPeer, 8);
  EXPECT_TRUE(third->over());
}

TEST(Departures, WhatIsForgottenStaysAsItWas) {
  Departures departures;
  const auto left = departures.left(kPeer, 5);
  departures.forget(left);
  departures.began(kPeer, 6);
  EXPECT_FALSE(left->over());
}

}  // namespace
}  // namespace nb::management::app
