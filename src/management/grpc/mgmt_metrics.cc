#include "management/grpc/mgmt_metrics.h"

#include <array>

namespace nb::management::grpc {
namespace {

constexpr std::array<double, 8> kObjectBuckets = {50, 100, 200, 500, 1000, 2500, 5000, 10000};
constexpr std::array<double, 12> kPeerMapBuckets = {0.1, 0.5, 1,   5 / 2.0, 5,   10,
                                                    25,  50,  100, 250,     500, 1000};
constexpr std::array<double, 11> kStatusBuckets = {1,   5,   15,   25,   50,  100,
                                                   250, 500, 1000, 2000, 5000};
constexpr std::array<double, 15> kUpdateBuckets = {0.5, 1,   2.5,  5,    10,   25,    50,   100,
                                                   250, 500, 1000, 2500, 5000, 10000, 30000};

constexpr std::array<double, 10> kWaitBuckets = {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60};

double as_double(const std::atomic<std::uint64_t>& value) {
  return static_cast<double>(value.load(std::memory_order_relaxed));
}

}  // namespace

MgmtMetrics::MgmtMetrics(MetricRegistry& r)
    : sync_requests(r.counter("management_grpc_sync_request_counter_total",
                              "Sync calls that passed the login filter")),
      sync_blocked(r.counter("management_grpc_sync_request_blocked_counter_total",
                             "Sync calls of peers that connect too often")),
      login_requests(r.counter("management_grpc_login_request_counter_total", "Login calls")),
      login_blocked(r.counter("management_grpc_login_request_blocked_counter_total",
                              "Login calls of peers that connect too often")),
      login_slow(r.counter("management_grpc_login_request_high_latency_counter_total",
                           "Logins that took longer than 7 s")),
      key_requests(r.counter("management_grpc_key_request_counter_total", "GetServerKey calls")),
      streams(r.gauge("management_grpc_connected_streams_ratio", "open Sync streams")),
      streams_plain(r.gauge("management_grpc_connected_streams", "open Sync streams")),
      sync_duration_ms(r.histogram("management_grpc_sync_request_duration_ms_milliseconds",
                                   "from Sync request to its first map", kOtelBuckets)),
      login_duration_ms(r.histogram("management_grpc_login_request_duration_ms_milliseconds",
                                    "successful logins", kOtelBuckets)),
      queue_length(r.histogram("management_grpc_updatechannel_queue_length",
                               "maps waiting per stream when one is sent", kOtelBuckets)),
      calc_map_ms(r.histogram("management_updatechannel_calc_networkmap_duration_ms_milliseconds",
                              "calculation of one map", kOtelBuckets)),
      to_sync_response_us(
          r.histogram("management_updatechannel_tosyncresponse_duration_micro_microseconds",
                      "encoding of one map", kOtelBuckets)),
      to_component_response_us(r.histogram(
          "management_updatechannel_tocomponentsyncresponse_duration_micro_microseconds",
          "encoding of one map in components", kOtelBuckets)),
      send_us(r.histogram("management_updatechannel_send_duration_micro_microseconds",
                          "from map thread to transport", kOtelBuckets,
                          {{"found", "true"}, {"dropped", "false"}})),
      map_objects(r.histogram("management_account_network_map_object_count_objects",
                              "peers, routes and rules of one map", kObjectBuckets)),
      peer_map_ms(r.histogram("management_account_get_peer_network_map_duration_ms_milliseconds",
                              "one peer's map, calculated and encoded", kPeerMapBuckets)),
      status_update_connect_ms(r.histogram(
          "management_account_peer_status_update_duration_ms_milliseconds",
          "marking a peer connected or disconnected", kStatusBuckets, {{"operation", "connect"}})),
      status_update_disconnect_ms(
          r.histogram("management_account_peer_status_update_duration_ms_milliseconds",
                      "marking a peer connected or disconnected", kStatusBuckets,
                      {{"operation", "disconnect"}})),
      sync_p95(r.histogram("management_grpc_sync_request_duration_p95_by_account_ms_milliseconds",
                           "the slowest twentieth of each account, once a minute", kOtelBuckets)),
      login_p95(r.histogram("management_grpc_login_request_duration_p95_by_account_ms_milliseconds",
                            "the slowest twentieth of each account, once a minute", kOtelBuckets)),
      create_us(r.histogram("management_updatechannel_create_duration_micro_microseconds",
                            "putting a stream into the fan-out", kOtelBuckets,
                            {{"closed", "false"}})),
      close_one_us(r.histogram("management_updatechannel_close_one_duration_micro_microseconds",
                               "taking a stream out of the fan-out", kOtelBuckets)),
      close_multiple_us(
          r.histogram("management_updatechannel_close_multiple_duration_micro_microseconds",
                      "ending all streams at a drain", kOtelBuckets)),
      close_multiple(r.histogram("management_updatechannel_close_multiple_channels",
                                 "streams ended then", kOtelBuckets)),
      posture_checks_us(
          r.histogram("management_updatechannel_calc_posturechecks_duration_micro_microseconds",
                      "posture checks of one map", kOtelBuckets)),
      update_account_ms(
          r.histogram("management_account_update_account_peers_duration_ms_milliseconds",
                      "from a change to the streams that it concerns", kUpdateBuckets)),
      maps_sent(r.counter("netbird_management_maps_sent_total", "maps written to streams")),
      maps_in_components(r.counter("netbird_management_maps_in_components_total",
                                   "of the maps written, those that agents calculate themselves")),
      maps_unchanged(
          r.counter("netbird_management_maps_unchanged_total", "maps equal to the last one sent")),
      maps_recent(r.counter("netbird_management_maps_recent_total",
                            "of the maps written, those that the peer had got a short while ago")),
      map_bytes(r.counter("netbird_management_map_bytes_total", "sealed bytes of maps")),
      maps_oversize(r.counter("netbird_management_maps_oversize_total",
                              "maps above 3.5 MiB, which old agents cannot receive")),
      syncs_queued(r.counter("netbird_management_syncs_queued_total",
                             "Sync calls that had to wait for their turn")),
      syncs_refused(r.counter("netbird_management_syncs_refused_total",
                              "Sync calls without a place in the queue, or that waited too long")),
      jobs_queued(r.counter("netbird_management_job_streams_queued_total",
                            "Job calls that had to wait for their turn")),
      jobs_refused(r.counter("netbird_management_job_streams_refused_total",
                             "Job calls without a place in the queue, or that waited too long")),
      sync_wait_s(r.histogram("netbird_management_sync_wait_seconds",
                              "from a Sync call to its turn, of those that waited", kWaitBuckets)),
      addresses_limited(r.counter("netbird_management_address_limited_total",
                                  "calls refused because their address makes too many")) {
  // Ours does none of these; dashboards ask for them (docs/decisions/0111-metrics-of-upstream.md).
  for (const char* const name :
       {"management_updatechannel_get_all_duration_micro_microseconds",
        "management_updatechannel_get_all_peers",
        "management_updatechannel_haschannel_duration_micro_microseconds",
        "management_updatechannel_merge_networkmap_duration_micro_microseconds"})
    r.histogram(name, "always empty: there is no such step", kOtelBuckets);
}

std::vector<MetricRegistry::Watch> watch_app(MetricRegistry& r, const AppParts& app) {
  const app::SyncHub& hub = app.hub;
  const app::MapPool& maps = app.maps;
  std::vector<MetricRegistry::Watch> watches;
  const auto counter = [&](std::string_view name, std::string_view help,
                           const std::atomic<std::uint64_t>& value,
                           MetricRegistry::Labels labels = {}) {
    watches.push_back(r.watch_counter(
        name, help, [&value] { return as_double(value); }, std::move(labels)));
  };
  const auto& h = hub.counters();
  counter("netbird_management_account_loads_total", "account snapshots read", h.loads);
  counter("netbird_management_account_whole_loads_total", "of these, not from what changed",
          h.loads_whole);
  counter("netbird_management_account_load_failures_total", "account snapshots not read",
          h.load_failures);
  constexpr std::string_view kPublished = "netbird_management_bus_published_total";
  constexpr std::string_view kPublishedHelp = "account messages sent to other instances";
  counter(kPublished, kPublishedHelp, h.published, {{"via", "redis"}});
  counter(kPublished, kPublishedHelp, h.published_fallback, {{"via", "postgres"}});
  counter("netbird_management_bus_failures_total", "account messages that nothing carried",
          h.publish_failures);
  counter("netbird_management_bus_received_total", "account messages of other instances",
          h.received);
  counter("netbird_management_bus_refused_total", "account messages not understood", h.refused);
  counter("netbird_management_repairs_total", "accounts that polling found behind", h.repairs);
  constexpr std::string_view kSessions = "netbird_management_sessions_reasserted_total";
  constexpr std::string_view kSessionsHelp =
      "streams looked at after the lease had lapsed or messages were lost";
  counter(kSessions, kSessionsHelp, h.sessions_held, {{"outcome", "held"}});
  counter(kSessions, kSessionsHelp, h.sessions_restored, {{"outcome", "restored"}});
  counter(kSessions, kSessionsHelp, h.sessions_ended, {{"outcome", "ended"}});
  for (std::size_t i = 0; i < app::UpdateCounters::kResources.size(); ++i) {
    for (std::size_t j = 0; j < app::UpdateCounters::kOperations.size(); ++j) {
      const MetricRegistry::Labels labels = {
          {"resource", std::string(app::UpdateCounters::kResources[i])},
          {"operation", std::string(app::UpdateCounters::kOperations[j])}};
      counter("management_account_update_account_peers_counter_total",
              "accounts brought up to date, by what changed", h.updates.at(i, j), labels);
      counter("management_network_map_counter_total", "rounds of network maps, by what changed",
              h.updates.at(i, j), labels);
    }
  }
  const auto& s = app.sessions.counters();
  constexpr std::string_view kStatus = "management_account_peer_status_update_counter_total";
  constexpr std::string_view kStatusHelp = "peers marked connected or disconnected";
  counter(kStatus, kStatusHelp, s.connects, {{"operation", "connect"}, {"outcome", "applied"}});
  counter(kStatus, kStatusHelp, s.connect_errors, {{"operation", "connect"}, {"outcome", "error"}});
  counter(kStatus, kStatusHelp, s.disconnects,
          {{"operation", "disconnect"}, {"outcome", "applied"}});
  counter(kStatus, kStatusHelp, s.disconnects_stale,
          {{"operation", "disconnect"}, {"outcome", "stale"}});
  counter(kStatus, kStatusHelp, s.disconnect_errors,
          {{"operation", "disconnect"}, {"outcome", "error"}});
  counter("management_account_peer_meta_update_counter_total", "descriptions of machines stored",
          s.meta_updates);
  const auto& j = app.jobs.counters();
  constexpr std::string_view kJobs = "netbird_management_jobs_total";
  constexpr std::string_view kJobsHelp = "jobs of agents";
  counter(kJobs, kJobsHelp, j.sent, {{"event", "sent"}});
  counter(kJobs, kJobsHelp, j.completed, {{"event", "completed"}});
  counter(kJobs, kJobsHelp, j.unknown_results, {{"event", "unknown"}});
  counter(kJobs, kJobsHelp, j.stuck, {{"event", "stuck"}});
  counter("netbird_management_job_streams_fenced_total",
          "Job streams ended because the database knew newer ones, and no message had said so",
          j.fenced);
  watches.push_back(r.watch_gauge("netbird_management_job_streams", "open Job streams",
                                  [&j] { return as_double(j.streams); }));
  const app::Ephemeral& ephemeral = app.ephemeral;
  const auto value = [&](std::string_view name, std::string_view help, auto read) {
    watches.push_back(r.watch_counter(name, help, std::move(read), {}));
  };
  value("management_ephemeral_cleanup_runs_counter_total", "sweeps for ephemeral peers",
        [&ephemeral] { return static_cast<double>(ephemeral.runs()); });
  value("management_ephemeral_peers_cleaned_counter_total", "ephemeral peers removed",
        [&ephemeral] { return static_cast<double>(ephemeral.cleaned()); });
  value("management_ephemeral_cleanup_errors_counter_total", "sweeps that failed",
        [&ephemeral] { return static_cast<double>(ephemeral.errors()); });
  const app::Expiry& expiry = app.expiry;
  value("netbird_management_logins_expired_total",
        "peers whose login ended or that were away too long",
        [&expiry] { return static_cast<double>(expiry.expired()); });
  value("netbird_management_expiry_errors_total", "sweeps for expired logins that failed",
        [&expiry] { return static_cast<double>(expiry.errors()); });
  counter("netbird_management_exposures_expired_total",
          "services that peers exposed and did not renew", app.exposures.expired());
  watches.push_back(
      r.watch_gauge("management_ephemeral_peers_pending", "ephemeral peers with a deadline",
                    [&ephemeral] { return static_cast<double>(ephemeral.pending()); }));
  watches.push_back(r.watch_gauge("netbird_management_map_queue", "pieces of map work waiting",
                                  [&maps] { return static_cast<double>(maps.waiting()); }));
  watches.push_back(r.watch_gauge("nb_instance_peers", "peers with a Sync stream here",
                                  [&hub] { return static_cast<double>(hub.streams()); }));
  return watches;
}

}  // namespace nb::management::grpc
