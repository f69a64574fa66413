#include "management/grpc/address_limiter.h"

#include <gtest/gtest.h>

namespace nb::management::grpc {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1h};
constexpr CallPrice kCall = AddressLimiter::kCall;

TEST(AddressLimiter, WithoutARateEverythingPasses) {
  AddressLimiter limiter({});
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(limiter.allow("192.0.2.1", kCall, kNow));
  EXPECT_EQ(limiter.addresses(), 0U);
}

TEST(AddressLimiter, BurstPassesAndThenTheRate) {
  AddressLimiter limiter({.calls_per_second = 2, .burst_seconds = 5});
  int passed = 0;
  for (int i = 0; i < 100; ++i) passed += limiter.allow("192.0.2.1", kCall, kNow) ? 1 : 0;
  EXPECT_EQ(passed, 10);
  EXPECT_EQ(limiter.refused(), 90U);
  EXPECT_TRUE(limiter.allow("192.0.2.2", kCall, kNow));  // another address
  EXPECT_TRUE(limiter.allow("192.0.2.1", kCall, kNow + 500ms));
  EXPECT_FALSE(limiter.allow("192.0.2.1", kCall, kNow + 500ms));
}

TEST(AddressLimiter, WhatIsNotRepeatedPassesLongerAndTheOthersPayItBack) {
  AddressLimiter limiter({.calls_per_second = 1, .burst_seconds = 10});
  const auto pass = [&](CallPrice price, Instant now) {
    int passed = 0;
    while (passed < 1'000 && limiter.allow("192.0.2.1", price, now)) ++passed;
    return passed;
  };
  EXPECT_EQ(pass(kCall, kNow), 10);
  EXPECT_EQ(pass(AddressLimiter::kUnrepeated, kNow), 10);
  EXPECT_EQ(pass(AddressLimiter::kUnrepeated, kNow + 1s), 1);
  EXPECT_EQ(pass(kCall, kNow + 10s), 0);
  EXPECT_EQ(pass(AddressLimiter::kKey, kNow + 10s), 0);
  EXPECT_EQ(pass(kCall, kNow + 21s), 10);
}

TEST(AddressLimiter, HostOfAnIpv6NetworkIsOneAddress) {
  AddressLimiter limiter({.calls_per_second = 1, .burst_seconds = 1});
  EXPECT_TRUE(limiter.allow("2001:db8::1", kCall, kNow));
  EXPECT_FALSE(limiter.allow("2001:db8::2", kCall, kNow));
  EXPECT_TRUE(limiter.allow("2001:db8:0:1::2", kCall, kNow));
  EXPECT_TRUE(limiter.allow("192.0.2.1", kCall, kNow));
  EXPECT_FALSE(limiter.allow("::ffff:192.0.2.1", kCall, kNow));
}

TEST(AddressLimiter, MemoryIsBoundedAndFullBucketsAreForgotten) {
  AddressLimiter limiter({.calls_per_second = 1, .burst_seconds = 1, .addresses_max = 160});
  for (int i = 0; i < 5'000; ++i)
    static_cast<void>(limiter.allow(
        "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256), kCall, kNow));
  EXPECT_LE(limiter.addresses(), 160U);
  for (int i = 0; i < 200; ++i)
    static_cast<void>(limiter.allow("10.1.0." + std::to_string(i), kCall, kNow + 10s));
  EXPECT_FALSE(limiter.allow("10.1.0.1", kCall, kNow + 10s));  // there was room for the new ones
}

TEST(AddressLimiter, RoomIsLookedForOnceASecond) {
  AddressLimiter limiter({.calls_per_second = 100, .burst_seconds = 0.01, .addresses_max = 16});
  for (int i = 0; i < 1'000; ++i)
    static_cast<void>(limiter.allow(
        "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256), kCall, kNow));
  EXPECT_EQ(limiter.addresses(), 16U);
  const auto limited = [&](Instant now) {
    EXPECT_TRUE(limiter.allow("192.0.2.1", kCall, now));
    return !limiter.allow("192.0.2.1", kCall, now);
  };
  EXPECT_FALSE(limited(kNow + 500ms)) << "the others' buckets are full, nobody has looked";
  EXPECT_TRUE(limited(kNow + 1s));
}

}  // namespace
}  // namespace nb::management::grpc
