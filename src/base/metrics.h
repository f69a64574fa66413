// Metrics: helpers around prometheus-cpp, and counters cheap enough for every message.
//
// prometheus-cpp's Counter is a compare-and-swap on a double and its Histogram takes a mutex; both
// bounce a cache line between the loops. FastCounter, FastGauge and FastHistogram keep one line per
// thread, written with a plain load and store, and add up when scraped.
#pragma once

#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb {

/// Milliseconds; most of upstream's signal and relay histograms (signal-relay-ops.md §8.2).
inline constexpr std::array<double, 11> kStdBuckets = {0.1, 0.5, 1,    5,    10,   50,
                                                       100, 500, 1000, 5000, 10000};
/// Defaults of upstream's exporter; most management histograms (management-grpc.md §10).
inline constexpr std::array<double, 15> kOtelBuckets = {0,   5,   10,   25,   50,   75,   100,  250,
                                                        500, 750, 1000, 2500, 5000, 7500, 10000};

namespace detail {
inline constexpr std::size_t kShards = 32;
/// This thread's shard: 1..31 while it has one for itself, 0 when shared with others.
struct ThreadShard {
  ThreadShard();
  ~ThreadShard();
  std::uint32_t index = 0;
};
inline std::uint32_t thread_shard() {
  static thread_local const ThreadShard shard;
  return shard.index;
}
template <class T>
inline void shard_add(std::atomic<T>& cell, T n, std::uint32_t shard) {
  if (shard != 0) [[likely]] {
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  } else {
    cell.fetch_add(n, std::memory_order_relaxed);
  }
}
}  // namespace detail

/// Only grows. Threads: any.
class FastCounter {
 public:
  FastCounter();
  void add(std::uint64_t n = 1) noexcept {
    const auto shard = detail::thread_shard();
    detail::shard_add(cells_[shard].value, n, shard);
  }
  [[nodiscard]] std::uint64_t value() const;

 private:
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  std::unique_ptr<Cell[]> cells_;
};

/// Goes both ways; add and subtract may happen on different threads.
class FastGauge {
 public:
  FastGauge();
  void add(std::int64_t n = 1) noexcept {
    const auto shard = detail::thread_shard();
    detail::shard_add(cells_[shard].value, n, shard);
  }
  void sub(std::int64_t n = 1) noexcept { add(-n); }
  [[nodiscard]] std::int64_t value() const;

 private:
  struct alignas(64) Cell {
    std::atomic<std::int64_t> value{0};
  };
  std::unique_ptr<Cell[]> cells_;
};

/// Fixed buckets (upper bounds, ascending; +Inf is added).
class FastHistogram {
 public:
  explicit FastHistogram(std::span<const double> bounds);
  void observe(double value) noexcept {
    const auto shard = detail::thread_shard();
    std::size_t bucket = 0;
    while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
    Shard& mine = shards_[shard];
    detail::shard_add(mine.counts[bucket], std::uint64_t{1}, shard);
    detail::shard_add(mine.sum, value, shard);
  }
  struct Snapshot {
    std::vector<std::uint64_t> counts;  // per bucket, not cumulative, +Inf last
    double sum = 0;
    std::uint64_t count = 0;
  };
  [[nodiscard]] Snapshot snapshot() const;
  [[nodiscard]] std::span<const double> bounds() const { return bounds_; }

  static constexpr std::size_t kBoundsMax = 22;

 private:
  struct alignas(64) Shard {
    std::atomic<double> sum{0};
    std::array<std::atomic<std::uint64_t>, kBoundsMax + 1> counts{};
  };
  std::vector<double> bounds_;
  std::unique_ptr<Shard[]> shards_;
};

/// A prometheus::Registry that also exports the fast kinds and read-at-scrape gauges, under exactly
/// the given names. One per process; pass it where a prometheus::Registry& is asked for.
/// Threads  any. References stay valid as long as the registry.
class MetricRegistry final : public prometheus::Registry {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  MetricRegistry();
  ~MetricRegistry() override;

  /// Same name and labels again: the same object.
  FastCounter& counter(std::string_view name, std::string_view help, Labels labels = {});
  FastGauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  FastHistogram& histogram(std::string_view name, std::string_view help,
                           std::span<const double> bounds, Labels labels = {});
  /// Called at each scrape, on the scraping thread; must not block. Drop the returned handle before
  /// what `read` refers to.
  class [[nodiscard]] Watch {
   public:
    Watch() = default;
    ~Watch();
    Watch(Watch&& other) noexcept;
    Watch& operator=(Watch&& other) noexcept;

   private:
    friend class MetricRegistry;
    struct State;
    explicit Watch(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
  };
  Watch watch_gauge(std::string_view name, std::string_view help, std::function<double()> read,
                    Labels labels = {});
  Watch watch_counter(std::string_view name, std::string_view help, std::function<double()> read,
                      Labels labels = {});

  /// NB_BUG counts into netbird_bugs_total{site} of this registry while it lives.
  void count_bugs();
  /// Lets a watch live as long as the registry; what it reads must outlive both.
  void keep(Watch watch);

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// nb_build_info{version,revision,component} 1, netbird_bugs_total{site}, process_* (CPU, memory,
/// descriptors, start time). NB_BUG counts into this registry while it lives.
void add_process_metrics(MetricRegistry& registry, std::string_view component);

/// The page of /metrics. `accept`: the request's header; OpenMetrics when it asks for it.
struct MetricsPage {
  std::string content_type;
  std::string body;
};
[[nodiscard]] MetricsPage metrics_page(const prometheus::Collectable& metrics,
                                       std::string_view accept = {});

/// One line per family: "name type label,label" sorted, for the golden lists in tests/data.
[[nodiscard]] std::string metric_list(const prometheus::Collectable& metrics);

}  // namespace nb
