#include "sql/metrics.h"

#include "base/metrics.h"

#include <string>

namespace nb::sql {
namespace {

std::map<std::string, std::string> labels(Engine engine) {
  return {{"engine", engine == Engine::kPostgres ? "postgres" : "sqlite"}};
}

prometheus::Counter& counter(prometheus::Registry& registry, Engine engine, const char* name,
                             const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels(engine));
}

}  // namespace

SqlMetrics::SqlMetrics(prometheus::Registry* given, Engine engine)
    : own_(given == nullptr ? std::make_unique<prometheus::Registry>() : nullptr),
      queue_depth(prometheus::BuildGauge()
                      .Name("netbird_sql_queue_depth")
                      .Help("Work that waits for a database connection")
                      .Register(given == nullptr ? *own_ : *given)
                      .Add(labels(engine))),
      rejected_total(counter(given == nullptr ? *own_ : *given, engine,
                             "netbird_sql_rejected_total",
                             "Work refused because the queue was full")),
      expired_total(counter(given == nullptr ? *own_ : *given, engine, "netbird_sql_expired_total",
                            "Work whose deadline passed in the queue")),
      retries_total(counter(given == nullptr ? *own_ : *given, engine, "netbird_sql_retries_total",
                            "Transactions run again after a conflict or a lost connection")),
      connects_total(counter(given == nullptr ? *own_ : *given, engine,
                             "netbird_sql_connects_total", "Database connections made")),
      run_seconds(prometheus::BuildHistogram()
                      .Name("netbird_sql_run_seconds")
                      .Help("Time of a unit of work on its connection, retries included")
                      .Register(given == nullptr ? *own_ : *given)
                      .Add(labels(engine), prometheus::Histogram::BucketBoundaries{
                                               0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                               0.25, 0.5, 1, 2.5, 5, 10, 30, 60})) {
  if (given == nullptr) return;
  const auto upstreams = [given](const char* name, const char* help) {
    return &prometheus::BuildHistogram().Name(name).Help(help).Register(*given).Add(
        {}, prometheus::Histogram::BucketBoundaries(kOtelBuckets.begin(), kOtelBuckets.end()));
  };
  constexpr const char* kLock = "Wait of a write for a database connection";
  constexpr const char* kPersistence = "A write, from begin to commit, retries included";
  lock_ms_ = upstreams("management_store_global_lock_acquisition_duration_ms_milliseconds", kLock);
  lock_us_ =
      upstreams("management_store_global_lock_acquisition_duration_micro_microseconds", kLock);
  persistence_ms_ =
      upstreams("management_store_persistence_duration_ms_milliseconds", kPersistence);
  persistence_us_ =
      upstreams("management_store_persistence_duration_micro_microseconds", kPersistence);
  transaction_ms_ = upstreams("management_store_transaction_duration_ms_milliseconds",
                              "A write with its wait for a connection");
}

void SqlMetrics::ran(std::chrono::nanoseconds waited, std::chrono::nanoseconds took, bool wrote) {
  run_seconds.Observe(std::chrono::duration<double>(took).count());
  if (!wrote || lock_ms_ == nullptr) return;
  const double waited_us = std::chrono::duration<double, std::micro>(waited).count();
  const double took_us = std::chrono::duration<double, std::micro>(took).count();
  lock_us_->Observe(waited_us);
  lock_ms_->Observe(waited_us / 1'000);
  persistence_us_->Observe(took_us);
  persistence_ms_->Observe(took_us / 1'000);
  transaction_ms_->Observe((waited_us + took_us) / 1'000);
}

}  // namespace nb::sql
