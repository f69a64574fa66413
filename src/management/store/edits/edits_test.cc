// Commands on groups, policies, routes, networks and DNS, on both engines.
#include "base/error_kinds.h"
#include "management/store/edits/edit_fixture.h"

namespace nb::management {
namespace {

using namespace test;

class EditTest : public testing::TestWithParam<sql::Engine>, public EditAccount {
 protected:
  EditTest() : EditAccount(GetParam()) { events(); }

  NetworkResource resource(const Network& network, const std::string& name,
                           std::vector<GroupId> groups = {}) {
    return must(SaveResource{
        .network = network.id,
        .draft = {
            .name = name, .address = "10.9.0.1", .enabled = true, .groups = std::move(groups)}});
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, EditTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& tested) {
                           return tested.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

// --- groups -----------------------------------------------------------------------------------

TEST_P(EditTest, AGroupLivesFromCreationToDeletion) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  events();
  const std::uint64_t before = serial();
  const Group made = group("servers", {a.id, a.id});
  EXPECT_EQ(made.issued, "api");
  EXPECT_FALSE(made.public_id.empty());
  EXPECT_EQ(last.serial, before + 1);
  EXPECT_EQ(events(), (Strings{"group.add", "peer.group.add"}));
  const Group changed = must(SaveGroup{.id = made.id, .name = "hosts", .peers = {b.id}});
  EXPECT_EQ(changed.public_id, made.public_id);
  EXPECT_EQ(events(), (Strings{"group.update", "peer.group.add", "peer.group.delete"}));
  EXPECT_EQ(snapshot()->group(made.id)->peers, std::vector<PeerId>{b.id});
  must(DeleteGroup{made.id});
  EXPECT_EQ(events(), Strings{"group.delete"});
  EXPECT_EQ(snapshot()->group(made.id), nullptr);
  EXPECT_EQ(value("SELECT COUNT(*) FROM group_peers WHERE group_id = '" + made.id.value() + "'"),
            "0");
}

TEST_P(EditTest, AGroupThatStaysAsItIsCostsNothing) {
  const Group made = group("servers", {peer("a").id});
  events();
  const std::uint64_t before = serial();
  must(SaveGroup{.id = made.id, .name = made.name, .peers = made.peers});
  EXPECT_EQ(serial(), before);
  EXPECT_EQ(last.serial, 0U);
  EXPECT_TRUE(events().empty());
}

TEST_P(EditTest, GroupNamesAndMembersAreChecked) {
  const Group made = group("servers");
  EXPECT_REFUSED(run(SaveGroup{.name = "servers"}), Code::kAlreadyExists,
                 "group with name servers already exists");
  EXPECT_REFUSED(run(SaveGroup{.name = "All"}), Code::kAlreadyExists, "All");
  EXPECT_REFUSED(run(SaveGroup{.id = made.id, .name = "All"}), Code::kInvalidArgument, "reserved");
  EXPECT_REFUSED(run(SaveGroup{.name = ""}), Code::kInvalidArgument,
                 "group name shouldn't be empty");
  EXPECT_REFUSED(run(SaveGroup{.id = GroupId("x"), .name = ""}), Code::kNotFound,
                 "group: x not found");
  EXPECT_REFUSED(run(SaveGroup{.id = all_group().id, .name = "x"}), Code::kInvalidArgument,
                 "updating group ALL is not allowed");
  EXPECT_REFUSED(run(SaveGroup{.name = "new", .peers = {PeerId("nobody")}}), Code::kInvalidArgument,
                 "peer with ID \"nobody\" not found");
  EXPECT_EQ(value("SELECT COUNT(*) FROM groups"), "2");
  group("clients");
  EXPECT_TRUE(run(SaveGroup{.id = made.id, .name = "clients"}));  // renaming may repeat a name
}

TEST_P(EditTest, APeerDeletedMeanwhileIsNoMistakeInAList) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  must(DeletePeer{a.id});
  const Group made = group("servers", {a.id, b.id});
  EXPECT_EQ(made.peers, std::vector<PeerId>{b.id});
}

TEST_P(EditTest, SingleMembersComeAndGo) {
  const Peer a = peer("a");
  const Group made = group("servers");
  events();
  must(ChangeGroupMember{made.id, a.id});
  const std::uint64_t once = serial();
  must(ChangeGroupMember{made.id, a.id});  // again: nothing
  EXPECT_EQ(serial(), once);
  must(ChangeGroupMember{made.id, a.id, false});
  EXPECT_EQ(events(), (Strings{"peer.group.add", "peer.group.delete"}));
  EXPECT_REFUSED(run(ChangeGroupMember{all_group().id, a.id, false}), Code::kInvalidArgument,
                 "ALL");
  EXPECT_REFUSED(run(ChangeGroupMember{made.id, PeerId("x")}), Code::kNotFound,
                 "peer not found: x");
}

TEST_P(EditTest, AGroupInUseIsNotDeletedAndSaysWhy) {
  const Peer a = peer("a");
  const auto refused = [&](const Group& group) {
    const auto done = run(DeleteGroup{group.id});
    if (done) return std::string("deleted");
    EXPECT_EQ(done.error().code, kBadRequest);
    return done.error().text;
  };
  EXPECT_EQ(refused(all_group()), "deleting group ALL is not allowed");
  Group unknown;
  unknown.id = GroupId("x");
  EXPECT_EQ(refused(unknown), "group: x not found");

  const Group in_policy = group("in policy");
  policy("Web", in_policy, all_group());
  EXPECT_EQ(refused(in_policy), "group has been linked to policy: Web");

  const Group in_route = group("in route");
  must(SaveRoute{.draft = {.network = "10.0.0.0/16",
                           .peer = a.id,
                           .net_id = "lan",
                           .metric = 1,
                           .groups = {in_route.id}}});
  EXPECT_EQ(refused(in_route), "group has been linked to route: lan");

  const Group in_dns = group("in dns");
  must(SaveNameServerGroup{.draft = {.name = "NS",
                                     .name_servers = {{"1.1.1.1", "udp", 53}},
                                     .groups = {in_dns.id},
                                     .primary = true}});
  EXPECT_EQ(refused(in_dns), "group has been linked to name server groups: NS");

  const Group in_key = group("in key");
  must(CreateSetupKey{.request = {.name = "Key", .auto_groups = {in_key.id}}});
  EXPECT_EQ(refused(in_key), "group has been linked to setup key: Key");

  const Group in_user = group("in user");
  const User user =
      must(CreateServiceUser{.name = "bot", .role = "user", .auto_groups = {in_user.id}});
  EXPECT_EQ(refused(in_user), "group has been linked to user: " + user.id.value());

  const Group in_router = group("in router");
  const Network network = must(SaveNetwork{.name = "office"});
  const NetworkRouter router = must(
      SaveRouter{.network = network.id, .draft = {.peer_groups = {in_router.id}, .metric = 1}});
  EXPECT_EQ(refused(in_router), "group has been linked to network router: " + router.id.value());

  const Group with_resource = group("with resource");
  const NetworkResource printer = resource(network, "printer", {with_resource.id});
  EXPECT_EQ(refused(with_resource),
            "group has been linked to network resource: " + printer.id.value());

  const Group in_settings = group("in settings");
  must(SaveDnsSettings{{in_settings.id}});
  EXPECT_EQ(refused(in_settings),
            "group has been linked to disabled DNS management groups: " + in_settings.id.value());

  const Group in_zone = group("in zone");
  must(SaveZone{
      .draft = {.name = "Z", .domain = "corp.example", .distribution_groups = {in_zone.id}}});
  EXPECT_EQ(refused(in_zone), "group has been linked to zone: Z");

  const Group with_ipv6 = group("with IPv6");
  SettingsDraft draft;
  draft.values = account.settings;
  draft.ipv6_enabled_groups = {{with_ipv6.id}};
  must(UpdateSettings{draft});
  EXPECT_EQ(refused(with_ipv6), "group has been linked to settings: IPv6 enabled groups");
}

TEST_P(EditTest, ADeletedGroupLeavesWhereItOnlyGivesRights) {  // contract/network-map.md §1.7
  const Group admins = group("admins");
  const Group clients = group("clients");
  const Group servers = group("servers");
  PolicyRuleDraft rule;
  rule.name = "ssh";
  rule.enabled = true;
  rule.action = "accept";
  rule.protocol = "netbird-ssh";
  rule.ports = {"22"};
  rule.sources = {{clients.id}};
  rule.destinations = {{servers.id}};
  rule.authorized_groups = {{clients.id, {}}, {admins.id, {"root"}}};
  const Policy ssh = must(SavePolicy{.draft = {.name = "ssh", .enabled = true, .rules = {rule}}});
  SettingsDraft draft;
  draft.values = account.settings;
  draft.values.peer_expose_enabled = true;
  draft.values.peer_expose_groups = {admins.id, servers.id};
  must(UpdateSettings{draft});
  const auto before = snapshot();
  must(DeleteGroup{admins.id});
  const auto delta = get(instance.store->changes(soon(), account.id, before->account.serial));
  ASSERT_TRUE(delta && *delta);
  for (const AccountSnapshotPtr& now : {snapshot(), applied(*before, **delta)}) {
    EXPECT_EQ(now->account.settings.peer_expose_groups, std::vector<GroupId>{servers.id});
    const auto& rules = now->policies.find(ssh.id)->rules;
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0].authorized_groups.size(), 1U);
    EXPECT_TRUE(rules[0].authorized_groups.contains(clients.id));
  }
}

TEST_P(EditTest, ARuleForSshNeverLosesItsLastAuthorizedGroup) {
  const Peer laptop = peer("laptop");
  const Group admins = group("admins");
  PolicyRuleDraft rule;
  rule.name = "ssh";
  rule.enabled = true;
  rule.action = "accept";
  rule.protocol = "netbird-ssh";
  rule.ports = {"22"};
  rule.source_resource = {laptop.id.value(), std::string(kResourcePeer)};
  rule.destinations = {{all_group().id}};
  rule.authorized_groups = {{admins.id, {"root"}}};
  const Policy ssh = must(SavePolicy{.draft = {.name = "ssh", .enabled = true, .rules = {rule}}});
  // Without any the rule would let in every user (contract/network-map.md §2.6).
  EXPECT_REFUSED(run(DeleteGroup{admins.id}), kBadRequest, "group has been linked to policy: ssh");
  rule.authorized_groups = {{GroupId("gone"), {"root"}}};
  EXPECT_REFUSED(
      run(SavePolicy{.id = ssh.id, .draft = {.name = "ssh", .enabled = true, .rules = {rule}}}),
      Code::kInvalidArgument, "rule ssh: no authorized group exists");
  EXPECT_REFUSED(run(SavePolicy{.draft = {.name = "new", .enabled = true, .rules = {rule}}}),
                 Code::kInvalidArgument, "rule ssh: no authorized group exists");
  const auto now = snapshot();
  EXPECT_TRUE(now->policies.find(ssh.id)->rules.at(0).authorized_groups.contains(admins.id));
  rule.authorized_groups = {};  // everybody, when that is what was asked for
  must(SavePolicy{.id = ssh.id, .draft = {.name = "ssh", .enabled = true, .rules = {rule}}});
  must(DeleteGroup{admins.id});
}

TEST_P(EditTest, LeavingTheLastGroupWithIpv6TakesTheAddress) {
  const Peer a = peer("a");
  EXPECT_TRUE(a.ipv6.is_set());  // All has IPv6
  const Group made = group("six", {a.id});
  SettingsDraft draft;
  draft.values = account.settings;
  draft.ipv6_enabled_groups = {{made.id}};
  must(UpdateSettings{draft});
  EXPECT_EQ(snapshot()->peer(a.id)->ipv6, a.ipv6);
  must(ChangeGroupMember{made.id, a.id, false});
  EXPECT_FALSE(snapshot()->peer(a.id)->ipv6.is_set());
  must(SaveGroup{.id = made.id, .name = "six", .peers = {a.id}});
  EXPECT_TRUE(account.network.net_v6.contains(snapshot()->peer(a.id)->ipv6));
}

// --- policies ---------------------------------------------------------------------------------

TEST_P(EditTest, APolicyDropsUnknownIdsAndKeepsItsRules) {
  const Group a = group("a");
  const Group b = group("b");
  PolicyRuleDraft rule;
  rule.name = "r";
  rule.enabled = true;
  rule.action = "accept";
  rule.protocol = "all";
  rule.sources = {{GroupId("gone"), a.id}};
  rule.destinations = {{b.id}};
  events();
  const Policy made = must(SavePolicy{.draft = {.name = "p",
                                                .enabled = true,
                                                .source_posture_checks = {PostureCheckId("gone")},
                                                .rules = {rule, rule}}});
  EXPECT_EQ(events(), Strings{"policy.add"});
  ASSERT_EQ(made.rules.size(), 2U);
  EXPECT_EQ(made.rules[0].id.value(), made.id.value());
  EXPECT_NE(made.rules[1].id, made.rules[0].id);
  EXPECT_EQ(made.rules[0].sources, std::vector<GroupId>{a.id});
  EXPECT_TRUE(made.source_posture_checks.empty());
  const AccountSnapshotPtr after = snapshot();
  const Policy* stored = after->policies.find(made.id);
  ASSERT_NE(stored, nullptr);
  ASSERT_EQ(stored->rules.size(), 2U);

  // The first rule goes, the second stays with its id, a third comes.
  PolicyDraft draft{.name = "p", .enabled = true, .rules = {rule, rule}};
  draft.rules[0].id = made.rules[1].id;
  const Policy changed = must(SavePolicy{.id = made.id, .draft = draft});
  EXPECT_EQ(changed.rules[0].id, made.rules[1].id);
  EXPECT_EQ(changed.rules[1].id.value(), made.id.value());
  EXPECT_EQ(value("SELECT COUNT(*) FROM policy_rules WHERE policy_id = '" + made.id.value() + "'"),
            "2");
  draft.rules[0].id = RuleId("foreign");
  EXPECT_REFUSED(run(SavePolicy{.id = made.id, .draft = draft}), Code::kInvalidArgument,
                 "invalid rule ID: foreign");
}

TEST_P(EditTest, AnEqualPolicyWritesNothing) {
  const Policy made = policy("p", group("a"), group("b"));
  events();
  const std::uint64_t before = serial();
  PolicyRuleDraft rule;
  rule.id = made.rules[0].id;
  rule.name = "p";
  rule.enabled = true;
  rule.action = "accept";
  rule.protocol = "tcp";
  rule.ports = {"80"};
  rule.sources = made.rules[0].sources;
  rule.destinations = made.rules[0].destinations;
  must(SavePolicy{.id = made.id, .draft = {.name = "p", .enabled = true, .rules = {rule}}});
  EXPECT_EQ(serial(), before);
  EXPECT_TRUE(events().empty());
  rule.enabled = false;
  must(SavePolicy{.id = made.id, .draft = {.name = "p", .enabled = true, .rules = {rule}}});
  EXPECT_EQ(serial(), before + 1);
  EXPECT_EQ(events(), Strings{"policy.update"});
  must(DeletePolicy{made.id});
  EXPECT_EQ(events(), Strings{"policy.delete"});
  EXPECT_REFUSED(run(DeletePolicy{made.id}), Code::kNotFound, "policy: ");
}

// Terraform takes an answer in another order for a failure (contract/rest-api.md §9, round trips).
TEST_P(EditTest, APolicyComesBackInTheOrderItWasSent) {
  const Group a = group("a");
  const Group b = group("b");
  PolicyRuleDraft one;
  one.name = "one";
  one.enabled = true;
  one.action = "accept";
  one.protocol = "tcp";
  one.ports = {"80", "443"};
  one.sources = {{a.id, b.id}};
  one.destinations = {{a.id}};
  PolicyRuleDraft two = one;
  two.name = "two";
  PolicyDraft draft{.name = "p", .enabled = true, .rules = {one, two}};
  const Policy made = must(SavePolicy{.draft = draft});
  draft.rules[0].id = made.rules[0].id;
  draft.rules[1].id = made.rules[1].id;
  events();
  const std::uint64_t before = serial();
  const auto stored = [&] { return *snapshot()->policies.find(made.id); };
  const auto names = [&] {
    Strings out;
    for (const PolicyRule& rule : stored().rules) out.push_back(rule.name);
    return out;
  };

  draft.rules[0].ports = {"443", "80"};
  draft.rules[0].sources = {{b.id, a.id}};
  must(SavePolicy{.id = made.id, .draft = draft});
  EXPECT_EQ(stored().rules[0].ports, (Strings{"443", "80"}));
  EXPECT_EQ(stored().rules[0].sources, (std::vector{b.id, a.id}));

  std::swap(draft.rules[0], draft.rules[1]);
  must(SavePolicy{.id = made.id, .draft = draft});
  EXPECT_EQ(names(), (Strings{"two", "one"}));
  EXPECT_EQ(stored().rules[0].id, made.rules[1].id);
  EXPECT_TRUE(events().empty());  // it means what it meant before
  EXPECT_EQ(serial(), before + 2);

  PolicyRuleDraft first = one;
  first.name = "first";
  draft.rules.insert(draft.rules.begin(), first);
  must(SavePolicy{.id = made.id, .draft = draft});
  EXPECT_EQ(names(), (Strings{"first", "two", "one"}));
}

TEST_P(EditTest, APostureCheckInUseStays) {
  const PostureDraft draft{.name = "new enough", .checks = {.nb_version_min = "0.50.0"}};
  events();
  const PostureCheck check = must(SavePostureCheck{.draft = draft});
  EXPECT_REFUSED(run(SavePostureCheck{.draft = draft}), Code::kInvalidArgument,
                 "posture checks with name new enough already exists");
  const Policy made = policy("p", group("a"), group("b"));
  PolicyDraft with{.name = "p", .source_posture_checks = {check.id}};
  PolicyRuleDraft rule;
  rule.action = "accept";
  rule.protocol = "all";
  rule.sources = made.rules[0].sources;
  rule.destinations = made.rules[0].destinations;
  with.rules = {rule};
  must(SavePolicy{.id = made.id, .draft = with});
  EXPECT_REFUSED(run(DeletePostureCheck{check.id}), Code::kFailedPrecondition,
                 "posture checks have been linked to policy: p");
  must(DeletePolicy{made.id});
  events();
  must(DeletePostureCheck{check.id});
  EXPECT_EQ(events(), Strings{"posture.check.delete"});
  EXPECT_REFUSED(run(SavePostureCheck{.id = check.id, .draft = draft}), Code::kNotFound,
                 "posture checks: ");
}

// --- routes -----------------------------------------------------------------------------------

TEST_P(EditTest, ARouteIsServedByAPeerOnce) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  const Group routers = group("routers", {a.id, b.id});
  RouteDraft draft{.network = "10.0.0.0/16",
                   .peer = a.id,
                   .net_id = "lan",
                   .metric = 100,
                   .enabled = true,
                   .groups = {all_group().id}};
  events();
  const Route made = must(SaveRoute{.draft = draft});
  EXPECT_EQ(events(), Strings{"route.add"});
  EXPECT_REFUSED(run(SaveRoute{.draft = draft}), Code::kAlreadyExists,
                 "failed to add route with prefix 10.0.0.0/16");
  RouteDraft by_group = draft;
  by_group.peer.reset();
  by_group.peer_groups = {{routers.id}};
  EXPECT_REFUSED(run(SaveRoute{.draft = by_group}), Code::kAlreadyExists, "already has this route");
  EXPECT_TRUE(run(SaveRoute{.id = made.id, .draft = by_group}));  // itself does not count
  EXPECT_REFUSED(run(SaveRoute{.draft = draft}), Code::kAlreadyExists, "already has this route");
  draft.network = "10.1.0.0/16";
  EXPECT_TRUE(run(SaveRoute{.draft = draft}));
  draft.groups = {GroupId("x")};
  EXPECT_REFUSED(run(SaveRoute{.draft = draft}), Code::kInvalidArgument, "group id x not found");
  draft.groups = {all_group().id};
  draft.peer = PeerId("y");
  EXPECT_REFUSED(run(SaveRoute{.draft = draft}), Code::kInvalidArgument,
                 "peer with ID y not found");
  must(DeleteRoute{made.id});
  EXPECT_REFUSED(run(DeleteRoute{RouteId("z")}), Code::kNotFound,
                 "failed to delete route z: route: z not found");
}

TEST_P(EditTest, TheNameOfTheIpv6HalfOfADefaultRouteIsReserved) {
  RouteDraft draft{.network = "::/0",
                   .peer = peer("a").id,
                   .net_id = "out-v6",
                   .metric = 100,
                   .groups = {all_group().id}};
  EXPECT_REFUSED(run(SaveRoute{.draft = draft}), Code::kInvalidArgument, "out-v6: names that end");
  draft.net_id = "out";
  const Route made = must(SaveRoute{.draft = draft});
  draft.net_id = "out-v6";
  EXPECT_REFUSED(run(SaveRoute{.id = made.id, .draft = draft}), Code::kInvalidArgument, "reserved");
  // One that another server let pass can still be changed.
  instance.sql("UPDATE routes SET net_id = 'out-v6'");
  draft.metric = 99;
  must(SaveRoute{.id = made.id, .draft = draft});
  draft.network = "fd00::/64";  // no other route has this name and destination
  must(SaveRoute{.id = made.id, .draft = draft});
  const Network network = must(SaveNetwork{.name = "office"});
  EXPECT_REFUSED(run(SaveResource{.network = network.id,
                                  .draft = {.name = "all-v6", .address = "::/0", .enabled = true}}),
                 Code::kInvalidArgument, "reserved");
  resource(network, "printer-v6");
}

// --- networks ---------------------------------------------------------------------------------

TEST_P(EditTest, ANetworkGoesWithAllItHas) {
  const Group printers = group("printers");
  const Network network = must(SaveNetwork{.name = "office"});
  const NetworkResource printer = resource(network, "printer", {printers.id});
  must(SaveRouter{.network = network.id, .draft = {.peer = peer("r").id, .metric = 9999}});
  EXPECT_EQ(snapshot()->group(printers.id)->resources,
            (std::vector<Resource>{{printer.id.value(), "host"}}));
  events();
  must(DeleteNetwork{network.id});
  EXPECT_EQ(events(), (Strings{"resource.group.delete", "network.resource.delete",
                               "network.router.delete", "network.delete"}));
  const auto now = snapshot();
  EXPECT_TRUE(now->networks.empty());
  EXPECT_TRUE(now->routers.empty());
  EXPECT_TRUE(now->resources.empty());
  EXPECT_TRUE(now->group(printers.id)->resources.empty());
  EXPECT_REFUSED(run(DeleteNetwork{network.id}), Code::kNotFound, "not found");
}

TEST_P(EditTest, RoutersAndResourcesBelongToTheirNetwork) {
  const Network one = must(SaveNetwork{.name = "one"});
  const Network two = must(SaveNetwork{.name = "two"});
  const RouterDraft draft{.peer = peer("r").id, .metric = 1, .enabled = false};
  const NetworkRouter router = must(SaveRouter{.network = one.id, .draft = draft});
  EXPECT_TRUE(router.enabled);  // on creation always
  EXPECT_FALSE(must(SaveRouter{.network = one.id, .id = router.id, .draft = draft}).enabled);
  EXPECT_REFUSED(run(SaveRouter{.network = two.id, .id = router.id, .draft = draft}), kBadRequest,
                 "is not part of the network");
  EXPECT_REFUSED(run(DeleteRouter{two.id, router.id}), kBadRequest, "is not part of the network");
  const NetworkResource printer = resource(one, "printer");
  EXPECT_REFUSED(
      run(SaveResource{.network = two.id, .draft = {.name = "printer", .address = "10.0.0.1"}}),
      Code::kInvalidArgument,
      "failed to create network resource: resource with name printer already exists");
  EXPECT_REFUSED(
      run(SaveResource{
          .network = two.id, .id = printer.id, .draft = {.name = "other", .address = "10.0.0.1"}}),
      Code::kNotFound, "network resource: ");
  EXPECT_REFUSED(run(SaveResource{.network = NetworkId("x"),
                                  .draft = {.name = "other", .address = "10.0.0.1"}}),
                 Code::kNotFound, "failed to get network: network: x not found");
  EXPECT_REFUSED(
      run(SaveResource{.network = one.id,
                       .draft = {.name = "n", .address = "10.0.0.1", .groups = {GroupId("g")}}}),
      Code::kNotFound, "group: g not found");
}

TEST_P(EditTest, AResourceThatAServiceLeadsToStays) {
  const Network network = must(SaveNetwork{.name = "office"});
  const NetworkResource printer = resource(network, "printer");
  instance.sql("INSERT INTO services (id, account_id, name) VALUES ('svc', '" + account.id.value() +
               "', 'web')");
  instance.sql("INSERT INTO targets (account_id, service_id, target_id, target_type) VALUES ('" +
               account.id.value() + "', 'svc', '" + printer.id.value() + "', 'host')");
  EXPECT_REFUSED(run(DeleteResource{network.id, printer.id}), Code::kFailedPrecondition,
                 "resource " + printer.id.value() + " is in use by proxy svc");
}

TEST_P(EditTest, AResourceMovesBetweenGroups) {
  const Group a = group("a");
  const Group b = group("b");
  const Network network = must(SaveNetwork{.name = "office"});
  const NetworkResource made = resource(network, "printer", {a.id});
  events();
  must(SaveResource{.network = network.id,
                    .id = made.id,
                    .draft = {.name = "printer", .address = "10.9.0.0/24", .groups = {b.id}}});
  EXPECT_EQ(events().front(), "network.resource.update");
  EXPECT_TRUE(snapshot()->group(a.id)->resources.empty());
  EXPECT_EQ(snapshot()->group(b.id)->resources,
            (std::vector<Resource>{{made.id.value(), "subnet"}}));
  must(ChangeGroupResource{b.id, {made.id.value(), ""}, false});
  EXPECT_TRUE(snapshot()->group(b.id)->resources.empty());
  must(SaveGroup{.id = a.id, .name = "a", .resources = {{made.id.value(), "host"}}});
  EXPECT_EQ(snapshot()->group(a.id)->resources.front().type, "subnet");  // its true type
}

// --- DNS --------------------------------------------------------------------------------------

TEST_P(EditTest, NameServerGroupsHaveTheirNames) {
  NameServerGroupDraft draft{.name = "NS",
                             .name_servers = {{"1.1.1.1", "udp", 53}},
                             .groups = {all_group().id},
                             .primary = true};
  events();
  const NameServerGroup made = must(SaveNameServerGroup{.draft = draft});
  EXPECT_REFUSED(run(SaveNameServerGroup{.draft = draft}), Code::kInvalidArgument,
                 "nameserver group with name NS already exist");
  must(SaveNameServerGroup{.id = made.id, .draft = draft});  // nothing new, nothing told
  draft.description = "for all";
  must(SaveNameServerGroup{.id = made.id, .draft = draft});
  draft.name = "other";
  draft.groups = {GroupId("x")};
  EXPECT_REFUSED(run(SaveNameServerGroup{.draft = draft}), Code::kInvalidArgument,
                 "group id x not found");
  must(DeleteNameServerGroup{made.id});
  EXPECT_EQ(events(), (Strings{"nameserver.group.add", "nameserver.group.update",
                               "nameserver.group.delete"}));
  EXPECT_TRUE(snapshot()->name_server_groups.empty());
}

TEST_P(EditTest, DnsSettingsNameExistingGroups) {
  const Group a = group("a");
  events();
  must(SaveDnsSettings{{a.id}});
  EXPECT_EQ(snapshot()->account.dns_disabled_management_groups, std::vector<GroupId>{a.id});
  const std::uint64_t before = serial();
  must(SaveDnsSettings{{a.id}});
  EXPECT_EQ(serial(), before);
  EXPECT_REFUSED(run(SaveDnsSettings{{GroupId("x")}}), Code::kInvalidArgument,
                 "group id x not found");
  must(SaveDnsSettings{});
  EXPECT_EQ(events(), (Strings{"dns.setting.disabled.management.group.add",
                               "dns.setting.disabled.management.group.delete"}));
}

TEST_P(EditTest, ZonesAndTheirRecords) {
  ZoneDraft draft{.name = "Z", .domain = "corp.example", .distribution_groups = {all_group().id}};
  events();
  const DnsZone zone = must(SaveZone{.draft = draft});
  EXPECT_REFUSED(run(SaveZone{.draft = draft}), Code::kAlreadyExists,
                 "zone with domain corp.example already exists");
  draft.domain = "other.example";
  EXPECT_REFUSED(run(SaveZone{.id = zone.id, .draft = draft}), Code::kInvalidArgument,
                 "zone domain cannot be updated");
  draft.domain = "netbird.selfhosted";
  EXPECT_REFUSED(run(SaveZone{.draft = draft}), Code::kInvalidArgument,
                 "zone domain netbird.selfhosted conflicts with peer DNS domain");
  const RecordDraft record{.name = "a.corp.example", .type = "A", .content = "10.0.0.1", .ttl = 60};
  const DnsZoneRecord made = must(SaveRecord{.zone = zone.id, .draft = record});
  EXPECT_REFUSED(run(SaveRecord{.zone = zone.id, .draft = record}), Code::kAlreadyExists,
                 "identical record already exists");
  must(SaveRecord{.zone = zone.id, .id = made.id, .draft = record});
  EXPECT_REFUSED(run(SaveRecord{.zone = ZoneId("x"), .draft = record}), Code::kNotFound,
                 "zone: x not found");
  EXPECT_REFUSED(run(DeleteRecord{zone.id, RecordId("x")}), Code::kNotFound,
                 "dns record: x not found");
  EXPECT_EQ(snapshot()->zones.find(zone.id)->records.size(), 1U);
  draft = {.name = "Zone", .domain = "corp.example", .distribution_groups = {all_group().id}};
  EXPECT_EQ(must(SaveZone{.id = zone.id, .draft = draft}).records.size(), 1U);
  events();
  must(DeleteZone{zone.id});
  EXPECT_EQ(events(), (Strings{"dns.zone.record.delete", "dns.zone.delete"}));
  EXPECT_EQ(value("SELECT COUNT(*) FROM records"), "0");
}

TEST_P(EditTest, EveryWriteIsDescribedInTheChangeLog) {
  // Whoever follows the log sees what whoever reads everything sees.
  const Peer a = peer("a");
  auto known = snapshot();
  const auto follow = [&](const char* what) {
    const auto delta = get(instance.store->changes(soon(), account.id, known->account.serial));
    ASSERT_TRUE(delta) << what << ": " << delta.error().text;
    ASSERT_TRUE(delta->has_value()) << what << ": a serial that nobody described";
    known = applied(*known, **delta);
    const auto whole = snapshot();
    EXPECT_EQ(known->account.serial, whole->account.serial) << what;
    const auto same = [&](const auto& left, const auto& right) {
      ASSERT_EQ(left.size(), right.size()) << what;
      for (std::size_t i = 0; i < left.size(); ++i) EXPECT_EQ(left[i].id, right[i].id) << what;
    };
    same(known->groups, whole->groups);
    same(known->policies, whole->policies);
    same(known->routes, whole->routes);
    same(known->networks, whole->networks);
    same(known->routers, whole->routers);
    same(known->resources, whole->resources);
    same(known->zones, whole->zones);
    same(known->peers, whole->peers);
    for (const Group& group : whole->groups) {
      EXPECT_EQ(known->group(group.id)->peers, group.peers) << what;
      EXPECT_EQ(known->group(group.id)->resources, group.resources) << what;
    }
  };
  const Group servers = group("servers", {a.id});
  follow("group");
  policy("p", servers, all_group());
  follow("policy");
  const Network network = must(SaveNetwork{.name = "office"});
  follow("network");
  resource(network, "printer", {servers.id});
  follow("resource");
  must(SaveRouter{.network = network.id, .draft = {.peer_groups = {servers.id}, .metric = 1}});
  follow("router");
  const DnsZone zone = must(SaveZone{
      .draft = {.name = "Z", .domain = "corp.example", .distribution_groups = {servers.id}}});
  must(SaveRecord{.zone = zone.id,
                  .draft = {.name = "x.corp.example", .type = "A", .content = "10.0.0.1"}});
  follow("zone");
  EXPECT_EQ(known->zones.find(zone.id)->records.size(), 1U);
  must(DeleteNetwork{network.id});
  follow("network deleted");
  must(DeletePeer{a.id});
  follow("peer deleted");
}

}  // namespace
}  // namespace nb::management
