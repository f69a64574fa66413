// Numbers of one database. Private to sql/.
#pragma once

#include "sql/types.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

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
};

}  // namespace nb::sql
