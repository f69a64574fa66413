// What is said besides maps; the maps themselves are compared with the official server's in
// cmd/golden.
#include "management/grpc/map_encoder.h"

#include "proto/management.pb.h"

#include <gtest/gtest.h>

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
