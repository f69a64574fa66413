#include "base/assert.h"
#include "base/metrics.h"

#include <algorithm>
#include <bitset>

namespace nb {

namespace detail {
namespace {
// Which shards have an owner. Process-wide by nature: it numbers the process's threads.
std::mutex g_mutex;
std::bitset<kShards> g_taken{1};  // shard 0 is the one that threads share
}  // namespace

ThreadShard::ThreadShard() {
  const std::lock_guard lock(g_mutex);
  for (std::size_t i = 1; i < kShards; ++i) {
    if (g_taken.test(i)) continue;
    g_taken.set(i);
    index = static_cast<std::uint32_t>(i);
    return;
  }
}

ThreadShard::~ThreadShard() {
  const std::lock_guard lock(g_mutex);
  if (index != 0) g_taken.reset(index);
}
}  // namespace detail

FastCounter::FastCounter() : cells_(std::make_unique<Cell[]>(detail::kShards)) {}

std::uint64_t FastCounter::value() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < detail::kShards; ++i) {
    sum += cells_[i].value.load(std::memory_order_relaxed);
  }
  return sum;
}

FastGauge::FastGauge() : cells_(std::make_unique<Cell[]>(detail::kShards)) {}

std::int64_t FastGauge::value() const {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < detail::kShards; ++i) {
    sum += cells_[i].value.load(std::memory_order_relaxed);
  }
  return sum;
}

FastHistogram::FastHistogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), shards_(std::make_unique<Shard[]>(detail::kShards)) {
  NB_ASSERT(bounds_.size() <= kBoundsMax);
  NB_ASSERT(std::is_sorted(bounds_.begin(), bounds_.end()));
}

FastHistogram::Snapshot FastHistogram::snapshot() const {
  Snapshot out;
  out.counts.resize(bounds_.size() + 1);
  for (std::size_t i = 0; i < detail::kShards; ++i) {
    for (std::size_t b = 0; b < out.counts.size(); ++b) {
      out.counts[b] += shards_[i].counts[b].load(std::memory_order_relaxed);
    }
    out.sum += shards_[i].sum.load(std::memory_order_relaxed);
  }
  for (const std::uint64_t count : out.counts) out.count += count;
  return out;
}

}  // namespace nb
