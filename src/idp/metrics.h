// What the provider counts.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

namespace nb::idp {

struct IdpMetrics {
  explicit IdpMetrics(prometheus::Registry& registry);
  prometheus::Counter& logins_passed;  // netbird_idp_logins_total{result="passed"}
  prometheus::Counter& logins_failed;  // …{result="failed"}
  prometheus::Counter& logins_locked;  // …{result="locked"}: refused without looking
  prometheus::Counter& tokens_total;   // netbird_idp_tokens_total
  prometheus::Counter& replays_total;  // netbird_idp_replays_total: codes and refresh tokens
};

}  // namespace nb::idp
