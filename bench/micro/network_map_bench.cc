// What maps cost: one, all of an account, with encryption against its floor, and after a change.
// The account is that of issue 4 §5: P peers in G groups, one rule among all, a tcp rule per
// neighbouring pair of groups, routes, networks, posture checks. CPU time.
#include "crypto/box.h"
#include "management/grpc/map_encoder.h"
#include "management/netmap/map_view.h"
#include "management/netmap/network_map.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace nb::management;  // NOLINT: the file's only subject
using nb::netmap::MapView;
using nb::netmap::MapViewPtr;
using nb::netmap::PeerIndex;

constexpr nb::WallTime kNow{std::chrono::sys_days{std::chrono::year(2026) / 11 / 1}};

grpc::EncoderSettings settings() {
  grpc::EncoderSettings out;
  out.dns_domain = "netbird.selfhosted";
  return out;
}

Peer make_peer(std::uint32_t number) {
  Peer peer;
  peer.id = PeerId(fmt::format("d{:0>19}", number));
  peer.key = PeerKey(fmt::format("{:0>42}A=", number));  // of 32 bytes
  peer.ip = IpAddress::v4(0x64400001U + number);
  peer.name = peer.dns_label = fmt::format("host-{}", number);
  peer.meta.wt_version = "0.77.1";
  peer.meta.go_os = "linux";
  peer.meta.kernel_version = "6.1.0";
  peer.meta.capabilities = {kCapabilitySourcePrefixes};
  peer.user_id = UserId("user");
  peer.login_expiration_enabled = true;
  peer.last_login = kNow;
  return peer;
}

Policy one_rule(const std::string& id, const GroupId& sources, const GroupId& destinations) {
  Policy policy;
  policy.id = PolicyId(id);
  policy.enabled = true;
  PolicyRule rule;
  rule.id = RuleId(id);
  rule.policy_id = policy.id;
  rule.enabled = true;
  rule.action = std::string(kActionAccept);
  rule.protocol = std::string(kProtocolAll);
  rule.bidirectional = true;
  rule.sources = {sources};
  rule.destinations = {destinations};
  policy.rules.push_back(std::move(rule));
  return policy;
}

struct Shape {
  std::uint32_t peers;
  std::uint32_t groups;
  bool among_all = true;  // otherwise each group only among itself
};

AccountSnapshotPtr make_account(const Shape& shape) {
  auto out = std::make_shared<AccountSnapshot>();
  out->account.id = AccountId("account");
  out->account.network.net = {IpAddress::v4(0x64400000), 10};
  out->account.serial = 7;
  std::vector<Peer> peers;
  std::vector<Group> groups(shape.groups + 1);
  Group& all = groups.back();
  all.id = GroupId("zzz-all");
  all.name = std::string(kGroupAllName);
  for (std::uint32_t g = 0; g < shape.groups; ++g) {
    groups[g].id = GroupId(fmt::format("g{:0>19}", g));
    groups[g].name = fmt::format("group-{}", g);
  }
  for (std::uint32_t p = 0; p < shape.peers; ++p) {
    peers.push_back(make_peer(p));
    groups[p % shape.groups].peers.push_back(peers.back().id);
    all.peers.push_back(peers.back().id);
  }
  std::vector<Policy> policies;
  PostureCheck check;
  check.id = PostureCheckId("check");
  check.checks.nb_version_min = "0.60.0";
  if (shape.among_all) policies.push_back(one_rule("policy-all", all.id, all.id));
  for (std::uint32_t g = 0; g < shape.groups; ++g) {
    const GroupId& mine = groups[g].id;
    const GroupId& next = shape.among_all ? groups[(g + 1) % shape.groups].id : mine;
    policies.push_back(one_rule(fmt::format("policy-{:0>13}", g), mine, next));
    if (!shape.among_all) continue;
    auto& rule = policies.back().rules.front();
    rule.protocol = std::string(kProtocolTcp);
    rule.ports = {"443"};
    rule.bidirectional = false;
    policies.back().source_posture_checks = {check.id};
  }
  std::vector<Route> routes;
  std::vector<NetworkResource> resources;
  std::vector<NetworkRouter> routers;
  for (std::uint32_t r = 0; shape.among_all && r < shape.groups / 5 + 1; ++r) {
    Route route;
    route.id = RouteId(fmt::format("route-{:0>14}", r));
    route.net_id = fmt::format("net-{}", r);
    route.network = {IpAddress::v4(0x0A000000U + (r << 16)), 16};
    route.network_type = kNetworkTypeIpv4;
    route.peer = peers[r].id;
    route.enabled = true;
    route.metric = 9999;
    route.groups = {groups[r % shape.groups].id};
    routes.push_back(std::move(route));
    NetworkResource resource;
    resource.id = ResourceId(fmt::format("resource-{:0>11}", r));
    resource.network_id = NetworkId(fmt::format("network-{:0>12}", r));
    resource.name = fmt::format("resource-{}", r);
    resource.type = std::string(kResourceSubnet);
    resource.prefix = {IpAddress::v4(0xAC100000U + (r << 8)), 24};
    resource.enabled = true;
    NetworkRouter router;
    router.id = RouterId(fmt::format("router-{:0>13}", r));
    router.network_id = resource.network_id;
    router.peer = peers[r + 1].id;
    router.enabled = true;
    router.metric = 9999;
    policies.push_back(one_rule(fmt::format("reach-{:0>14}", r), groups[r].id, GroupId()));
    auto& rule = policies.back().rules.front();
    rule.destinations.clear();
    rule.destination_resource = {resource.id.value(), resource.type};
    resources.push_back(std::move(resource));
    routers.push_back(std::move(router));
  }
  const auto publish = [](auto&... tables) {  // or nobody gets components
    (std::ranges::for_each(tables, [](auto& row) { row.public_id = PublicId(row.id.value()); }),
     ...);
  };
  check.public_id = PublicId(check.id.value());
  publish(groups, policies, routes, resources, routers);
  out->peers = EntityTable<Peer>(std::move(peers));
  out->groups = EntityTable<Group>(std::move(groups));
  out->policies = EntityTable<Policy>(std::move(policies));
  out->posture_checks = EntityTable<PostureCheck>(std::vector<PostureCheck>{check});
  out->routes = EntityTable<Route>(std::move(routes));
  out->resources = EntityTable<NetworkResource>(std::move(resources));
  out->routers = EntityTable<NetworkRouter>(std::move(routers));
  return out;
}

AccountSnapshotPtr account_of(const benchmark::State& state) {
  return make_account({.peers = static_cast<std::uint32_t>(state.range(0)),
                       .groups = static_cast<std::uint32_t>(state.range(1))});
}

MapViewPtr view_of(const AccountSnapshotPtr& account) {
  return MapView::update(nullptr, account, grpc::view_options(settings())).view;
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"peers", "groups"})
      ->Args({100, 5})
      ->Args({500, 20})
      ->Args({1'000, 50})
      ->Args({5'000, 100});
}

void BM_View(benchmark::State& state) {
  const auto account = account_of(state);
  for (auto _ : state) benchmark::DoNotOptimize(view_of(account));
}
BENCHMARK(BM_View)->Apply(sizes)->Unit(benchmark::kMillisecond);

/// One map with its encoding, of a different peer each time, in a view that is warm.
void BM_OneMap(benchmark::State& state) {
  const auto view = view_of(account_of(state));
  const auto peers = static_cast<PeerIndex>(state.range(0));
  PeerIndex slot = 0;
  std::size_t bytes = 0;
  for (PeerIndex i = 0; i < peers; ++i)
    benchmark::DoNotOptimize(grpc::make_map(*view, i, kNow, settings()));
  for (auto _ : state) {
    const auto made = grpc::make_map(*view, slot, kNow, settings());
    bytes += made.map.head.size() + made.map.map.size();
    slot = (slot + 7) % peers;
  }
  state.counters["map_bytes"] =
      benchmark::Counter(static_cast<double>(bytes), benchmark::Counter::kAvgIterations);
}
BENCHMARK(BM_OneMap)->Apply(sizes)->Unit(benchmark::kMicrosecond);

/// The same for agents that calculate their maps themselves.
void BM_OneComponentMap(benchmark::State& state) {
  const auto view = view_of(account_of(state));
  const auto peers = static_cast<PeerIndex>(state.range(0));
  const auto form = grpc::MapForm::kComponents;
  PeerIndex slot = 0;
  std::size_t bytes = 0;
  benchmark::DoNotOptimize(grpc::make_map(*view, 0, kNow, settings(), form));
  for (auto _ : state) {
    const auto made = grpc::make_map(*view, slot, kNow, settings(), form);
    if (!made.map.network) state.SkipWithError("a legacy map");
    bytes += made.map.head.size() + made.map.map.size();
    slot = (slot + 7) % peers;
  }
  state.counters["map_bytes"] =
      benchmark::Counter(static_cast<double>(bytes), benchmark::Counter::kAvgIterations);
}
BENCHMARK(BM_OneComponentMap)->Apply(sizes)->Unit(benchmark::kMicrosecond);

/// The plain calculation with its encoder, for comparison.
void BM_OneMapPlain(benchmark::State& state) {
  const nb::netmap::AccountView view(account_of(state), "netbird.selfhosted");
  const auto encoder = settings();
  PeerIndex target = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        grpc::encode_map(view, nb::netmap::calculate(view, target, kNow), encoder));
    target = (target + 7) % static_cast<PeerIndex>(state.range(0));
  }
}
BENCHMARK(BM_OneMapPlain)->Apply(sizes)->Unit(benchmark::kMicrosecond);

/// From the snapshot to the last peer's bytes, the view included.
void BM_AllMaps(benchmark::State& state) {
  const auto account = account_of(state);
  const auto encoder = settings();
  for (auto _ : state) {
    const auto view = view_of(account);
    for (PeerIndex slot = 0; slot < view->slots(); ++slot)
      benchmark::DoNotOptimize(grpc::make_map(*view, slot, kNow, encoder));
  }
}
BENCHMARK(BM_AllMaps)->Apply(sizes)->Unit(benchmark::kMillisecond);

/// Sealing, and one copy of the bytes: nobody gets below.
struct Sealer {
  nb::crypto::SystemRandom random;
  nb::crypto::BoxSession box =
      *nb::crypto::BoxSession::create(nb::crypto::PrivateKey::generate(random),
                                      nb::crypto::PrivateKey::generate(random).public_key());
  std::string frame;
  void send(std::string_view message) {
    const std::string sealed = box.seal(message, random);
    frame.assign(sealed);
    benchmark::DoNotOptimize(frame.data());
  }
};

void BM_AllMapsSealed(benchmark::State& state) {
  const auto account = account_of(state);
  const auto encoder = settings();
  Sealer sealer;
  for (auto _ : state) {
    const auto view = view_of(account);
    for (PeerIndex slot = 0; slot < view->slots(); ++slot)
      sealer.send(grpc::make_map(*view, slot, kNow, encoder).map.message(view->serial(), {}));
  }
}
BENCHMARK(BM_AllMapsSealed)->Apply(sizes)->Unit(benchmark::kMillisecond);

void BM_AllMapsFloor(benchmark::State& state) {
  const auto view = view_of(account_of(state));
  const std::string message =
      grpc::make_map(*view, 0, kNow, settings()).map.message(view->serial(), {});
  Sealer sealer;
  for (auto _ : state)
    for (PeerIndex slot = 0; slot < view->slots(); ++slot) sealer.send(message);
}
BENCHMARK(BM_AllMapsFloor)->Apply(sizes)->Unit(benchmark::kMillisecond);

/// A peer gets a new name: the next view, and the maps of everyone who is affected.
void after_change(benchmark::State& state, const Shape& shape, Sealer* sealer = nullptr) {
  auto account = make_account(shape);
  auto view = view_of(account);
  const auto encoder = settings();
  std::size_t maps = 0;
  std::uint32_t round = 0;
  for (auto _ : state) {
    Peer changed = account->peers[shape.peers / 2];
    changed.dns_label = fmt::format("renamed-{}", ++round);
    SnapshotDelta delta;
    delta.account = account->account;
    delta.peers.upserts.push_back(std::make_shared<const Peer>(std::move(changed)));
    account = applied(*account, delta);
    const auto update = MapView::update(view, account, grpc::view_options(encoder));
    view = update.view;
    update.affected.for_each([&](PeerIndex slot) {
      auto made = grpc::make_map(*view, slot, kNow, encoder);
      if (sealer != nullptr)
        sealer->send(std::move(made.map).message(view->serial(), {}));
      else
        benchmark::DoNotOptimize(made);
      ++maps;
    });
  }
  state.counters["maps"] =
      benchmark::Counter(static_cast<double>(maps), benchmark::Counter::kAvgIterations);
}

/// Everybody sees the change.
void BM_ChangeForAll(benchmark::State& state) {
  const auto peers = static_cast<std::uint32_t>(state.range(0));
  after_change(state, {.peers = peers, .groups = std::max(peers / 50, 5U)});
}
BENCHMARK(BM_ChangeForAll)
    ->ArgName("peers")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(5'000)
    ->Arg(20'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

/// Groups of 100 that do not see each other: what a change in one of them costs, without and with
/// the sealing of the 100 messages.
void BM_ChangeInOneGroup(benchmark::State& state) {
  const auto peers = static_cast<std::uint32_t>(state.range(0));
  Sealer sealer;
  after_change(state, {.peers = peers, .groups = peers / 100, .among_all = false},
               state.range(1) != 0 ? &sealer : nullptr);
}
BENCHMARK(BM_ChangeInOneGroup)
    ->ArgNames({"peers", "sealed"})
    ->ArgsProduct({{100, 1'000, 5'000, 20'000}, {0, 1}})
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
