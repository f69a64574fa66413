#include "base/build_info.h"
#include "base/metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

namespace nb {

namespace {
/// Field n (1-based) of /proc/self/stat, counted after the command's parenthesis; 0 on any trouble.
double stat_field(std::size_t n) {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const auto close = line.rfind(')');
  if (close == std::string::npos) return 0;
  std::size_t at = close + 1;
  for (std::size_t field = 2; field < n; ++field) {
    at = line.find(' ', at);
    if (at == std::string::npos) return 0;
    ++at;
  }
  return std::strtod(line.c_str() + at, nullptr);
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_descriptors() {
  DIR* const dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  double count = -3;  // ".", ".." and the descriptor of this directory
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

double start_seconds() {
  std::ifstream file("/proc/stat");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("btime ", 0) == 0) {
      return std::strtod(line.c_str() + 6, nullptr) +
             stat_field(22) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    }
  }
  return 0;
}
}  // namespace

void add_process_metrics(MetricRegistry& registry, std::string_view component) {
  registry
      .gauge("nb_build_info", "Version of this binary; always 1",
             {{"component", std::string(component)},
              {"revision", std::string(build_revision())},
              {"version", std::string(build_version())}})
      .add(1);
  registry.keep(registry.watch_counter("process_cpu_seconds_total",
                                       "User and system CPU time of the process", cpu_seconds));
  registry.keep(registry.watch_gauge("process_resident_memory_bytes", "Resident memory", [] {
    return stat_field(24) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  }));
  registry.keep(registry.watch_gauge("process_virtual_memory_bytes", "Virtual memory",
                                     [] { return stat_field(23); }));
  registry.keep(
      registry.watch_gauge("process_open_fds", "Open file descriptors", open_descriptors));
  registry.keep(registry.watch_gauge("process_max_fds", "Limit of open file descriptors", [] {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<double>(limit.rlim_cur);
  }));
  registry.keep(registry.watch_gauge("process_start_time_seconds", "Start, seconds since 1970",
                                     [start = start_seconds()] { return start; }));
  registry.count_bugs();
}

}  // namespace nb
