#include "management/grpc/netbird_config.h"

#include "crypto/random.h"
#include "management/grpc/refresh_wait.h"
#include "proto/management.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;
using namespace std::chrono_literals;

constexpr WallTime kNow{std::chrono::seconds(1'893'456'000) - std::chrono::hours(12)};

NetbirdSettings settings() {
  NetbirdSettings out;
  out.stuns = {{.protocol = "udp", .uri = "stun:host:3478"}};
  out.turns = {{.protocol = "tcp",
                .uri = "turn:host:3478",
                .username = "fixed",
                .password = Secret("fixed-password")}};
  out.turn_secret = Secret("turn-secret");
  out.signal = HostSettings{.protocol = "https", .uri = "signal.example:443"};
  out.relay_addresses = {"rels://relay.example:443"};
  out.relay_secret = Secret("relay-secret");
  return out;
}

pb::NetbirdConfig parse(const std::string& bytes) {
  pb::NetbirdConfig out;
  EXPECT_TRUE(out.ParseFromString(bytes));
  return out;
}

NetbirdConfigs make(NetbirdSettings from) {
  auto made = NetbirdConfigs::create(std::move(from));
  EXPECT_TRUE(made);
  return std::move(*made);
}

TEST(NetbirdConfigs, RelayTokenIsThePublishedVector) {  // contract/signal-relay-ops.md §10
  const auto config = parse(make(settings()).login(kNow, false));
  EXPECT_EQ(config.relay().tokenpayload(), "1893456000");
  EXPECT_EQ(config.relay().tokensignature(), "Fxt4wjD4kk6kI7LbeR+Q7/o2CwKliInTGOSrpb37Lv8=");
  EXPECT_EQ(config.signal().protocol(), pb::HostConfig::HTTPS);
  EXPECT_FALSE(config.metrics().enabled());
  EXPECT_TRUE(config.has_metrics());
}

TEST(NetbirdConfigs, LoginShowsStaticTurnCredentialsAlsoInTimeBasedMode) {
  auto from = settings();
  from.turn_time_based = true;
  const NetbirdConfigs configs = make(from);
  EXPECT_EQ(parse(configs.login(kNow, false)).turns(0).user(), "fixed");
  const auto initial = parse(configs.initial(kNow, true));
  EXPECT_EQ(initial.turns(0).user(), "1893456000");
  EXPECT_EQ(initial.turns(0).password(), "rIQg5pATU018bPOcwDqROCV8keE=");
  EXPECT_TRUE(initial.metrics().enabled());
}

TEST(NetbirdConfigs, RefreshNeverGoesWithoutTheRelay) {
  auto from = settings();
  from.turn_time_based = true;
  const NetbirdConfigs configs = make(from);
  const auto turn = parse(configs.turn_refresh(kNow));
  EXPECT_EQ(turn.turns_size(), 1);
  EXPECT_TRUE(turn.has_relay());
  const auto relay = parse(configs.relay_refresh(kNow));
  EXPECT_EQ(relay.turns_size(), 0);
  EXPECT_TRUE(relay.has_relay());
  EXPECT_FALSE(relay.has_signal());
}

TEST(NetbirdConfigs, RefreshIsDueAfterThreeQuartersAndZeroMeansTwelveHours) {
  auto from = settings();
  from.relay_ttl = 0s;
  EXPECT_EQ(make(from).relay_refresh_after(), 9h);
  from.relay_ttl = 100s;
  EXPECT_EQ(make(from).relay_refresh_after(), 75s);
  EXPECT_EQ(make(from).turn_refresh_after(), std::nullopt);  // static credentials
  from.relay_addresses.clear();
  EXPECT_EQ(make(from).relay_refresh_after(), std::nullopt);
  EXPECT_FALSE(parse(make(from).initial(kNow, false)).has_relay());
}

TEST(NetbirdConfigs, RefreshesOfStreamsOpenedTogetherAreSpreadOverATenth) {
  EXPECT_EQ(refresh_wait(9h, 0), 9h - 54min);
  EXPECT_EQ(refresh_wait(9h, 0.5), 9h);
  EXPECT_EQ(refresh_wait(9h, 1), 9h + 54min);
  crypto::SystemRandom random;
  std::set<std::chrono::minutes> minutes;
  for (int i = 0; i < 1'000; ++i) {
    const auto wait = refresh_wait(9h, random.fraction());
    EXPECT_GE(wait, 9h - 54min);
    EXPECT_LE(wait, 9h + 54min);
    minutes.insert(std::chrono::floor<std::chrono::minutes>(wait));
  }
  EXPECT_GT(minutes.size(), 90U);  // of 108
}

TEST(NetbirdConfigs, UnknownProtocolStopsTheStart) {
  auto from = settings();
  from.signal->protocol = "gopher";
  const auto made = NetbirdConfigs::create(std::move(from));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kInvalidArgument);
  EXPECT_THAT(made.error().text, testing::HasSubstr("gopher"));
}

}  // namespace
}  // namespace nb::management::grpc
