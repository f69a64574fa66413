#include "management/store/store_metrics.h"

namespace nb::management {
namespace {

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

StoreMetrics::StoreMetrics(prometheus::Registry* registry)
    : own_(registry == nullptr ? std::make_unique<prometheus::Registry>() : nullptr),
      damaged_fields_total(counter(registry == nullptr ? *own_ : *registry,
                                   "netbird_store_damaged_fields_total",
                                   "Fields of the database that could not be read, per read")),
      skipped_rows_total(
          counter(registry == nullptr ? *own_ : *registry, "netbird_store_skipped_rows_total",
                  "Rows left out of an account because they make no sense, per read")),
      dangling_ids_total(counter(registry == nullptr ? *own_ : *registry,
                                 "netbird_store_dangling_ids_total",
                                 "Ids of objects that are not there, ignored, per read")) {}

}  // namespace nb::management
