#include "management/app/visitor_gate.h"

#include "ha/local/rate_limiter.h"
#include "support/home_loop.h"

#include <gtest/gtest.h>

#include <optional>

namespace nb::management::app {
namespace {

using namespace std::chrono_literals;

/// Turned by the test.
class StillClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override { return {}; }
  [[nodiscard]] Instant now() const override { return now_; }
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds /*time*/) override { co_return; }
  void turn(std::chrono::seconds by) { now_ += by; }

 private:
  Instant now_{};
};

// bcrypt of cost 4: what is asked here is not how long hashing takes.
constexpr const char* kLong = "0123456789abcdef";
constexpr const char* kLongHash = "$2b$04$abcdefghijklmnopqrstuu47kbr.QCtj6Eh/iTqkY.KdFw1jfyWRK";
constexpr const char* kShort = "open sesame";
constexpr const char* kShortHash = "$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy";

struct VisitorGateTest : testing::Test {
  /// Right, wrong, or nothing where there are no tries left.
  std::optional<bool> shown(const std::string& secret, VisitorSecret kind = VisitorSecret::kPin,
                            const std::string& proxy = "p1", const std::string& service = "s") {
    VisitorAttempt attempt{.service = ServiceId(service),
                           .kind = kind,
                           .proxy = proxy,
                           .hashes = hashes,
                           .secret = Secret(secret)};
    const auto open = home.await([&] { return gate.open(std::move(attempt)); });
    if (open) return *open;
    EXPECT_EQ(open.error().code, Code::kResourceExhausted);
    return std::nullopt;
  }
  /// How many tries are left there.
  int guess(VisitorSecret kind, const std::string& proxy, const std::string& service = "s") {
    int count = 0;
    while (shown("wrong", kind, proxy, service)) ++count;
    return count;
  }

  std::vector<std::string> hashes{kShortHash, kLongHash};
  StillClock clock;
  ha::LocalRateLimiter limiter{clock};
  Hasher hasher{1};
  crypto::SystemRandom random;
  test::HomeLoop home;
  VisitorGate gate{limiter, hasher, random};
};

TEST_F(VisitorGateTest, GuesserAtOneProxyLeavesTheOthersTheirTries) {
  EXPECT_EQ(guess(VisitorSecret::kPin, "p1"), 60);
  EXPECT_EQ(guess(VisitorSecret::kPin, "p2"), 60);
  EXPECT_EQ(guess(VisitorSecret::kPin, "p3"), 0) << "the brake over all proxies";
  clock.turn(10s);
  EXPECT_EQ(guess(VisitorSecret::kPin, "p1"), 10);
  EXPECT_EQ(guess(VisitorSecret::kPin, "p3"), 10);
}

TEST_F(VisitorGateTest, KindsAndServicesAreCountedApart) {
  EXPECT_EQ(guess(VisitorSecret::kPin, "p1"), 60);
  EXPECT_EQ(guess(VisitorSecret::kPassword, "p1"), 60);
  EXPECT_EQ(guess(VisitorSecret::kHeader, "p1"), 60);
  EXPECT_EQ(guess(VisitorSecret::kPin, "p1", "t"), 60);
}

TEST_F(VisitorGateTest, AnySecretOfThemLetsIn) {
  EXPECT_EQ(shown(kShort, VisitorSecret::kPassword), true);
  EXPECT_EQ(shown(kLong, VisitorSecret::kPassword), true);
  EXPECT_EQ(shown("wrong", VisitorSecret::kPassword), false);
}

TEST_F(VisitorGateTest, LongHeaderThatWasRightNeedsNoTries) {
  EXPECT_EQ(shown(kLong, VisitorSecret::kHeader), true);
  EXPECT_EQ(guess(VisitorSecret::kHeader, "p1"), 59);
  EXPECT_EQ(shown(kLong, VisitorSecret::kHeader), true);
  EXPECT_EQ(shown(kLong, VisitorSecret::kHeader, "p1", "t"), true) << "counted by itself";
  EXPECT_EQ(guess(VisitorSecret::kHeader, "p1", "t"), 59);
  hashes = {kShortHash};
  EXPECT_EQ(shown(kLong, VisitorSecret::kHeader), std::nullopt) << "it was changed";
}

// Otherwise whoever has used up the tries could go on until an answer differs.
TEST_F(VisitorGateTest, WhatCanBeGuessedAlwaysCosts) {
  EXPECT_EQ(shown(kShort, VisitorSecret::kHeader), true);
  EXPECT_EQ(guess(VisitorSecret::kHeader, "p1"), 59);
  EXPECT_EQ(shown(kShort, VisitorSecret::kHeader), std::nullopt);
  EXPECT_EQ(shown(kLong, VisitorSecret::kPassword), true);
  EXPECT_EQ(guess(VisitorSecret::kPassword, "p1"), 59);
  EXPECT_EQ(shown(kLong, VisitorSecret::kPassword), std::nullopt) << "people make passwords";
}

TEST_F(VisitorGateTest, NothingToCompareWithLetsNobodyIn) {
  hashes.clear();
  EXPECT_EQ(shown("anything"), false);
}

}  // namespace
}  // namespace nb::management::app
