// Numbers of one database. Private to sql/.
#pragma once

#include "sql/types.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <memory>

namespace nb::sql {

/// With a null registry a private one is used, so that callers need no test for it.
struct SqlMetrics {
  SqlMetrics(prometheus::Registry* registry, Engine engine);

 private:
  std::unique_ptr<prometheus::Registry> own_;

 public:
  prometheus::Gauge& queue_depth;  // netbird_sql_queue_depth         work that waits for a worker
  prometheus::Counter& rejected_total;  // netbird_sql_rejected_total      queue full
  prometheus::Counter&
      expired_total;  // netbird_sql_expired_total       deadline passed in the queue
  prometheus::Counter&
      retries_total;  // netbird_sql_retries_total       run again: conflict or lost
  prometheus::Counter& connects_total;  // netbird_sql_connects_total      connections made
  prometheus::Histogram&
      run_seconds;  // netbird_sql_run_seconds         on the worker, retries included

  /// A unit of work is over. Writes are counted under the names that dashboards of upstream know
  /// too (contract/signal-relay-ops.md §8.2): there is no global lock here, so its place has the
  /// wait for a connection.
  void ran(std::chrono::nanoseconds waited, std::chrono::nanoseconds took, bool wrote);

 private:
  prometheus::Histogram* lock_ms_ = nullptr;  // null: nobody looks
  prometheus::Histogram* lock_us_ = nullptr;
  prometheus::Histogram* persistence_ms_ = nullptr;
  prometheus::Histogram* persistence_us_ = nullptr;
  prometheus::Histogram* transaction_ms_ = nullptr;
};

}  // namespace nb::sql
