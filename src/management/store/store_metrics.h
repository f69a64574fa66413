// Numbers of the store. Private to store/.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <memory>

namespace nb::management {

/// With a null registry a private one is used, so that callers need no test for it.
struct StoreMetrics {
  explicit StoreMetrics(prometheus::Registry* registry);

 private:
  std::unique_ptr<prometheus::Registry> own_;

 public:
  prometheus::Counter& damaged_fields_total;  // netbird_store_damaged_fields_total read as empty
  prometheus::Counter& skipped_rows_total;    // netbird_store_skipped_rows_total   left out
  prometheus::Counter& dangling_ids_total;    // netbird_store_dangling_ids_total   ignored
};

}  // namespace nb::management
