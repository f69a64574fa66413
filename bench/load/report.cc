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
      r.window_delivered, r.seconds, r.rate(), r.cpu_us_per_message, r.switches_per_message,
      r.own_cpu_us_per_message, milliseconds_text(r.latency.quantile(0.5)),
      milliseconds_text(r.latency.quantile(0.99)), milliseconds_text(r.latency.max()), r.sent,
      r.accepted, r.refused, r.delivered, r.lost_silently, r.duplicates, r.misdelivered,
      r.held_back, r.idle_kib_per_peer(), r.after_kib_per_peer(),
      static_cast<double>(r.baseline.rss_bytes) / 1048576.0,
      static_cast<double>(r.rss_peak) / 1048576.0);
  if (r.connections_lost > 0) out += fmt::format("LOST       {} connections\n", r.connections_lost);
  return out;
}

}  // namespace nb::bench
