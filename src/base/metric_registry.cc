#include "base/assert.h"
#include "base/metrics.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

namespace nb {

/// Shared with the registry: `read` is gone once the handle is.
struct MetricRegistry::Watch::State {
  std::mutex mutex;
  std::function<double()> read;
};

MetricRegistry::Watch::Watch(std::shared_ptr<State> state) : state_(std::move(state)) {}
MetricRegistry::Watch::Watch(Watch&& other) noexcept = default;
MetricRegistry::Watch& MetricRegistry::Watch::operator=(Watch&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
MetricRegistry::Watch::~Watch() {
  if (!state_) return;
  const std::lock_guard lock(state_->mutex);  // waits for a scrape that is reading
  state_->read = nullptr;
}

namespace {
using prometheus::ClientMetric;
using prometheus::MetricType;

struct Series {
  MetricRegistry::Labels labels;
  std::unique_ptr<FastCounter> counter{};
  std::unique_ptr<FastGauge> gauge{};
  std::unique_ptr<FastHistogram> histogram{};
  std::function<std::optional<double>()> watch{};
};

struct Family {
  std::string help;
  MetricType type = MetricType::Untyped;
  std::vector<std::unique_ptr<Series>> series;
};

ClientMetric::Histogram to_wire(const FastHistogram& histogram) {
  const auto snapshot = histogram.snapshot();
  ClientMetric::Histogram out;
  out.sample_count = snapshot.count;
  out.sample_sum = snapshot.sum;
  std::uint64_t running = 0;
  for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
    running += snapshot.counts[i];
    const bool last = i == histogram.bounds().size();
    out.bucket.push_back(
        {running, last ? std::numeric_limits<double>::infinity() : histogram.bounds()[i]});
  }
  return out;
}

/// Nullopt: a watch whose handle is gone.
std::optional<ClientMetric> to_wire(const Series& series, MetricType type) {
  ClientMetric out;
  for (const auto& [name, value] : series.labels) out.label.push_back({name, value});
  if (series.histogram) {
    out.histogram = to_wire(*series.histogram);
    return out;
  }
  double value = 0;
  if (series.counter) value = static_cast<double>(series.counter->value());
  if (series.gauge) value = static_cast<double>(series.gauge->value());
  if (series.watch) {
    const auto read = series.watch();
    if (!read) return std::nullopt;
    value = *read;
  }
  if (type == MetricType::Counter) out.counter.value = value;
  if (type == MetricType::Gauge) out.gauge.value = value;
  return out;
}
}  // namespace

struct MetricRegistry::Impl {
  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;
  std::vector<Watch> kept;
  bool counts_bugs = false;

  Series& series(std::string_view name, std::string_view help, MetricType type, Labels labels) {
    auto it = families.find(name);
    if (it == families.end()) {
      it = families.emplace(std::string(name), Family{std::string(help), type, {}}).first;
    }
    Family& family = it->second;
    NB_ASSERT(family.type == type);
    for (const auto& known : family.series) {
      if (known->labels == labels) return *known;
    }
    family.series.push_back(std::make_unique<Series>(Series{.labels = std::move(labels)}));
    return *family.series.back();
  }
};

MetricRegistry::MetricRegistry() : impl_(std::make_unique<Impl>()) {}
MetricRegistry::~MetricRegistry() {
  if (impl_->counts_bugs) set_bug_counter(nullptr);
}

void MetricRegistry::count_bugs() {
  impl_->counts_bugs = true;
  set_bug_counter([this](std::string_view site) {
    counter("netbird_bugs_total", "Broken assumptions that were survived",
            {{"site", std::string(site)}})
        .add();
  });
}

FastCounter& MetricRegistry::counter(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& series = impl_->series(name, help, MetricType::Counter, std::move(labels));
  if (!series.counter) series.counter = std::make_unique<FastCounter>();
  return *series.counter;
}

FastGauge& MetricRegistry::gauge(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& series = impl_->series(name, help, MetricType::Gauge, std::move(labels));
  if (!series.gauge) series.gauge = std::make_unique<FastGauge>();
  return *series.gauge;
}

FastHistogram& MetricRegistry::histogram(std::string_view name, std::string_view help,
                                         std::span<const double> bounds, Labels labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& series = impl_->series(name, help, MetricType::Histogram, std::move(labels));
  if (!series.histogram) series.histogram = std::make_unique<FastHistogram>(bounds);
  return *series.histogram;
}

namespace {
template <class State>
void set_watch(Series& series, const std::shared_ptr<State>& state) {
  series.watch = [state]() -> std::optional<double> {
    const std::lock_guard lock(state->mutex);
    return state->read ? std::optional(state->read()) : std::nullopt;
  };
}
}  // namespace

MetricRegistry::Watch MetricRegistry::watch_gauge(std::string_view name, std::string_view help,
                                                  std::function<double()> read, Labels labels) {
  auto state = std::make_shared<Watch::State>();
  state->read = std::move(read);
  const std::lock_guard lock(impl_->mutex);
  set_watch(impl_->series(name, help, MetricType::Gauge, std::move(labels)), state);
  return Watch(std::move(state));
}

MetricRegistry::Watch MetricRegistry::watch_counter(std::string_view name, std::string_view help,
                                                    std::function<double()> read, Labels labels) {
  auto state = std::make_shared<Watch::State>();
  state->read = std::move(read);
  const std::lock_guard lock(impl_->mutex);
  set_watch(impl_->series(name, help, MetricType::Counter, std::move(labels)), state);
  return Watch(std::move(state));
}

void MetricRegistry::keep(Watch watch) {
  const std::lock_guard lock(impl_->mutex);
  impl_->kept.push_back(std::move(watch));
}

std::vector<prometheus::MetricFamily> MetricRegistry::Collect() const {
  auto out = prometheus::Registry::Collect();
  const std::lock_guard lock(impl_->mutex);
  for (const auto& [name, family] : impl_->families) {
    prometheus::MetricFamily wire{name, family.help, family.type, {}};
    for (const auto& series : family.series) {
      if (auto metric = to_wire(*series, family.type)) wire.metric.push_back(std::move(*metric));
    }
    if (!wire.metric.empty()) out.push_back(std::move(wire));
  }
  return out;
}

}  // namespace nb
