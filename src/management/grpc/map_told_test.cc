// Who is told of a change, and in which form, in cases that random accounts hardly ever hold.
#include "crypto/encoding.h"
#include "management/grpc/test_view_maps.h"
#include "proto/management.pb.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::management::grpc {
namespace {

using namespace test;

Peer peer_of(const std::string& id, std::uint8_t number) {
  Peer out;
  out.id = PeerId(id);
  out.key = PeerKey("key-" + id);
  out.ip = IpAddress::v4(0x64400000U + number);
  out.dns_label = id;
  out.meta.wt_version = "0.60.1";
  return out;
}

Group group_of(const std::string& id, std::vector<PeerId> peers) {
  Group out;
  out.id = GroupId(id);
  out.name = id == "g-all" ? std::string(kGroupAllName) : id;
  out.peers = std::move(peers);
  return out;
}

PolicyRule rule_of(const std::string& id, const std::string& protocol) {
  PolicyRule out;
  out.id = RuleId(id);
  out.enabled = true;
  out.action = std::string(kActionAccept);
  out.protocol = protocol;
  return out;
}

Policy policy_of(const std::string& id, std::vector<PolicyRule> rules) {
  Policy out;
  out.id = PolicyId(id);
  out.enabled = true;
  out.rules = std::move(rules);
  for (PolicyRule& rule : out.rules) rule.policy_id = out.id;
  return out;
}

std::shared_ptr<AccountSnapshot> account_of(std::vector<Peer> peers, std::vector<Group> groups,
                                            std::vector<Policy> policies) {
  auto out = std::make_shared<AccountSnapshot>();
  out->account.id = AccountId("acc");
  out->account.network.net = *Prefix::parse("100.64.0.0/16");
  out->peers = EntityTable<Peer>(std::move(peers));
  out->groups = EntityTable<Group>(std::move(groups));
  out->policies = EntityTable<Policy>(std::move(policies));
  return out;
}

template <class T>
void replace(EntityChanges<T>& changes, T object) {
  changes.upserts.push_back(std::make_shared<const T>(std::move(object)));
}

/// Such a change has to differ in the peer's map, or the test shows nothing.
void expect_told(const AccountSnapshotPtr& account, const SnapshotDelta& delta, const char* id) {
  const auto before = update(nullptr, account).view;
  const auto after = update(before, applied(*account, delta));
  const PeerId peer(id);
  EXPECT_NE(difference(made(*before, peer).map, made(*after.view, peer).map), "");
  EXPECT_TRUE(is_told(after, peer));
}

TEST(AffectedPeers, HoldARoutingPeerWhoseRulesSeeMoreThanASideWithAll) {
  // `All` stands for the whole side of a rule between peers, not for the sources of a route's rule.
  PolicyRule to_router = rule_of("pol", "tcp");
  to_router.ports = {"80"};
  to_router.sources = {GroupId("g-1"), GroupId("g-all")};
  to_router.destinations = {GroupId("g-acl")};
  PolicyRule known = rule_of("pol2", "udp");
  known.source_resource = {"x", "peer"};
  known.destination_resource = {"r", "peer"};
  const auto account =
      account_of({peer_of("m", 1), peer_of("r", 2), peer_of("x", 3)},
                 {group_of("g-all", {PeerId("m")}), group_of("g-1", {PeerId("m")}),
                  group_of("g-acl", {PeerId("r")}), group_of("g-d", {PeerId("m"), PeerId("x")})},
                 {policy_of("pol", {std::move(to_router)}), policy_of("pol2", {std::move(known)})});
  Route route;
  route.id = RouteId("rt");
  route.net_id = "net";
  route.network = *Prefix::parse("10.0.0.0/8");
  route.network_type = kNetworkTypeIpv4;
  route.enabled = true;
  route.peer = PeerId("r");
  route.groups = {GroupId("g-d")};
  route.access_control_groups = {GroupId("g-acl")};
  account->routes = EntityTable<Route>(std::vector<Route>{std::move(route)});
  SnapshotDelta delta;
  delta.account = account->account;
  replace(delta.groups, group_of("g-1", {PeerId("m"), PeerId("x")}));
  expect_told(account, delta, "r");
}

TEST(AffectedPeers, HoldAPeerThatARuleWithAllLeavesOutWhenUsersChange) {
  PolicyRule ssh = rule_of("pol", "netbird-ssh");
  ssh.sources = {GroupId("g-2")};
  ssh.destinations = {GroupId("g-1"), GroupId("g-all")};
  PolicyRule web = rule_of("pol-more", "tcp");
  web.ports = {"80"};
  web.sources = {GroupId("g-2")};
  web.destinations = {GroupId("g-1")};
  const auto account = account_of({peer_of("m", 1), peer_of("t", 2)},
                                  {group_of("g-all", {PeerId("m")}), group_of("g-1", {PeerId("t")}),
                                   group_of("g-2", {PeerId("m")})},
                                  {policy_of("pol", {std::move(ssh), std::move(web)})});
  SnapshotDelta delta;
  delta.account = account->account;
  User user;
  user.id = UserId("u");
  replace(delta.users, std::move(user));
  expect_told(account, delta, "t");
}

TEST(MapForms, FollowAnAgentThatAsksForAnotherOne) {  // contract/management-grpc.md §3.8
  const auto account = account_of({peer_of("a", 1)}, {}, {});
  const PeerId id("a");
  const MapForms forms{.best = MapForm::kComponents};
  auto view = update(nullptr, account);
  for (const std::int64_t offered : {1, 0}) {
    SnapshotDelta delta;
    delta.account = account->account;
    Peer peer = peer_of("a", 1);
    peer.meta.sync_message_version = offered;
    replace(delta.peers, std::move(peer));
    view = update(view.view, applied(view.view->snapshot(), delta));
    EXPECT_TRUE(is_told(view, id));
    const Peer& known = *view.view->peer(view.view->find(id))->peer;
    EXPECT_EQ(forms.of(known), offered == 1 ? MapForm::kComponents : MapForm::kLegacy);
  }
}

/// A peer that reaches a resource and is let in by SSH, by rows with public ids.
std::shared_ptr<AccountSnapshot> account_in_components() {
  const auto publish = [](auto& row) { row.public_id = PublicId("pub-" + row.id.value()); };
  const auto keyed = [](const std::string& id, std::uint8_t number) {
    Peer out = peer_of(id, number);
    out.key = PeerKey(crypto::to_base64(std::string(32, static_cast<char>(number))));
    return out;
  };
  PolicyRule ssh = rule_of("pol", "netbird-ssh");
  ssh.sources = {GroupId("g-1")};
  ssh.destinations = {GroupId("g-2")};
  ssh.authorized_groups[GroupId("g-1")] = {"root"};
  PolicyRule to_resource = rule_of("pol2", "tcp");
  to_resource.ports = {"80"};
  to_resource.sources = {GroupId("g-2")};
  to_resource.destination_resource = {"res", "subnet"};
  std::vector<Group> groups{group_of("g-1", {PeerId("m")}), group_of("g-2", {PeerId("t")})};
  std::vector<Policy> policies{policy_of("pol", {std::move(ssh)}),
                               policy_of("pol2", {std::move(to_resource)})};
  for (Group& group : groups) publish(group);
  for (Policy& policy : policies) publish(policy);
  auto out = account_of({keyed("m", 1), keyed("t", 2)}, std::move(groups), std::move(policies));
  Network network;
  network.id = NetworkId("nw");
  publish(network);
  out->networks = EntityTable<Network>(std::vector<Network>{std::move(network)});
  NetworkRouter router;
  router.id = RouterId("rtr");
  router.network_id = NetworkId("nw");
  router.peer = PeerId("m");
  router.enabled = true;
  publish(router);
  out->routers = EntityTable<NetworkRouter>(std::vector<NetworkRouter>{std::move(router)});
  NetworkResource resource;
  resource.id = ResourceId("res");
  resource.network_id = NetworkId("nw");
  resource.name = "office";
  resource.type = std::string(kResourceSubnet);
  resource.prefix = *Prefix::parse("10.7.0.0/24");
  resource.enabled = true;
  publish(resource);
  out->resources = EntityTable<NetworkResource>(std::vector<NetworkResource>{std::move(resource)});
  return out;
}

TEST(ComponentMaps, NeverNameARowThatIsGone) {  // contract/management-grpc.md §7
  const auto envelope = [](const AccountSnapshotPtr& account) {
    const auto view = update(nullptr, account).view;
    const auto slot = view->find(PeerId("t"));
    return make_map(*view, slot, kNow, settings(), MapForm::kComponents).map;
  };
  const auto account = account_in_components();
  const EncodedMap whole = envelope(account);
  ASSERT_TRUE(whole.network);
  ::management::SyncResponse message;
  ASSERT_TRUE(message.ParseFromString(whole.message(1, {})));
  const auto& full = message.networkmapenvelope().full();
  ASSERT_EQ(full.network_resources_size(), 1);
  EXPECT_EQ(full.network_resources(0).network_seq(), "pub-nw");
  EXPECT_TRUE(full.routers_map().contains("pub-nw"));

  SnapshotDelta delta;
  delta.account = account->account;
  delta.networks.removed.emplace_back("nw");
  EXPECT_FALSE(envelope(applied(*account, delta)).network);

  delta.networks = {};
  Policy policy = account->policies[0];
  policy.rules.front().authorized_groups[GroupId("g-gone")] = {"root"};
  replace(delta.policies, std::move(policy));
  EXPECT_FALSE(envelope(applied(*account, delta)).network);
}

}  // namespace
}  // namespace nb::management::grpc
