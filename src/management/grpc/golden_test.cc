// The calculation and its encoder against what the official server sends (tests/data/golden).
// Vectors that need routes, resources, posture checks, nameservers, zones or services come with
// those parts of the domain.
#include "management/grpc/golden_rows.h"
#include "management/grpc/map_encoder.h"
#include "proto/management.pb.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;
namespace json = boost::json;
using google::protobuf::RepeatedPtrField;

// Long after 2026 and long before 2099: what the vectors' times are made for.
constexpr WallTime kNow{std::chrono::sys_days{std::chrono::year(2030) / 1 / 1}};

/// A list that counts as a set: sorted, without repetitions.
template <class T>
void as_set(RepeatedPtrField<T>& list) {
  std::map<std::string, T> sorted;
  for (const T& entry : list) sorted.emplace(entry.SerializeAsString(), entry);
  list.Clear();
  for (auto& [bytes, entry] : sorted) *list.Add() = std::move(entry);
}

void canonical(pb::SSHAuth& auth) {
  std::vector<std::pair<std::string, int>> users;
  for (int i = 0; i < auth.authorizedusers_size(); ++i)
    users.emplace_back(auth.authorizedusers(i), i);
  std::ranges::sort(users);
  std::map<std::uint32_t, std::uint32_t> position;
  auth.clear_authorizedusers();
  for (const auto& [hash, old] : users) {
    position[static_cast<std::uint32_t>(old)] =
        static_cast<std::uint32_t>(auth.authorizedusers_size());
    auth.add_authorizedusers(hash);
  }
  for (auto& [name, entry] : *auth.mutable_machine_users()) {
    for (auto& index : *entry.mutable_indexes()) index = position.at(index);
    std::ranges::sort(*entry.mutable_indexes());
  }
}

/// README of the vectors, "Which orders matter".
pb::SyncResponse canonical(pb::SyncResponse response) {
  as_set(*response.mutable_remotepeers());
  if (response.has_networkmap()) {
    auto& map = *response.mutable_networkmap();
    as_set(*map.mutable_remotepeers());
    as_set(*map.mutable_offlinepeers());
    as_set(*map.mutable_firewallrules());
    for (auto& zone : *map.mutable_dnsconfig()->mutable_customzones())
      as_set(*zone.mutable_records());
    as_set(*map.mutable_dnsconfig()->mutable_customzones());
    if (map.has_sshauth()) canonical(*map.mutable_sshauth());
  }
  return response;
}

pb::SyncResponse parse(const json::value& value) {
  pb::SyncResponse response;
  google::protobuf::util::JsonParseOptions options;
  const auto status =
      google::protobuf::util::JsonStringToMessage(json::serialize(value), &response, options);
  if (!status.ok()) throw std::runtime_error(status.ToString());
  return canonical(std::move(response));
}

EncoderSettings settings(const json::object& options) {
  EncoderSettings out;
  out.dns_domain = std::string(options.at("dns_domain").as_string());
  const json::value& http = options.at("http_config");
  if (!http.is_object()) return out;
  const auto text = [&](std::string_view key) {
    const auto* const value = http.as_object().if_contains(key);
    return value != nullptr ? std::string(value->as_string()) : std::string{};
  };
  out.user_id_claim = text("AuthUserIDClaim");
  out.jwt = JwtSettings{.issuer = text("AuthIssuer"),
                        .keys_location = text("AuthKeysLocation"),
                        .audience = text("CLIAuthAudience"),
                        .audiences = {text("AuthAudience"), text("CLIAuthAudience")}};
  return out;
}

class GoldenMaps : public testing::TestWithParam<std::string> {};

/// contract: tags of vectors in which ours differs on purpose; what differs is asserted below.
void deviate(const std::string& name, pb::SyncResponse& expected) {
  auto& map = *expected.mutable_networkmap();
  if (name == "25c-login-expired-flag-only") {  // network-map.md §2.7: expired counts as offline
    auto& active = *map.mutable_remotepeers();
    for (int i = active.size() - 1; i >= 0; --i) {
      if (active.Get(i).fqdn() != "peer-b.netbird.selfhosted") continue;
      *map.add_offlinepeers() = active.Get(i);
      active.DeleteSubrange(i, 1);
    }
    map.set_remotepeersisempty(active.empty());
    expected.set_remotepeersisempty(active.empty());
  }
  if (name == "57d-ssh-without-ports") {  // §1.8: port 22 instead of any
    std::vector<pb::FirewallRule> rules(map.firewallrules().begin(), map.firewallrules().end());
    map.clear_firewallrules();
    for (pb::FirewallRule& rule : rules) {
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
}

TEST_P(GoldenMaps, AreWhatTheOfficialServerSends) {
  const json::value vector = golden::read_vector(std::string(NB_SOURCE_DIR) +
                                                 "/tests/data/golden/" + GetParam() + ".json.gz");
  const json::object& tables = vector.at("tables").as_object();
  const EncoderSettings encoder = settings(vector.at("options").as_object());
  std::map<std::string, netmap::AccountViewPtr> views;
  std::size_t compared = 0;
  for (const auto& row : tables.at("peers").as_array()) {
    const std::string id(row.at("id").as_string());
    const std::string account(row.at("account_id").as_string());
    auto& view = views[account];
    if (!view)
      view = std::make_shared<const netmap::AccountView>(golden::snapshot(tables, account),
                                                         encoder.dns_domain);
    const json::value& wanted = vector.at("expected").at(id);
    if (wanted.is_null()) continue;
    const auto index = view->find(PeerId(id));
    ASSERT_NE(index, netmap::kNoPeer);
    const auto map = netmap::calculate(*view, index, kNow);
    const std::string bytes = encode_map(*view, map, encoder).message(view->serial(), {});
    pb::SyncResponse got;
    ASSERT_TRUE(got.ParseFromString(bytes));
    pb::SyncResponse expected = parse(wanted);
    deviate(GetParam(), expected);
    std::string difference;
    google::protobuf::util::MessageDifferencer differencer;
    differencer.ReportDifferencesToString(&difference);
    EXPECT_TRUE(differencer.Compare(canonical(expected), canonical(std::move(got)))) << id << ":\n"
                                                                                     << difference;
    ++compared;
  }
  EXPECT_GT(compared, 0U);
}

std::vector<std::string> vectors() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(NB_SOURCE_DIR) + "/tests/data/golden"))
    names.push_back(entry.path().stem().stem().string());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Vectors, GoldenMaps, testing::ValuesIn(vectors()),
                         [](const testing::TestParamInfo<std::string>& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '-', '_');
                           return "V" + name;
                         });

}  // namespace
}  // namespace nb::management::grpc
