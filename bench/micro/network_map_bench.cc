// One peer's map of an account where everybody may reach everybody: what an edit costs per peer.
#include "management/grpc/map_encoder.h"
#include "management/netmap/network_map.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <string>

namespace {

using namespace nb::management;  // NOLINT: the file's only subject

AccountSnapshotPtr make_account(std::uint32_t peers) {
  auto account = std::make_shared<AccountSnapshot>();
  account->account.id = AccountId("account");
  account->account.network.net = {IpAddress::v4(0x64400000), 10};
  account->account.serial = 7;
  Group all;
  all.id = GroupId("all");
  all.account_id = account->account.id;
  all.name = std::string(kGroupAllName);
  std::vector<Peer> all_peers;
  for (std::uint32_t i = 0; i < peers; ++i) {
    Peer peer;
    peer.id = PeerId(fmt::format("peer{:08}", i));
    peer.account_id = account->account.id;
    peer.key = PeerKey(fmt::format("{:0>43}=", i));
    peer.ip = IpAddress::v4(0x64400001 + i);
    peer.name = fmt::format("host-{}", i);
    peer.dns_label = peer.name;
    peer.meta.wt_version = "0.77.1";
    all.peers.push_back(peer.id);
    all_peers.push_back(std::move(peer));
  }
  account->peers = EntityTable<Peer>(std::move(all_peers));
  account->groups = EntityTable<Group>({all});
  Policy policy;
  policy.id = PolicyId("policy");
  policy.public_id = PublicId("policy");
  policy.account_id = account->account.id;
  policy.enabled = true;
  PolicyRule rule;
  rule.id = RuleId("rule");
  rule.policy_id = policy.id;
  rule.enabled = true;
  rule.action = std::string(kActionAccept);
  rule.protocol = std::string(kProtocolAll);
  rule.bidirectional = true;
  rule.sources = {all.id};
  rule.destinations = {all.id};
  policy.rules.push_back(rule);
  account->policies = EntityTable<Policy>({policy});
  return account;
}

void BM_AccountView(benchmark::State& state) {
  const auto account = make_account(static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state)
    benchmark::DoNotOptimize(nb::netmap::AccountView(account, "netbird.selfhosted"));
}
BENCHMARK(BM_AccountView)->ArgName("peers")->RangeMultiplier(10)->Range(10, 10'000);

void BM_NetworkMap(benchmark::State& state) {
  const nb::netmap::AccountView view(make_account(static_cast<std::uint32_t>(state.range(0))),
                                     "netbird.selfhosted");
  nb::netmap::PeerIndex target = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(nb::netmap::calculate(view, target, nb::WallTime{}));
    target = (target + 1) % static_cast<nb::netmap::PeerIndex>(state.range(0));
  }
}
BENCHMARK(BM_NetworkMap)->ArgName("peers")->RangeMultiplier(10)->Range(10, 10'000);

void BM_EncodeMap(benchmark::State& state) {
  const nb::netmap::AccountView view(make_account(static_cast<std::uint32_t>(state.range(0))),
                                     "netbird.selfhosted");
  const auto map = nb::netmap::calculate(view, 0, nb::WallTime{});
  grpc::EncoderSettings settings;
  settings.dns_domain = "netbird.selfhosted";
  for (auto _ : state) benchmark::DoNotOptimize(grpc::encode_map(view, map, settings));
}
BENCHMARK(BM_EncodeMap)->ArgName("peers")->RangeMultiplier(10)->Range(10, 10'000);

}  // namespace

BENCHMARK_MAIN();
