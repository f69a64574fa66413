// Both calculations and the encoder against what the official server sends (tests/data/golden),
// with the rows loaded through the real store of each engine.
#include "cmd/golden/golden_maps.h"
#include "management/grpc/test_canonical_map.h"
#include "management/grpc/test_expansion.h"
#include "proto/management.pb.h"
#include "sql/test_database.h"
#include "support/paths.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace nb::cmd::golden {
namespace {

namespace pb = ::management;
namespace json = boost::json;

// Long after 2026 and long before 2099: what the vectors' times are made for.
constexpr WallTime kNow{std::chrono::sys_days{std::chrono::year(2030) / 1 / 1}};

using management::grpc::test::canonical;

pb::SyncResponse parse(const json::value& value) {
  pb::SyncResponse response;
  const auto status =
      google::protobuf::util::JsonStringToMessage(json::serialize(value), &response);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return canonical(std::move(response));
}

/// What ours is where the vector's tag says that it differs (README, "Deviation tags").
void expired_flag_counts(pb::SyncResponse& expected) {
  auto& map = *expected.mutable_networkmap();
  auto& active = *map.mutable_remotepeers();
  for (int i = active.size() - 1; i >= 0; --i) {
    if (active.Get(i).fqdn() != "peer-b.netbird.selfhosted") continue;
    *map.add_offlinepeers() = active.Get(i);
    active.DeleteSubrange(i, 1);
  }
  map.set_remotepeersisempty(active.empty());
  expected.set_remotepeersisempty(active.empty());
}

void ssh_is_port_22(pb::SyncResponse& expected) {
  auto& map = *expected.mutable_networkmap();
  const std::vector<pb::FirewallRule> rules(map.firewallrules().begin(), map.firewallrules().end());
  map.clear_firewallrules();
  for (pb::FirewallRule rule : rules) {
    if (!rule.has_portinfo() || !rule.port().empty()) {
      *map.add_firewallrules() = rule;
      continue;
    }
    rule.clear_portinfo();
    for (const char* port : {"22", "22022"}) {
      rule.set_port(port);
      *map.add_firewallrules() = rule;
    }
  }
}

void route_rules_are_tcp(pb::SyncResponse& expected) {
  for (auto& rule : *expected.mutable_networkmap()->mutable_routesfirewallrules())
    if (rule.protocol() == pb::NETBIRD_SSH) rule.set_protocol(pb::TCP);
}

/// One parsed vector with what it expects.
struct Expected {
  Vector vector;
  std::set<std::string> tags;
  std::map<std::string, std::vector<pb::SyncResponse>> by_peer;  // any of these; none: not judged
};

Expected read(const std::filesystem::path& file) {
  Expected out;
  const auto value = read_json(file);
  NB_ASSERT(value.has_value());
  auto vector = vector_of(*value);
  NB_ASSERT(vector.has_value() && vector->has_value());
  out.vector = **vector;
  for (const auto& tag : value->at("deviations").as_array()) out.tags.emplace(tag.as_string());
  for (const char* form : {"expected", "expected_initial"}) {
    const auto* const maps = value->as_object().if_contains(form);
    if (maps == nullptr) continue;
    for (const auto& [peer, map] : maps->as_object()) {
      if (map.is_null()) continue;
      pb::SyncResponse wanted = parse(map);
      if (out.tags.contains("login-expired-flag")) expired_flag_counts(wanted);
      if (out.tags.contains("netbird-ssh-without-ports")) ssh_is_port_22(wanted);
      if (out.tags.contains("route-rule-netbird-ssh")) route_rules_are_tcp(wanted);
      out.by_peer[std::string(peer)].push_back(canonical(std::move(wanted)));
    }
  }
  return out;
}

std::string difference(const pb::SyncResponse& wanted, const pb::SyncResponse& got) {
  std::string out;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&out);
  return differencer.Compare(wanted, got) ? std::string{} : out.substr(0, 2000);
}

std::vector<std::string> files() {
  std::vector<std::string> out;
  const auto found = vectors_in(nb::test::source_dir() + "/tests/data/golden");
  NB_ASSERT(found.has_value());
  for (const auto& file : *found) out.push_back(file.string());
  return out;
}

class GoldenMaps : public testing::TestWithParam<sql::Engine> {
 protected:
  void SetUp() override {
    const bool sqlite = GetParam() == sql::Engine::kSqlite;
    static int databases = 0;
    const std::string name = "golden" + std::to_string(++databases);
    if (!sqlite) sql::test::postgres().create_database(name);
    auto store = GoldenStore::open(sqlite ? std::string{} : sql::test::postgres().dsn(name));
    ASSERT_TRUE(store.has_value()) << store.error().text;
    store_ = *std::move(store);
  }
  std::unique_ptr<GoldenStore> store_;
};

TEST_P(GoldenMaps, AreWhatTheOfficialServerSends) {
  std::size_t vectors = 0;
  for (const std::string& file : files()) {
    const Expected expected = read(file);
    const auto accounts = store_->load(expected.vector);
    ASSERT_TRUE(accounts.has_value()) << file << ": " << accounts.error().text;
    for (const Calculation calculation : {Calculation::kPlain, Calculation::kFast}) {
      SCOPED_TRACE(expected.vector.name +
                   (calculation == Calculation::kPlain ? " plain" : " fast"));
      std::map<std::string, std::string> got;
      for (const auto& account : *accounts)
        got.merge(maps_of_account(account, expected.vector.encoder, calculation, kNow));
      for (const auto& [peer, forms] : expected.by_peer) {
        if (expected.tags.contains("resource-sources-per-rule")) continue;  // the test below
        pb::SyncResponse map;
        ASSERT_TRUE(map.ParseFromString(got[peer]));
        map = canonical(std::move(map));
        std::string differs;
        for (const auto& form : forms) {
          differs = difference(form, map);
          if (differs.empty()) break;
        }
        EXPECT_EQ(differs, "") << peer;
      }
    }
    ++vectors;
  }
  EXPECT_GE(vectors, 138U);
}

TEST_P(GoldenMaps, AreWhatAgentsCalculateFromComponents) {
  std::size_t maps = 0;
  std::size_t in_components = 0;
  for (const std::string& file : files()) {
    const Expected expected = read(file);
    const auto accounts = store_->load(expected.vector);
    ASSERT_TRUE(accounts.has_value()) << file << ": " << accounts.error().text;
    for (const auto& account : *accounts) {
      const auto& encoder = expected.vector.encoder;
      const auto legacy = maps_of_account(account, encoder, Calculation::kFast, kNow);
      for (const auto& [id, message] :
           maps_of_account(account, encoder, Calculation::kComponents, kNow)) {
        ++maps;
        if (message == legacy.at(id)) continue;  // where components could not say it
        ++in_components;
        EXPECT_EQ(
            management::grpc::test::expansion_difference(
                *account, *account->peer(management::PeerId(id)), legacy.at(id), message, kNow),
            "")
            << expected.vector.name << " " << id;
      }
    }
  }
  EXPECT_GT(in_components, maps * 8 / 10) << maps;
}

TEST_P(GoldenMaps, OfAMissingCheckAreAsIfThePolicyHadNone) {
  const Expected missing =
      read(nb::test::source_dir() + "/tests/data/golden/22-missing-check.json.gz");
  Vector without = missing.vector;
  for (auto& row : without.tables.at("policies").as_array())
    row.as_object()["source_posture_checks"] = nullptr;
  const auto with_check = store_->maps_of(missing.vector, Calculation::kFast, kNow);
  const auto without_check = store_->maps_of(without, Calculation::kFast, kNow);
  ASSERT_TRUE(with_check.has_value() && without_check.has_value());
  EXPECT_EQ(*with_check, *without_check);
}

TEST_P(GoldenMaps, OnlyRulesThatTargetAResourceGiveItSources) {
  const Expected vector =
      read(nb::test::source_dir() + "/tests/data/golden/46e-multi-rule-resource-policy.json.gz");
  const auto got = store_->maps_of(vector.vector, Calculation::kFast, kNow);
  ASSERT_TRUE(got.has_value());
  const auto map = [&](const char* peer) {
    pb::SyncResponse out;
    EXPECT_TRUE(out.ParseFromString(got->at(peer)));
    return out.networkmap();
  };
  // A is a source of the rule that leads there; B only of the other rule.
  EXPECT_EQ(map("peer-a").routes_size(), 1);
  EXPECT_EQ(map("peer-b").routes_size(), 0);
  const auto router = map("peer-r");
  ASSERT_EQ(router.routesfirewallrules_size(), 1);
  EXPECT_EQ(router.routesfirewallrules(0).portinfo().port(), 443U);
  EXPECT_EQ(router.remotepeers_size(), 1);
}

INSTANTIATE_TEST_SUITE_P(Engines, GoldenMaps,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const testing::TestParamInfo<sql::Engine>& test) {
                           return test.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

}  // namespace
}  // namespace nb::cmd::golden
