// Counters and gauges of prometheus-cpp itself, for what is counted rarely; metrics.h has cheaper
// ones for every message.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <string>

namespace nb {

/// Same name and labels again: the same object. It lives as long as the registry.
[[nodiscard]] prometheus::Counter& plain_counter(prometheus::Registry& registry,
                                                 const std::string& name, const std::string& help,
                                                 const prometheus::Labels& labels = {});
[[nodiscard]] prometheus::Gauge& plain_gauge(prometheus::Registry& registry,
                                             const std::string& name, const std::string& help,
                                             const prometheus::Labels& labels = {});

}  // namespace nb
