#include "load/report.h"

#include <fmt/format.h>

namespace nb::bench {

std::string milliseconds_text(std::uint64_t ns) {
  return fmt::format("{:.2f} ms", static_cast<double>(ns) / 1e6);
}

std::string describe(const SignalResult& r) {
  std::string out = fmt::format(
      "window     {} messages in {:.2f} s: {:.0f}/s\n"
      "server     {:.1f} us CPU per message, {:.2f} context switches\n"
      "generator  {:.1f} us CPU per message\n"
      "latency    p50 {}, p99 {}, max {}\n"
      "messages   sent {}, answered OK {}, refused {}, delivered {}, lost silently {}, "
      "duplicates {}, misdelivered {}, held back {}\n"
      "memory     {:.1f} KiB per peer idle, {:.1f} after traffic; server {:.1f} MiB before, "
      "{:.1f} at most\n",
      r.window_delivered, r.seconds, r.rate(), r.cpu_us, r.switches, r.own_cpu_us,
      milliseconds_text(r.latency.quantile(0.5)), milliseconds_text(r.latency.quantile(0.99)),
      milliseconds_text(r.latency.max()), r.sent, r.accepted, r.refused, r.delivered,
      r.lost_silently, r.duplicates, r.misdelivered, r.held_back, r.idle_kib_per_peer(),
      r.after_kib_per_peer(), static_cast<double>(r.baseline.rss_bytes) / 1048576.0,
      static_cast<double>(r.rss_peak) / 1048576.0);
  if (r.connections_lost > 0) out += fmt::format("LOST       {} connections\n", r.connections_lost);
  return out;
}

std::string describe(const RelayResult& r) {
  std::string out = fmt::format(
      "window     {} packets in {:.2f} s: {:.0f}/s\n"
      "server     {:.2f} us CPU per packet, {:.0f} packets per CPU second, {:.2f} cores, {:.3f} "
      "context switches per packet\n"
      "generator  {:.2f} us CPU per packet\n"
      "latency    p50 {}, p99 {}, max {}\n"
      "packets    sent {}, delivered {}, lost {}, damaged {}, out of order {}\n"
      "memory     {:.2f} KiB per peer idle, {:.2f} after traffic; server {:.1f} MiB before, "
      "{:.1f} at most\n",
      r.window_delivered, r.seconds, r.rate(), r.cpu_us, r.packets_per_cpu_second(), r.cores,
      r.switches, r.own_cpu_us, milliseconds_text(r.latency.quantile(0.5)),
      milliseconds_text(r.latency.quantile(0.99)), milliseconds_text(r.latency.max()), r.sent,
      r.delivered, r.lost(), r.damaged, r.reordered, r.idle_kib_per_peer(), r.after_kib_per_peer(),
      static_cast<double>(r.baseline.rss_bytes) / 1048576.0,
      static_cast<double>(r.rss_peak) / 1048576.0);
  if (r.connections_lost > 0) out += fmt::format("LOST       {} connections\n", r.connections_lost);
  return out;
}

namespace {

std::string describe_storm(std::string_view name, const StormResult& s) {
  return fmt::format(
      "{:<10} {:.2f} s CPU, {:.1f} MiB, {:.2f} rounds of maps; first agent knew after {}, last "
      "after "
      "{}; stale {}; GetServerKey meanwhile p50 {}, max {} ({} calls); joins p50 {}, max {}; "
      "servers {:.1f} MiB at most, {:.1f} KiB per agent\n",
      name, s.cpu_seconds, s.mib, s.rounds, milliseconds_text(s.first_ns),
      milliseconds_text(s.last_ns), s.stale, milliseconds_text(s.server_key.quantile(0.5)),
      milliseconds_text(s.server_key.max()), s.server_key.total(),
      milliseconds_text(s.join.quantile(0.5)), milliseconds_text(s.join.max()),
      static_cast<double>(s.rss_peak) / 1048576.0, s.peak_kib_per_agent);
}

}  // namespace

std::string describe(const ManagementResult& r) {
  const auto ms = [](const Histogram& h, double part) {
    return milliseconds_text(h.quantile(part));
  };
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1048576.0; };
  const auto probed = [&](const Histogram& h) {
    return fmt::format("GetServerKey meanwhile p50 {}, p99 {}, max {} ({} calls)", ms(h, 0.5),
                       ms(h, 0.99), milliseconds_text(h.max()), h.total());
  };
  std::string out = fmt::format("agents     {}\n", r.agents);
  if (r.registered)
    out += fmt::format("login      {:.2f} ms CPU each; p50 {}, p99 {}, max {}\n", r.login_cpu_ms,
                       ms(r.login, 0.5), ms(r.login, 0.99), milliseconds_text(r.login.max()));
  if (r.crowd) {
    out += fmt::format(
        "crowd      all synced after {:.2f} s, p50 {}, p99 {}; {:.2f} ms CPU each; {} tries "
        "refused; {} left out; server {:.1f} MiB at most; {}\n",
        r.crowd->seconds, ms(r.crowd->latency, 0.5), ms(r.crowd->latency, 0.99), r.crowd_cpu_ms,
        r.crowd->retries, r.crowd->left_out, mib(r.crowd_rss_peak), probed(r.crowd_server_key));
    if (!r.crowd->first_refusal.empty())
      out += fmt::format("refusal    {}\n", r.crowd->first_refusal);
  } else if (r.opened) {
    out +=
        fmt::format("first Sync {:.2f} ms CPU each; first map p50 {}, p99 {}, max {}; {:.1f} KiB\n",
                    r.sync_cpu_ms, ms(r.first_map, 0.5), ms(r.first_map, 0.99),
                    milliseconds_text(r.first_map.max()), r.first_map_kib);
  }
  if (r.opened)
    out += fmt::format(
        "idle       {:.2f} % of a core\n"
        "memory     {:.1f} KiB per agent with Sync and Job, server {:.1f} MiB before\n",
        r.idle_cpu_percent, r.idle_kib_per_agent, mib(r.baseline.rss_bytes));
  if (r.burst.server_key.total() > 0)
    out += describe_storm("one join", r.one) + describe_storm("burst", r.burst);
  if (r.held_maps > 0)
    out += fmt::format("held       {} maps, {:.1f} MiB\n", r.held_maps, r.held_mib);
  if (r.reconnect_seconds > 0)
    out += fmt::format("reconnect  {:.2f} ms CPU each, everybody back after {:.2f} s; {}\n",
                       r.reconnect_cpu_ms, r.reconnect_seconds, probed(r.reconnect_server_key));
  if (r.churn_per_second > 0)
    out += fmt::format("churn      {:.1f} reconnects/s, {:.2f} % of a core\n", r.churn_per_second,
                       r.churn_cpu_percent);
  out += fmt::format("serial     fell {} times\n", r.serial_fell);
  if (r.failures > 0) out += fmt::format("FAILED     {}: {}\n", r.failures, r.first_failure);
  return out;
}

}  // namespace nb::bench
