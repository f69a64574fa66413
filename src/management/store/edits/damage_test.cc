// Damaged columns of an account make what they belong to unusable, never wider, on both engines.
#include "base/error_kinds.h"
#include "management/store/edits/edit_fixture.h"
#include "management/store/edits/service_rows.h"
#include "management/store/range_change.h"

namespace nb::management {
namespace {

using namespace test;

class DamageTest : public testing::TestWithParam<sql::Engine>, public EditAccount {
 protected:
  DamageTest() : EditAccount(GetParam()) {}

  void write(std::string_view table, std::string_view column, std::string_view value) const {
    instance.sql(fmt::format("UPDATE {} SET {} = '{}'", table, column, value));
  }

  /// What `usable` says of the snapshot with each value in the column; the old one is put back.
  template <class Usable>
  void expect_off(std::string_view table, std::string_view column,
                  std::initializer_list<std::string_view> values, Usable usable) {
    const std::string whole =
        instance.value(fmt::format("SELECT COALESCE({}, 'null') FROM {}", column, table));
    ASSERT_TRUE(usable(*snapshot())) << table;
    for (const std::string_view value : values) {
      write(table, column, value);
      EXPECT_FALSE(usable(*snapshot())) << column << " = " << value;
    }
    write(table, column, whole);
    EXPECT_TRUE(usable(*snapshot())) << column << " = " << whole;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, DamageTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& tested) {
                           return tested.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(DamageTest, ARuleWithADamagedColumnIsOff) {
  instance.sql("DELETE FROM policies");
  const PolicyId id = policy("web", group("a"), group("b")).id;
  const auto on = [&](const AccountSnapshot& now) {
    return now.policies.find(id)->rules.at(0).enabled;
  };
  expect_off("policy_rules", "ports", {"[22]", "{}", "{\"a\":1}", "no json", "[\"22\""}, on);
  expect_off("policy_rules", "port_ranges",
             {"[{\"Start\":\"5432\",\"End\":5432}]", "[{\"Start\":70000,\"End\":70000}]",
              "[{\"Start\":-1,\"End\":9}]", "[{\"Start\":1}]", "[1]", "{}"},
             on);
  expect_off("policy_rules", "authorized_groups",
             {"[", "[]", "[\"g\"]", "{\"g\":[1]}", "{\"g\":\"root\"}"}, on);
  expect_off("policy_rules", "sources", {"[1]", "7"}, on);
  expect_off("policy_rules", "destination_resource", {"{\"ID\":1,\"Type\":\"peer\"}", "x"}, on);
}

TEST_P(DamageTest, ARuleThatDropsStaysOnAndDropsEveryPort) {
  instance.sql("DELETE FROM policies");
  const PolicyId id = policy("web", group("a"), group("b")).id;
  write("policy_rules", "action", std::string(kActionDrop));
  const auto expect_every_port = [&] {
    const auto now = snapshot();
    const PolicyRule& rule = now->policies.find(id)->rules.at(0);
    EXPECT_TRUE(rule.enabled);
    EXPECT_TRUE(rule.ports.empty());
    EXPECT_TRUE(rule.port_ranges.empty());
  };
  for (const std::string_view ports : {"[22]", R"(["80",22])", R"(["80")"}) {
    SCOPED_TRACE(ports);
    write("policy_rules", "ports", ports);
    expect_every_port();
  }
  write("policy_rules", "ports", R"(["80"])");
  write("policy_rules", "port_ranges", "[1]");
  expect_every_port();
}

TEST_P(DamageTest, APolicyWhoseChecksAreUnknownLetsNobodyInAndDropsAsBefore) {
  instance.sql("DELETE FROM policies");
  const PolicyId id = policy("web", group("a"), group("b")).id;
  const auto on = [&](const AccountSnapshot& now) {
    return now.policies.find(id)->rules.at(0).enabled;
  };
  expect_off("policies", "source_posture_checks", {"not json", "[1]", "{}", "\"c\""}, on);
  write("policies", "source_posture_checks", "not json");
  write("policy_rules", "action", std::string(kActionDrop));
  EXPECT_TRUE(on(*snapshot()));
}

TEST_P(DamageTest, NobodyPassesADamagedCheckUntilItIsSaved) {
  PostureDraft draft;
  draft.name = "new enough";
  draft.description = "d";
  draft.checks.nb_version_min = "0.60.0";
  const PostureCheck check = must(SavePostureCheck{.draft = draft});
  const auto readable = [&](const AccountSnapshot& now) {
    return !now.posture_checks.find(check.id)->checks.unreadable;
  };
  expect_off(
      "posture_checks", "checks",
      {"{\"NBVersionCheck\":[]}", "{", "[]", "[1]", "{\"NBVersionCheck\":{\"MinVersion\":7}}",
       "{\"PeerNetworkRangeCheck\":{\"Action\":\"deny\",\"Ranges\":[\"10.0.0.0\"]}}",
       "{\"GeoLocationCheck\":{\"Action\":\"deny\",\"Locations\":[{\"CountryCode\":1}]}}"},
      readable);
  write("posture_checks", "checks",
        R"({"NBVersionCheck":{"MinVersion":"0.60.0"},"ProcessCheck":"x"})");
  must(SavePostureCheck{.id = check.id,
                        .draft = draft});  // what is shown, and yet not what is stored
  EXPECT_TRUE(readable(*snapshot()));
}

TEST_P(DamageTest, ARouteWithADamagedColumnIsOff) {
  const Group all = all_group();
  const Route route = must(SaveRoute{.draft = {.network = "10.0.0.0/16",
                                               .peer = peer("a").id,
                                               .net_id = "lan",
                                               .metric = 1,
                                               .enabled = true,
                                               .groups = {all.id},
                                               .access_control_groups = {all.id}}});
  const auto on = [&](const AccountSnapshot& now) { return now.routes.find(route.id)->enabled; };
  expect_off("routes", "access_control_groups", {"[1]", "{}", "{}x"}, on);
  expect_off("routes", "network", {"\"1.2.3.4/99\""}, on);
}

TEST_P(DamageTest, AServiceWithoutItsLoginOrLimitsIsOff) {
  instance.sql(
      "INSERT INTO services (id, account_id, name, domain, enabled, auth, restrictions, "
      "access_groups) VALUES ('v1', '" +
      account.id.value() + "', 'v', 'v.example', TRUE, '{}', '{}', '[]')");
  const auto on = [&](const AccountSnapshot& /*now*/) {
    const auto found = instance.database->run_blocking<std::vector<Service>>(
        soon(), {}, [](sql::Session& session) {
          return work::read_services(session, {.condition = "v.id = $1", .values = {"v1"}});
        });
    return found.has_value() && found->at(0).enabled;
  };
  expect_off("services", "auth",
             {"[1]", "{\"pin_auth\":7}", "{\"pin_auth\":{\"enabled\":\"yes\"}}",
              "{\"password_auth\":{\"enabled\":true,\"password\":1}}",
              "{\"bearer_auth\":{\"enabled\":true,\"distribution_groups\":[1]}}"},
             on);
  expect_off("services", "restrictions",
             {"[", "{\"blocked_cidrs\":\"10.0.0.0/8\"}", "{\"blocked_cidrs\":[\"10.0.0.0/8\",9]}"},
             on);
  expect_off("services", "access_groups", {"[1]"}, on);
}

TEST_P(DamageTest, SettingsAreNotSavedOverADamagedListThatKeepsUsersOut) {
  write("accounts", "settings_jwt_allow_groups", "[1]");
  ASSERT_TRUE(snapshot()->account.settings.jwt_allow_groups_unreadable);
  SettingsDraft draft;
  draft.values = account.settings;  // as clients send it back: no groups
  draft.values.dns_domain = "corp.example";
  EXPECT_REFUSED(run(UpdateSettings{draft}), Code::kFailedPrecondition, "JWT groups");
  draft.values.jwt_allow_groups = {"staff"};
  must(UpdateSettings{draft});
  const auto now = snapshot();
  EXPECT_FALSE(now->account.settings.jwt_allow_groups_unreadable);
  EXPECT_EQ(now->account.settings.jwt_allow_groups, Strings{"staff"});
}

TEST_P(DamageTest, WithoutItsNetAnAccountKeepsTheMapsItHasUntilARangeIsSaved) {
  const Peer before = peer("a");
  const std::uint64_t known = serial();
  group("something happened");
  const auto joins = [&](const std::string& name) {
    const auto key = get(
        instance.store->create_setup_key(soon(), fresh_setup_key(account.id), account.created_by));
    return get(instance.store->register_peer(soon(), registration(*key, name))).has_value();
  };
  for (const std::string_view damaged :
       {"{broken", "{}", R"({"IP":"fd00::","Mask":"//////////8AAAAAAAAAAA=="})",
        R"({"IP":"0.0.0.0","Mask":"AAAAAA=="})", R"({"IP":"100.64.0.0","Mask":"//8="})"}) {
    write("accounts", "network_net", damaged);
    // No map, and no login that would say "/0".
    EXPECT_FALSE(get(instance.store->snapshot(soon(), account.id))) << damaged;
    EXPECT_FALSE(get(instance.store->changes(soon(), account.id, known))) << damaged;
    EXPECT_FALSE(get(instance.store->relogin(soon(), {before.key, {}, before.ssh_key, false})))
        << damaged;
    EXPECT_FALSE(joins("newcomer")) << damaged;
    EXPECT_REFUSED(run(UpdatePeer{.id = before.id, .name = "a", .ip = "100.64.0.7"}),
                   Code::kFailedPrecondition, "network range");
  }
  SettingsDraft draft;
  draft.values = account.settings;
  must(UpdateSettings{draft});  // other settings leave the damaged text to whoever can read it
  EXPECT_EQ(value("SELECT network_net FROM accounts"), R"({"IP":"100.64.0.0","Mask":"//8="})");
  draft.network_range = "100.80.0.0/16";
  must(UpdateSettings{draft});
  EXPECT_TRUE(Prefix::parse("100.80.0.0/16")->contains(snapshot()->peer(before.id)->ip));
  EXPECT_TRUE(joins("newcomer"));
}

TEST_P(DamageTest, ARangeThatIsSavedAgainReplacesADamagedNet) {
  SettingsDraft draft;
  draft.values = account.settings;
  draft.network_range = "100.80.0.0/16";
  must(UpdateSettings{draft});
  const std::string whole = value("SELECT network_net FROM accounts");
  write("accounts", "network_net", "damaged");
  must(UpdateSettings{draft});
  EXPECT_EQ(value("SELECT network_net FROM accounts"), whole);
}

TEST_P(DamageTest, ANetOfTheWrongFamilyIsNoIpv6Net) {
  write("accounts", "network_net_v6", R"({"IP":"100.64.0.0","Mask":"//8AAA=="})");
  EXPECT_FALSE(peer("a").ipv6.is_set());
  const Peer b = peer("b");
  SettingsDraft draft;
  draft.values = account.settings;
  draft.ipv6_enabled_groups = {{group("six", {b.id}).id}};
  must(UpdateSettings{draft});
  EXPECT_FALSE(snapshot()->peer(b.id)->ipv6.is_set());
  EXPECT_EQ(value("SELECT network_net_v6 FROM accounts"),
            R"({"IP":"100.64.0.0","Mask":"//8AAA=="})");
  draft.network_range_v6 = "fd00:1::/64";
  must(UpdateSettings{draft});
  EXPECT_TRUE(Prefix::parse("fd00:1::/64")->contains(snapshot()->peer(b.id)->ipv6));
}

TEST_P(DamageTest, TextsThatAreNoUtf8ReachNoMap) {
  if (GetParam() == sql::Engine::kPostgres) GTEST_SKIP() << "it stores none";
  const Peer a = peer("a");
  instance.sql(
      "UPDATE peers SET name = CAST(X'41FF42' AS TEXT), meta_wt_version = CAST(X'FE' AS TEXT)");
  const auto now = snapshot();
  EXPECT_EQ(now->peer(a.id)->name,
            "A\xEF\xBF\xBD"
            "B");
  EXPECT_EQ(now->peer(a.id)->meta.wt_version, "\xEF\xBF\xBD");
}

TEST_P(DamageTest, OfTwoOnOneAddressTheSecondMovesWithTheNet) {
  std::vector<Peer> peers;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) peers.push_back(peer(name));
  instance.sql("DROP INDEX idx_account_ip");
  const work::Context context(instance.parts, {});
  // Of six hosts one is free: chance misses it ten times in one round of six.
  for (int round = 0; round < 60; ++round) {
    const std::string net = fmt::format("100.80.{}.", round);
    for (std::size_t i = 0; i < peers.size(); ++i)
      instance.sql(fmt::format("UPDATE peers SET ip = '\"{}{}\"' WHERE id = '{}'", net,
                               std::max<std::size_t>(i, 1), peers[i].id.value()));
    const auto moved =
        instance.database->run_blocking<std::size_t>(soon(), {}, [&](sql::Session& session) {
          work::Changes changes(account.id);
          return work::change_range(session, context, *Prefix::parse(net + "0/29"), changes);
        });
    ASSERT_TRUE(moved) << moved.error().text;
    ASSERT_EQ(value("SELECT COUNT(DISTINCT ip) FROM peers"), "6") << net;
  }
}

TEST_P(DamageTest, AnAddressOfAMachineThatCannotBeReadIsNoAddress) {
  peer("a");
  write("peers", "meta_network_addresses",
        R"([{"NetIP":"x/y","Mac":"m"},{"NetIP":"10.0.0.1/24","Mac":"n"}])");
  const auto now = snapshot();
  EXPECT_EQ(now->peers[0].meta.network_addresses.size(), 1U);
}

TEST_P(DamageTest, WhatIsSavedAsItIsShownIsWritten) {
  const Group a = group("a");
  const std::string damaged = fmt::format("[\"{}\",1]", a.id.value());
  const auto expect_written = [&](std::string_view table, std::string_view column,
                                  const std::string& id, auto command) {
    instance.sql(
        fmt::format("UPDATE {} SET {} = '{}' WHERE id = '{}'", table, column, damaged, id));
    must(std::move(command));
    EXPECT_EQ(value(fmt::format("SELECT {} FROM {} WHERE id = '{}'", column, table, id)),
              fmt::format("[\"{}\"]", a.id.value()))
        << table;
  };
  RouteDraft route{.network = "10.0.0.0/16",
                   .peer = peer("r").id,
                   .net_id = "lan",
                   .metric = 1,
                   .groups = {a.id}};
  const std::string route_id = must(SaveRoute{.draft = route}).id.value();
  expect_written("routes", "groups", route_id, SaveRoute{RouteId(route_id), route});
  const Network office = must(SaveNetwork{.name = "office"});
  const RouterDraft router{.peer_groups = {a.id}, .metric = 1, .enabled = false};
  const RouterId router_id = must(SaveRouter{.network = office.id, .draft = router}).id;
  expect_written("network_routers", "peer_groups", router_id.value(),
                 SaveRouter{office.id, router_id, router});
  const NameServerGroupDraft servers{
      .name = "NS", .name_servers = {{"1.1.1.1", "udp", 53}}, .groups = {a.id}, .primary = true};
  const NameServerGroupId servers_id = must(SaveNameServerGroup{.draft = servers}).id;
  expect_written("name_server_groups", "groups", servers_id.value(),
                 SaveNameServerGroup{servers_id, servers});
  const ZoneDraft zone{
      .name = "Z", .domain = "z.example", .enabled = false, .distribution_groups = {a.id}};
  const ZoneId zone_id = must(SaveZone{.draft = zone}).id;
  expect_written("zones", "distribution_groups", zone_id.value(), SaveZone{zone_id, zone});
  must(AddUser{.id = UserId("ann"), .name = "Ann", .email = "ann@example.org", .role = "user"});
  expect_written("users", "auto_groups", "ann",
                 UpdateUser{.id = UserId("ann"), .role = "user", .auto_groups = {a.id}});
  const SetupKeyId key =
      must(CreateSetupKey{.request = {.name = "Key", .auto_groups = {a.id}}}).key.id;
  expect_written("setup_keys", "auto_groups", key.value(),
                 UpdateSetupKey{.id = key, .auto_groups = {a.id}});
  const std::string here = account.id.value();
  expect_written("accounts", "dns_settings_disabled_management_groups", here,
                 SaveDnsSettings{{a.id}});
  SettingsDraft settings;
  settings.values = account.settings;
  settings.values.peer_expose_groups = {a.id};
  expect_written("accounts", "settings_peer_expose_groups", here, UpdateSettings{settings});
}

TEST_P(DamageTest, ARuleThatIsSavedAsItIsShownIsRepaired) {
  instance.sql("DELETE FROM policies");
  const Group from = group("a");
  const Group to = group("b");
  const PolicyId id = policy("web", from, to).id;
  write("policy_rules", "ports", R"(["80",22])");
  const PolicyRule shown = snapshot()->policies.find(id)->rules.at(0);
  ASSERT_FALSE(shown.enabled);
  PolicyDraft draft{.name = "web", .enabled = true};
  draft.rules.push_back({.id = shown.id,
                         .name = shown.name,
                         .enabled = shown.enabled,
                         .action = shown.action,
                         .sources = shown.sources,
                         .destinations = shown.destinations,
                         .protocol = shown.protocol,
                         .ports = shown.ports});
  must(SavePolicy{id, draft});
  EXPECT_EQ(value("SELECT ports FROM policy_rules"), R"(["80"])");
  EXPECT_FALSE(snapshot()->policies.find(id)->rules.at(0).enabled) << "as it was sent";
  const std::uint64_t saved = serial();
  must(SavePolicy{id, draft});
  EXPECT_EQ(serial(), saved) << "whole by now, and the same";
}

TEST_P(DamageTest, OtherEditsLeaveDamagedColumnsToWhoeverCanReadThem) {
  const NetworkResource printer =
      must(SaveResource{.network = must(SaveNetwork{.name = "office"}).id,
                        .draft = {.name = "printer", .address = "10.9.0.1", .enabled = true}});
  const Resource resource{printer.id.value(), printer.type};
  Group printers = must(SaveGroup{.name = "printers", .resources = {resource}});
  const std::string damaged = fmt::format(R"([{{"ID":"{}","Type":"host"}},7])", printer.id.value());
  instance.sql(fmt::format("UPDATE groups SET resources = '{}' WHERE id = '{}'", damaged,
                           printers.id.value()));
  const auto stored = [&](std::string_view column) {
    return value(fmt::format("SELECT {} FROM groups WHERE id = '{}'", column, printers.id.value()));
  };
  must(SaveGroup{.id = printers.id, .name = "all printers", .peers = {}, .resources = {resource}});
  EXPECT_EQ(stored("name"), "all printers");
  EXPECT_EQ(stored("resources"), damaged);
  EXPECT_EQ(snapshot()->group(printers.id)->name, "all printers");
  must(SaveGroup{.id = printers.id, .name = "all printers"});
  EXPECT_EQ(stored("resources"), "[]");

  write("accounts", "dns_settings_disabled_management_groups", "damaged");
  SettingsDraft settings;
  settings.values = account.settings;
  settings.values.dns_domain = "corp.example";
  must(UpdateSettings{settings});
  EXPECT_EQ(value("SELECT dns_settings_disabled_management_groups FROM accounts"), "damaged");
}

TEST_P(DamageTest, ADropRuleKnowsWhichOfItsSidesIsDamaged) {
  instance.sql("DELETE FROM policies");
  const PolicyId id = policy("deny", group("a"), group("b")).id;
  write("policy_rules", "action", std::string(kActionDrop));
  const auto sides = [&] {
    const auto now = snapshot();
    const PolicyRule& rule = now->policies.find(id)->rules.at(0);
    return std::pair(rule.sources_unreadable, rule.destinations_unreadable);
  };
  EXPECT_EQ(sides(), std::pair(false, false));
  write("policy_rules", "sources", "[1]");
  EXPECT_EQ(sides(), std::pair(true, false));
  write("policy_rules", "destination_resource", "x");
  EXPECT_EQ(sides(), std::pair(true, true));
}

TEST_P(DamageTest, ADeletedGroupLeavesOtherColumnsOfARuleAlone) {
  const Group admins = group("admins");
  const Group others = group("others");
  instance.sql("DELETE FROM policies");
  policy("ssh", all_group(), all_group());
  write("policy_rules", "authorized_groups",
        fmt::format("{{\"{}\":[],\"{}\":[]}}", admins.id.value(), others.id.value()));
  write("policy_rules", "ports", "[22]");
  must(DeleteGroup{admins.id});
  EXPECT_EQ(value("SELECT ports FROM policy_rules"), "[22]");
  EXPECT_EQ(value("SELECT authorized_groups FROM policy_rules"),
            fmt::format("{{\"{}\":[]}}", others.id.value()));
}

}  // namespace
}  // namespace nb::management
