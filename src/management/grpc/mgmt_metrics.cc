#include "management/grpc/mgmt_metrics.h"

#include <array>

namespace nb::management::grpc {
namespace {

constexpr std::array<double, 8> kObjectBuckets = {50, 100, 200, 500, 1000, 2500, 5000, 10000};
constexpr std::array<double, 12> kPeerMapBuckets = {0.1, 0.5, 1,   5 / 2.0, 5,   10,
                                                    25,  50,  100, 250,     500, 1000};
constexpr std::array<double, 11> kStatusBuckets = {1,   5,   15,   25,   50,  100,
                                                   250, 500, 1000, 2000, 5000};

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
      maps_sent(r.counter("netbird_management_maps_sent_total", "maps written to streams")),
      maps_unchanged(
          r.counter("netbird_management_maps_unchanged_total", "maps equal to the last one sent")),
      map_bytes(r.counter("netbird_management_map_bytes_total", "sealed bytes of maps")),
      maps_oversize(r.counter("netbird_management_maps_oversize_total",
                              "maps above 3.5 MiB, which old agents cannot receive")),
      syncs_refused(r.counter("netbird_management_syncs_refused_total",
                              "Sync calls above NB_MAX_CONCURRENT_SYNCS")) {}

std::vector<MetricRegistry::Watch> watch_app(MetricRegistry& r, const app::SyncHub& hub,
                                             const app::PeerSessions& sessions,
                                             const app::MapPool& maps) {
  std::vector<MetricRegistry::Watch> watches;
  const auto counter = [&](std::string_view name, std::string_view help,
                           const std::atomic<std::uint64_t>& value,
                           MetricRegistry::Labels labels = {}) {
    watches.push_back(r.watch_counter(
        name, help, [&value] { return as_double(value); }, std::move(labels)));
  };
  const auto& h = hub.counters();
  counter("netbird_management_account_loads_total", "account snapshots read", h.loads);
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
  const auto& s = sessions.counters();
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
  watches.push_back(r.watch_gauge("netbird_management_map_queue", "pieces of map work waiting",
                                  [&maps] { return static_cast<double>(maps.waiting()); }));
  watches.push_back(r.watch_gauge("nb_instance_peers", "peers with a Sync stream here",
                                  [&hub] { return static_cast<double>(hub.streams()); }));
  return watches;
}

}  // namespace nb::management::grpc
