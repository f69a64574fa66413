#include "load/process_stat.h"

#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace nb::bench {
namespace {

std::int64_t clock_ns(clockid_t clock) {
  timespec t{};
  if (::clock_gettime(clock, &t) != 0) return 0;
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

/// Sum of the numbers behind lines that begin with one of the names ("Rss:").
std::int64_t sum_lines(const std::string& path, std::initializer_list<std::string_view> names) {
  std::ifstream file(path);
  std::int64_t sum = 0;
  for (std::string line; std::getline(file, line);) {
    for (const std::string_view name : names)
      if (line.starts_with(name)) sum += std::atoll(line.c_str() + name.size());
  }
  return sum;
}

}  // namespace

std::int64_t read_cpu_ns(std::span<const pid_t> pids) {
  std::int64_t sum = 0;
  for (const pid_t pid : pids) {
    clockid_t clock{};
    if (::clock_getcpuclockid(pid, &clock) == 0) sum += clock_ns(clock);
  }
  return sum;
}

std::int64_t own_cpu_ns() {
  return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

ProcessStat read_processes(std::span<const pid_t> pids) {
  ProcessStat out;
  out.cpu_ns = read_cpu_ns(pids);
  for (const pid_t pid : pids) {
    const std::string proc = fmt::format("/proc/{}", pid);
    out.rss_bytes += 1024 * sum_lines(proc + "/smaps_rollup", {"Rss:"});
    out.rss_peak_bytes += 1024 * sum_lines(proc + "/status", {"VmHWM:"});
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator(proc + "/task", gone))
      out.switches += sum_lines(task.path() / "status",
                                {"voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"});
  }
  return out;
}

void reset_peaks(std::span<const pid_t> pids) {
  for (const pid_t pid : pids) std::ofstream(fmt::format("/proc/{}/clear_refs", pid)) << "5";
}

}  // namespace nb::bench
