// Maps of accounts with a damaged column, through the real store and by both calculations: they are
// those of the account with the object turned off, and what drops drops no less (decision 0130).
#include "management/grpc/test_view_maps.h"
#include "management/netmap/network_map.h"
#include "management/store/edits/edit_fixture.h"

#include <fmt/format.h>

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

namespace nb::management::grpc {
namespace {

using namespace test;
using nb::management::test::EditAccount;
using Maps = std::map<PeerId, EncodedMap>;

struct Cell {
  std::string_view table;
  std::string_view column;
  std::string id;
};

/// What differs, by peer; empty: nothing.
std::string differences(const Maps& left, const Maps& right) {
  std::string out;
  for (const auto& [id, map] : left)
    if (const std::string found = difference(map, right.at(id)); !found.empty())
      out += fmt::format("{}:\n{}", id.value(), found);
  return out;
}

/// A list of ids in a column; an entry that starts with '!' stands there as it is.
std::string list(std::initializer_list<std::string> entries) {
  std::string out;
  for (const std::string& entry : entries)
    out += fmt::format("{}{}", out.empty() ? "" : ",",
                       entry.starts_with('!') ? entry.substr(1) : '"' + entry + '"');
  return '[' + out + ']';
}

class DamagedMaps : public testing::TestWithParam<sql::Engine>, public EditAccount {
 protected:
  DamagedMaps() : EditAccount(GetParam()) {
    instance.sql("DELETE FROM policy_rules; DELETE FROM policies");
    web = policy("web", a, all_group());
  }

  [[nodiscard]] std::string read(const Cell& at) const {
    return value(fmt::format("SELECT COALESCE({}, 'null') FROM {} WHERE id = '{}'", at.column,
                             at.table, at.id));
  }
  void write(const Cell& at, std::string_view text) const {
    instance.sql(
        fmt::format("UPDATE {} SET {} = '{}' WHERE id = '{}'", at.table, at.column, text, at.id));
  }
  void enable(std::string_view table, const std::string& id, bool on) const {
    instance.sql(fmt::format("UPDATE {} SET enabled = {} WHERE id = '{}'", table,
                             on ? "TRUE" : "FALSE", id));
  }
  void drop(const Policy& policy) const {
    instance.sql(fmt::format("UPDATE policy_rules SET action = 'drop' WHERE policy_id = '{}'",
                             policy.id.value()));
  }

  /// Of every peer.
  Maps maps() {
    const AccountSnapshotPtr now = snapshot();
    const netmap::AccountView plain(now, settings().dns_domain);
    const auto view = update(nullptr, now).view;
    Maps out;
    for (const Peer& peer : now->peers) {
      EncodedMap map = made(*view, peer.id).map;
      const auto slow = netmap::calculate(plain, plain.find(peer.id), kNow);
      EXPECT_EQ(difference(encode_map(plain, slow, settings()), map), "") << peer.name;
      out.emplace(peer.id, std::move(map));
    }
    return out;
  }

  /// With each of `damaged` in the cell the maps are those without the object.
  void expect_off(const Cell& at, std::string_view table, const std::string& object,
                  std::initializer_list<std::string> damaged) {
    const Maps with = maps();
    enable(table, object, false);
    const Maps without = maps();
    enable(table, object, true);
    ASSERT_NE(differences(with, without), "") << "nobody's map shows it";
    expect_as(at, without, damaged);
    EXPECT_EQ(differences(with, maps()), "");
  }
  void expect_off(const Cell& at, std::initializer_list<std::string> damaged) {
    expect_off(at, at.table, at.id, damaged);
  }
  /// With each of `damaged` in the cell the maps are `wanted`.
  void expect_as(const Cell& at, const Maps& wanted, std::initializer_list<std::string> damaged) {
    const std::string whole = read(at);
    for (const std::string& text : damaged) {
      write(at, text);
      EXPECT_EQ(differences(wanted, maps()), "") << at.column << " = " << text;
    }
    write(at, whole);
  }
  Maps maps_with(const Cell& at, std::string_view text) {
    const std::string whole = read(at);
    write(at, text);
    Maps out = maps();
    write(at, whole);
    return out;
  }

  [[nodiscard]] static std::string rule_of(const Policy& policy) {
    return policy.rules.at(0).id.value();
  }
  Network network_with(const Group& routers) {
    const Network network = must(SaveNetwork{.name = "office"});
    router_id =
        must(SaveRouter{.network = network.id, .draft = {.peer_groups = {routers.id}, .metric = 1}})
            .id.value();
    return network;
  }

  Peer peer_a = peer("a");
  Peer peer_b = peer("b");
  Peer peer_c = peer("c");
  Peer peer_d = peer("d");
  Group a = group("ga", {peer_a.id});
  Group b = group("gb", {peer_b.id});
  Group c = group("gc", {peer_c.id});
  Group d = group("gd", {peer_d.id});
  Policy web;
  std::string router_id;
};
INSTANTIATE_TEST_SUITE_P(Engines, DamagedMaps,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& tested) {
                           return tested.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(DamagedMaps, ARuleIsOff) {
  const std::string id = rule_of(web);
  expect_off({"policy_rules", "ports", id}, {"[22]", "{}", "no json", list({"80", "!22"})});
  expect_off({"policy_rules", "port_ranges", id},
             {"[1]", "{}", R"([{"Start":80,"End":81},{"Start":1}])"});
  expect_off({"policy_rules", "sources", id}, {"7", list({a.id.value(), "!1"})});
  expect_off({"policy_rules", "destinations", id}, {"7", list({b.id.value(), "!1"})});
  expect_off({"policy_rules", "source_resource", id}, {R"({"ID":1,"Type":"peer"})", "x"});
  expect_off({"policy_rules", "destination_resource", id}, {R"({"ID":1,"Type":"peer"})", "x"});
}

TEST_P(DamagedMaps, ARuleForSshLetsNobodyIn) {
  const std::string id = rule_of(policy("ssh", a, b));
  write({"policy_rules", "protocol", id}, kProtocolSsh);
  write({"policy_rules", "ports", id}, "[]");
  write({"policy_rules", "authorized_groups", id},
        fmt::format(R"({{"{}":["root"]}})", a.id.value()));
  expect_off({"policy_rules", "authorized_groups", id},
             {"[]", "[", fmt::format(R"({{"{}":"root"}})", a.id.value()),
              fmt::format(R"({{"{}":[1]}})", a.id.value())});
}

TEST_P(DamagedMaps, UnderDamagedChecksARuleIsOff) {
  const PostureCheck check = must(SavePostureCheck{
      .draft = {.name = "new", .description = "d", .checks = {.nb_version_min = "0.60.0"}}});
  write({"policies", "source_posture_checks", web.id.value()}, list({check.id.value()}));
  const std::string id = rule_of(web);
  expect_off({"posture_checks", "checks", check.id.value()}, "policy_rules", id,
             {"{", "[]", R"({"NBVersionCheck":{"MinVersion":7}})"});
  expect_off({"policies", "source_posture_checks", web.id.value()}, "policy_rules", id,
             {"not json", "{}", list({check.id.value(), "!1"})});
}

TEST_P(DamagedMaps, ARouteIsOff) {
  policy("beyond", a, c);
  const Route route = must(SaveRoute{.draft = {.network = "10.0.0.0/16",
                                               .peer_groups = {{d.id}},
                                               .net_id = "lan",
                                               .metric = 1,
                                               .enabled = true,
                                               .groups = {a.id},
                                               .access_control_groups = {c.id}}});
  const std::string id = route.id.value();
  expect_off({"routes", "access_control_groups", id}, {"[1]", "{}", list({c.id.value(), "!1"})});
  expect_off({"routes", "groups", id}, {list({a.id.value(), "!1"})});
  expect_off({"routes", "peer_groups", id}, {list({d.id.value(), "!1"})});
  expect_off({"routes", "network", id}, {R"("10.0.0.0/99")", "1"});
  expect_off({"routes", "domains", id}, {"[1]", list({"corp.example", "!1"})});
}

TEST_P(DamagedMaps, AResourceOrItsRouterIsOff) {
  const Network network = network_with(d);
  const NetworkResource printer = must(SaveResource{
      .network = network.id,
      .draft = {.name = "printer", .address = "10.9.0.1", .enabled = true, .groups = {c.id}}});
  policy("print", a, c);
  expect_off({"network_resources", "prefix", printer.id.value()}, {R"("10.9.0.1/99")", "1"});
  expect_off({"network_routers", "peer_groups", router_id}, {"{}", list({d.id.value(), "!1"})});
}

TEST_P(DamagedMaps, NamesAreOff) {
  const NameServerGroup servers =
      must(SaveNameServerGroup{.draft = {.name = "NS",
                                         .name_servers = {{"1.1.1.1", "udp", 53}},
                                         .groups = {a.id},
                                         .domains = {"corp.example"},
                                         .enabled = true}});
  const std::string id = servers.id.value();
  expect_off({"name_server_groups", "name_servers", id},
             {"{}", R"([{"IP":"1.1.1.1","NSType":1,"Port":53},{"IP":"?"}])"});
  expect_off({"name_server_groups", "groups", id}, {"x", list({a.id.value(), "!1"})});
  expect_off({"name_server_groups", "domains", id}, {"x", list({"corp.example", "!1"})});
  const DnsZone zone = must(
      SaveZone{.draft = {.name = "Z", .domain = "zone.example", .distribution_groups = {a.id}}});
  must(SaveRecord{
      .zone = zone.id,
      .draft = {.name = "www.zone.example", .type = "A", .content = "10.0.0.1", .ttl = 300}});
  expect_off({"zones", "distribution_groups", zone.id.value()}, {"{}", list({a.id.value(), "!1"})});
}

TEST_P(DamagedMaps, APrivateServiceIsOff) {
  instance.sql(fmt::format(
      "UPDATE peers SET proxy_meta_embedded = TRUE, proxy_meta_cluster = 'eu' WHERE id = '{}'",
      peer_d.id.value()));
  instance.sql(fmt::format(
      "INSERT INTO services (id, account_id, name, domain, proxy_cluster, enabled, terminated, "
      "mode, private, auth, restrictions, access_groups) VALUES ('v1', '{}', 'v', 'v.example', "
      "'eu', TRUE, FALSE, 'http', TRUE, '{{}}', '{{}}', '{}')",
      account.id.value(), list({b.id.value()})));
  expect_off({"services", "access_groups", "v1"}, {"[1]", "{}", list({b.id.value(), "!1"})});
}

TEST_P(DamagedMaps, ARuleThatDropsDropsEveryPort) {
  const Policy deny = policy("deny", a, b);
  drop(deny);
  const Cell ports{"policy_rules", "ports", rule_of(deny)};
  const Maps all = maps_with(ports, "[]");
  ASSERT_NE(differences(all, maps()), "");
  expect_as(ports, all, {"[22]", "{}", "no json", list({"80", "!22"})});
  expect_as({"policy_rules", "port_ranges", rule_of(deny)}, all, {"[1]", "{}"});
}

TEST_P(DamagedMaps, ARuleThatDropsSparesNobodyForACheckThatCannotBeRead) {
  const PostureCheck check = must(SavePostureCheck{
      .draft = {.name = "old", .description = "d", .checks = {.nb_version_min = "9.0.0"}}});
  const Policy deny = policy("deny", a, b);
  drop(deny);
  const Cell checks{"policies", "source_posture_checks", deny.id.value()};
  const Maps all = maps();
  write(checks, list({check.id.value()}));
  ASSERT_NE(differences(all, maps()), "") << "everybody passes, nobody is spared";
  expect_as({"posture_checks", "checks", check.id.value()}, all,
            {"{", "[]", R"({"NBVersionCheck":{"MinVersion":7}})"});
  expect_as(checks, all, {"not json", "{}", "[1]"});
}

TEST_P(DamagedMaps, ARuleThatDropsDropsForAllWhoMayBeMeant) {
  const Network network = network_with(d);
  must(SaveResource{
      .network = network.id,
      .draft = {.name = "printer", .address = "10.9.0.1", .enabled = true, .groups = {c.id}}});
  policy("print", a, c);
  const Policy deny = policy("deny", a, b);
  drop(deny);
  const Cell sources{"policy_rules", "sources", rule_of(deny)};
  const Maps from_all = maps_with(sources, list({all_group().id.value()}));
  ASSERT_NE(differences(from_all, maps()), "");
  expect_as(sources, from_all, {"[1]", "x", list({a.id.value(), "!1"})});
  expect_as({"policy_rules", "source_resource", rule_of(deny)}, from_all,
            {R"({"ID":1,"Type":"peer"})", "x"});
  const Cell destinations{"policy_rules", "destinations", rule_of(deny)};
  // Each group by its id: All holds no resources.
  const Maps to_all = maps_with(destinations, list({all_group().id.value(), a.id.value(),
                                                    b.id.value(), c.id.value(), d.id.value()}));
  ASSERT_NE(differences(to_all, maps()), "");
  expect_as(destinations, to_all, {"[1]", "x", list({b.id.value(), "!1"})});
}

}  // namespace
}  // namespace nb::management::grpc
