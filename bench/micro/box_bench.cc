// The envelope of every management body: one key agreement per stream, one box per message.
#include "crypto/box.h"

#include <benchmark/benchmark.h>

#include <string>

namespace {

using nb::crypto::BoxSession;
using nb::crypto::PrivateKey;

nb::crypto::SystemRandom& random_source() {
  static nb::crypto::SystemRandom source;
  return source;
}

BoxSession make_session() {
  const PrivateKey ours = PrivateKey::generate(random_source());
  const PrivateKey theirs = PrivateKey::generate(random_source());
  return *BoxSession::create(ours, theirs.public_key());
}

void BM_BoxAgree(benchmark::State& state) {
  const PrivateKey ours = PrivateKey::generate(random_source());
  const PrivateKey theirs = PrivateKey::generate(random_source());
  for (auto _ : state) benchmark::DoNotOptimize(BoxSession::create(ours, theirs.public_key()));
}
BENCHMARK(BM_BoxAgree);

void BM_BoxSeal(benchmark::State& state) {
  const BoxSession session = make_session();
  const std::string plain(static_cast<std::size_t>(state.range(0)), 'x');
  std::string sealed;
  for (auto _ : state) {
    sealed.clear();
    session.seal_onto(sealed, plain, random_source());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BoxSeal)->ArgName("bytes")->RangeMultiplier(16)->Range(256, 1 << 20);

void BM_BoxOpen(benchmark::State& state) {
  const BoxSession session = make_session();
  const std::string plain(static_cast<std::size_t>(state.range(0)), 'x');
  const std::string sealed = session.seal(plain, random_source());
  std::string opened;
  for (auto _ : state) {
    if (!session.open_into(opened, sealed)) state.SkipWithError("does not open");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BoxOpen)->ArgName("bytes")->RangeMultiplier(16)->Range(256, 1 << 20);

}  // namespace

BENCHMARK_MAIN();
