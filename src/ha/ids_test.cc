#include "ha/ids.h"

#include "ha/membership.h"
#include "ha/peer_directory.h"

#include <gtest/gtest.h>

#include <chrono>

namespace nb::ha {
namespace {
using namespace std::chrono_literals;

Claim a_claim(std::string instance, std::string boot, std::uint64_t seq) {
  return {InstanceId{std::move(instance)}, Incarnation{std::move(boot)}, seq};
}

TEST(InstanceName, FirstThatIsGivenWins) {
  EXPECT_EQ(*choose_instance_id("a", "b", "c", "d"), InstanceId{"a"});
  EXPECT_EQ(*choose_instance_id("", "b", "c", "d"), InstanceId{"b"});
  EXPECT_EQ(*choose_instance_id("", "", "c", "d"), InstanceId{"c"});
  EXPECT_EQ(*choose_instance_id("", "", "", "d"), InstanceId{"d"});
  EXPECT_FALSE(choose_instance_id("", "", "", ""));
}

TEST(InstanceName, BlanksAndControlsAndLengthAreRefused) {
  EXPECT_FALSE(choose_instance_id("a b", "", "", "d"));
  EXPECT_FALSE(choose_instance_id("a\n", "", "", "d"));
  EXPECT_FALSE(choose_instance_id("\xc3\xa4", "", "", "d"));
  EXPECT_FALSE(choose_instance_id(std::string(129, 'x'), "", "", "d"));
  EXPECT_TRUE(choose_instance_id(std::string(128, 'x'), "", "", "d"));
}

TEST(Incarnation, LaterStartIsGreater) {
  const WallTime t{1'700'000'000s};
  EXPECT_LT(make_incarnation(t, ~0ULL), make_incarnation(t + 1us, 0));
  EXPECT_EQ(make_incarnation(t, 1).value().size(), 32U);
}

TEST(ClaimToken, SurvivesTheRoundTrip) {
  const Claim claim = a_claim("rack/1:signal", "0006", 1'763'000'000'000'000);
  EXPECT_EQ(token(claim), "rack/1:signal/0006/1763000000000000");
  EXPECT_EQ(parse_token(token(claim)), claim);
}

TEST(ClaimToken, GarbageIsNoToken) {
  for (const char* text :
       {"", "/", "//", "a", "a/b", "a/b/", "a//1", "/b/1", "a/b/x", "a/b/1x", "a/b/-1", "a/b/01",
        "a b/c/1", "a/b/9007199254740992", "a/b/99999999999999999999"}) {
    EXPECT_FALSE(parse_token(text)) << text;
  }
  EXPECT_TRUE(parse_token("a/b/9007199254740991"));
  EXPECT_TRUE(parse_token("a/b/0"));
}

TEST(MembershipSettings, HeartbeatAboveHalfTheTtlIsRefused) {
  MembershipConfig config{.ttl = 30s, .interval = 15s};
  EXPECT_TRUE(check(config));
  config.interval = 15001ms;
  EXPECT_FALSE(check(config));
  config.interval = 0ms;
  EXPECT_FALSE(check(config));
}

TEST(DirectorySettings, KeyIsTakenByteForByteOrRefused) {
  EXPECT_TRUE(check(DirectoryConfig{.registry_key = "nb:signal:registry*?[`"}));
  EXPECT_FALSE(check(DirectoryConfig{.registry_key = "nb signal"}));
  EXPECT_FALSE(check(DirectoryConfig{.registry_key = ""}));
  EXPECT_FALSE(check(DirectoryConfig{.registry_key = "a\r\nb"}));
}

}  // namespace
}  // namespace nb::ha
