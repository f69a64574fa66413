#include "cmd/common_config.h"

namespace nb::cmd {

namespace {
using config::Option;
using config::Reload;

constexpr std::string_view kLevels = "panic|fatal|error|warn|warning|info|debug|trace";

constexpr Option<LogConfig> kLog[] = {
    {.flag = "log-level",
     .member = &LogConfig::level,
     .allowed = kLevels,
     .reload = Reload::kLive,
     .help = "what is logged"},
    {.flag = "log-format",
     .member = &LogConfig::format,
     .allowed = "text|json",
     .help = "how lines are written"},
    {.flag = "log-max-size-mb",
     .member = &LogConfig::max_size_mb,
     .min = 1,
     .max = 100'000,
     .help = "size at which the log file is rotated, in MB"},
    {.flag = "log-backups",
     .member = &LogConfig::backups,
     .min = 0,
     .max = 1'000,
     .help = "rotated log files to keep; they are compressed (gzip)"},
    {.flag = "log-max-age-days",
     .member = &LogConfig::max_age_days,
     .min = 0,
     .max = 36'500,
     .help = "days after which a rotated log file is removed; 0: never"},
    {.flag = "log-disable-rotation",
     .member = &LogConfig::disable_rotation,
     .help = "leave rotation to others, such as logrotate"},
};
constexpr Option<LogConfig> kLogFile[] = {
    {.flag = "log-file", .member = &LogConfig::file, .help = "console (stderr), syslog, or a path"},
};
}  // namespace

void add_log_rows(config::Table& table, LogConfig& log, Service service) {
  // contract/signal-relay-ops.md §6.2
  switch (service) {
    case Service::kSignal:
      log.file = "/var/log/netbird/signal.log";
      break;
    case Service::kManagement:
      log.file = "/var/log/netbird/management.log";
      break;
    case Service::kRelay:
    case Service::kCombined:
    case Service::kUpload:
      log.file = "console";
      break;
  }
  table.section("Logging").add(kLogFile, log).add(kLog, log);
}

}  // namespace nb::cmd
