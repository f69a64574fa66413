// Metrics of the management service; names are upstream's (contract/management-grpc.md §10).
#pragma once

#include "base/metrics.h"
#include "management/app/ephemeral.h"
#include "management/app/expiry.h"
#include "management/app/exposures.h"
#include "management/app/jobs.h"
#include "management/app/map_pool.h"
#include "management/app/peer_sessions.h"
#include "management/app/sync_hub.h"
#include "management/grpc/account_p95.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace nb::management::grpc {

struct MgmtMetrics {
  explicit MgmtMetrics(MetricRegistry& registry);

  FastCounter& sync_requests;
  FastCounter& sync_blocked;
  FastCounter& login_requests;
  FastCounter& login_blocked;
  FastCounter& login_slow;
  FastCounter& key_requests;
  FastGauge& streams;
  FastGauge& streams_plain;  // documented without the exporter's suffix
  FastHistogram& sync_duration_ms;
  FastHistogram& login_duration_ms;
  FastHistogram& queue_length;
  FastHistogram& calc_map_ms;
  FastHistogram& to_sync_response_us;
  FastHistogram& to_component_response_us;
  FastHistogram& send_us;
  FastHistogram& map_objects;
  FastHistogram& peer_map_ms;
  FastHistogram& status_update_connect_ms;
  FastHistogram& status_update_disconnect_ms;
  AccountP95 sync_p95;
  AccountP95 login_p95;
  FastHistogram& create_us;
  FastHistogram& close_one_us;
  FastHistogram& close_multiple_us;
  FastHistogram& close_multiple;
  FastHistogram& posture_checks_us;
  FastHistogram& update_account_ms;
  // ours
  FastCounter& maps_sent;           // netbird_management_maps_sent_total
  FastCounter& maps_in_components;  // netbird_management_maps_in_components_total
  FastCounter& maps_unchanged;      // netbird_management_maps_unchanged_total
  FastCounter& maps_recent;         // netbird_management_maps_recent_total
  FastCounter& map_bytes;           // netbird_management_map_bytes_total
  FastCounter& maps_oversize;       // netbird_management_maps_oversize_total  above 3.5 MiB
  FastCounter& syncs_queued;        // netbird_management_syncs_queued_total
  FastCounter& syncs_refused;       // netbird_management_syncs_refused_total  no place, or too late
  FastCounter& jobs_queued;         // netbird_management_job_streams_queued_total
  FastCounter& jobs_refused;        // netbird_management_job_streams_refused_total
  FastHistogram& sync_wait_s;       // netbird_management_sync_wait_seconds  of those that waited
  FastCounter& addresses_limited;   // netbird_management_address_limited_total  calls refused
};

/// What keeps gauges and counters itself.
struct AppParts {
  const app::SyncHub& hub;
  const app::PeerSessions& sessions;
  const app::MapPool& maps;
  const app::Jobs& jobs;
  const app::Ephemeral& ephemeral;
  const app::Expiry& expiry;
  const app::Exposures& exposures;
};
[[nodiscard]] std::vector<MetricRegistry::Watch> watch_app(MetricRegistry& registry,
                                                           const AppParts& app);

}  // namespace nb::management::grpc
