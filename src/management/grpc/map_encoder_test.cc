// What is said besides maps; the maps themselves are compared with the official server's in
// cmd/golden.
#include "management/grpc/map_encoder.h"

#include "proto/management.pb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace nb::management::grpc {
namespace {

TEST(DeletionMessage, EmptiesEverythingUnderTheNewestSerial) {  // contract/management-grpc.md §5.6
  ::management::SyncResponse response;
  ASSERT_TRUE(response.ParseFromString(encode_deletion(12, 22054)));
  EXPECT_TRUE(response.remotepeersisempty());
  EXPECT_FALSE(response.has_peerconfig());
  EXPECT_FALSE(response.has_netbirdconfig());
  EXPECT_FALSE(response.has_sessionexpiresat());
  EXPECT_EQ(response.version(), 0);
  const auto& map = response.networkmap();
  EXPECT_EQ(map.serial(), 12U);
  EXPECT_TRUE(map.remotepeersisempty());
  EXPECT_TRUE(map.firewallrulesisempty());
  EXPECT_TRUE(map.routesfirewallrulesisempty());
  EXPECT_FALSE(map.has_peerconfig());
  EXPECT_EQ(map.dnsconfig().forwarderport(), 22054);
  EXPECT_FALSE(map.dnsconfig().serviceenable());
}

// Two maps of one stream with one digest would be an update that never arrives.
TEST(MapDigest, TellsMapsApartByEveryBitAndByWhereItIs) {
  const auto digest = [](std::string head, std::string map, std::optional<std::string> network) {
    EncodedMap out;
    out.head = std::move(head);
    out.map = std::move(map);
    out.network = std::move(network);
    return out.digest();
  };
  std::set<std::uint64_t> seen;
  const auto fresh = [&](std::uint64_t value) { return seen.insert(value).second; };
  std::string map;
  for (int i = 0; i < 67; ++i) map.push_back(static_cast<char>(i % 5));  // repeats itself
  EXPECT_TRUE(fresh(digest("head", map, {})));
  EXPECT_FALSE(fresh(digest("head", map, {})));
  for (std::size_t i = 0; i < map.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = map;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_TRUE(fresh(digest("head", changed, {}))) << i << " " << bit;
    }
  for (std::size_t size = 0; size < map.size(); ++size)
    EXPECT_TRUE(fresh(digest("head", map.substr(0, size), {}))) << size;
  for (std::size_t i = 0; i + 32 <= map.size(); i += 16) {  // blocks that changed places
    std::string changed = map;
    std::swap_ranges(changed.begin() + static_cast<std::ptrdiff_t>(i),
                     changed.begin() + static_cast<std::ptrdiff_t>(i) + 16,
                     changed.begin() + static_cast<std::ptrdiff_t>(i) + 16);
    ASSERT_NE(changed, map);
    EXPECT_TRUE(fresh(digest("head", changed, {}))) << i;
  }
  for (int zeros = 1; zeros < 40; ++zeros)
    EXPECT_TRUE(
        fresh(digest("head", map + std::string(static_cast<std::size_t>(zeros), '\0'), {})));
  EXPECT_TRUE(fresh(digest("heae", map, {})));
  EXPECT_TRUE(fresh(digest("", "head" + map, {})));
  EXPECT_TRUE(fresh(digest("head", map, std::string())));
  EXPECT_TRUE(fresh(digest("head", map, std::string("net"))));
}

TEST(MapForms, AreTheLesserOfWhatAgentAndServerKnow) {  // contract §3.8
  Peer peer;
  peer.account_id = AccountId("a");
  const auto form = [&](const MapForms& forms, std::int64_t offered) {
    peer.meta.sync_message_version = offered;
    return forms.of(peer);
  };
  MapForms forms;
  EXPECT_EQ(form(forms, 1), MapForm::kLegacy) << "unless the operator says otherwise";
  forms.best = MapForm::kComponents;
  EXPECT_EQ(form(forms, 0), MapForm::kLegacy);
  EXPECT_EQ(form(forms, 1), MapForm::kComponents);
  for (const int unknown : {2, -1, 1'000}) EXPECT_EQ(form(forms, unknown), MapForm::kLegacy);
  forms.by_account = {{"a", MapForm::kLegacy}};
  EXPECT_EQ(form(forms, 1), MapForm::kLegacy);
  forms = {};
  forms.by_account = {{"a", MapForm::kComponents}};
  EXPECT_EQ(form(forms, 1), MapForm::kComponents);
}

TEST(PeerConfig, WithoutANetIsOfOneAddress) {
  Peer peer;
  peer.ip = *IpAddress::parse("100.64.0.7");
  const AccountSettings settings;
  AccountNetwork network;
  const auto address = [&] {
    ::management::PeerConfig out;
    fill_peer_config(out,
                     {.peer = peer,
                      .network = network,
                      .settings = settings,
                      .dns_domain = "netbird.cloud",
                      .ssh_enabled = false,
                      .force_dns_resolution = false},
                     {});
    return out.address();
  };
  EXPECT_EQ(address(), "100.64.0.7/32");
  network.net = *Prefix::parse("100.64.0.0/10");
  EXPECT_EQ(address(), "100.64.0.7/10");
}

TEST(SessionDeadline, IsZeroWhereNothingExpiresAndNeverAbsent) {  // contract §3.2, §6.3
  using namespace std::chrono_literals;
  AccountSettings settings;
  settings.peer_login_expiration_enabled = true;
  settings.peer_login_expiration = 24h;
  Peer peer;
  peer.user_id = UserId("olga");
  peer.login_expiration_enabled = true;
  peer.last_login = WallTime(std::chrono::seconds(1'000'000));
  const auto deadline = [&] {
    google::protobuf::Timestamp out;
    fill_session_deadline(out, peer, settings);
    return out.seconds();
  };
  EXPECT_EQ(deadline(), 1'086'400);
  peer.login_expiration_enabled = false;
  EXPECT_EQ(deadline(), 0);
  peer.login_expiration_enabled = true;
  settings.peer_login_expiration_enabled = false;
  EXPECT_EQ(deadline(), 0);
  settings.peer_login_expiration_enabled = true;
  peer.last_login.reset();
  EXPECT_EQ(deadline(), 0);
  peer.last_login = WallTime(std::chrono::seconds(1'000'000));
  peer.user_id = UserId{};  // a setup key's machine
  EXPECT_EQ(deadline(), 0);
}

}  // namespace
}  // namespace nb::management::grpc
