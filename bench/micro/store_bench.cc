// Reading an account of P peers from PostgreSQL: whole, after one change, and one peer's login.
#include "base/assert.h"
#include "management/store/test_store.h"

#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <string>

namespace {

using namespace nb;
using namespace nb::management;
using namespace nb::management::test;

/// One database per size, filled once.
struct Bed {
  explicit Bed(std::int64_t peers) : fixture(sql::Engine::kPostgres), instance(fixture) {
    NB_ASSERT(instance.prepare().has_value());
    account = get(instance.store->ensure_account(soon(), fresh_account()))->first;
    key = *get(
        instance.store->create_setup_key(soon(), fresh_setup_key(account.id), account.created_by));
    request = registration(key, "machine");
    NB_ASSERT(get(instance.store->register_peer(soon(), request)).has_value());
    const std::string list = instance.value(
        "SELECT string_agg(quote_ident(column_name), ', ') FROM "
        "information_schema.columns WHERE table_name = 'peers' AND column_name NOT "
        "IN ('id', 'key', 'ip', 'ipv6', 'dns_label')");
    instance.sql("INSERT INTO peers (id, key, ip, ipv6, dns_label, " + list +
                 ") SELECT 'p' || i, 'key' || i, '\"100.64.' || i / 250 || '.' || i % 250 || '\"', "
                 "'\"fd00::' || to_hex(i) || '\"', 'peer-' || i, " +
                 list + " FROM peers, generate_series(1, " + std::to_string(peers - 1) + ") i");
    instance.sql(
        "INSERT INTO group_peers SELECT g.account_id, g.id, p.id FROM groups g, peers p ON "
        "CONFLICT DO NOTHING; ANALYZE");
  }
  sql::test::TestDatabase fixture;
  Instance instance;
  Account account;
  SetupKey key;
  Registration request;
};

Bed& bed(std::int64_t peers) {
  static std::map<std::int64_t, std::unique_ptr<Bed>> beds;
  auto& out = beds[peers];
  if (!out) out = std::make_unique<Bed>(peers);
  return *out;
}

void BM_Snapshot(benchmark::State& state) {
  Bed& b = bed(state.range(0));
  for (auto _ : state) {
    const auto snapshot = get(b.instance.store->snapshot(soon(), b.account.id));
    NB_ASSERT(snapshot && static_cast<std::int64_t>((*snapshot)->peers.size()) >= state.range(0));
  }
}

/// After a peer's SSH key changed: one peer.
void BM_DeltaOfOnePeer(benchmark::State& state) {
  Bed& b = bed(state.range(0));
  int round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const auto login = get(b.instance.store->relogin(
        soon(), {b.request.key, {}, "key " + std::to_string(++round), false}));
    NB_ASSERT(login && login->was_changed);
    state.ResumeTiming();
    const auto delta = get(b.instance.store->changes(soon(), b.account.id, login->view.serial - 1));
    NB_ASSERT(delta && *delta && (*delta)->peers.upserts.size() == 1);
  }
}

/// After a registration: one peer, and the group All with everybody in it.
void BM_DeltaOfOneRegistration(benchmark::State& state) {
  Bed& b = bed(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    const auto done = get(b.instance.store->register_peer(soon(), registration(b.key, "new")));
    NB_ASSERT(done.has_value());
    state.ResumeTiming();
    const auto delta = get(b.instance.store->changes(soon(), b.account.id, done->serial - 1));
    NB_ASSERT(delta && *delta && (*delta)->groups.upserts.size() == 1);
  }
}

void BM_LoginOfAKnownPeer(benchmark::State& state) {
  Bed& b = bed(state.range(0));
  const auto stored = get(b.instance.store->peer_by_key(soon(), b.request.key));
  NB_ASSERT(stored.has_value());
  for (auto _ : state) {
    const auto login =
        get(b.instance.store->relogin(soon(), {b.request.key, {}, stored->peer.ssh_key, false}));
    NB_ASSERT(login && !login->was_changed);
  }
}

// CPU is that of this process: reading, decoding and building, without PostgreSQL's own.
BENCHMARK(BM_Snapshot)
    ->ArgName("peers")
    ->Arg(500)
    ->Arg(5'000)
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_DeltaOfOnePeer)
    ->ArgName("peers")
    ->Arg(5'000)
    ->Iterations(200)
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_DeltaOfOneRegistration)
    ->ArgName("peers")
    ->Arg(5'000)
    ->Iterations(100)
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LoginOfAKnownPeer)
    ->ArgName("peers")
    ->Arg(5'000)
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
