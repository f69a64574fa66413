// What a server process has cost so far, read from outside.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>

namespace nb::bench {

struct ProcessStat {
  std::int64_t cpu_ns = 0;     // user + system of all threads, ended ones included
  std::int64_t rss_bytes = 0;  // smaps_rollup, exact
  std::int64_t rss_peak_bytes = 0;
  std::int64_t switches = 0;  // voluntary and forced context switches of the live threads
};

/// Sum over `pids`; a process that is gone counts zero.
[[nodiscard]] ProcessStat read_processes(std::span<const pid_t> pids);
/// From now on rss_peak_bytes counts from what they have now (needs the right to write clear_refs).
void reset_peaks(std::span<const pid_t> pids);
/// CPU only: cheap enough for every tick.
[[nodiscard]] std::int64_t read_cpu_ns(std::span<const pid_t> pids);
/// CPU of this process.
[[nodiscard]] std::int64_t own_cpu_ns();

}  // namespace nb::bench
