#include "cmd/signal_config.h"

#include <algorithm>

namespace nb::cmd {

namespace {
using config::check_key_prefix;
using config::Option;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kMiB = std::int64_t{1} << 20U;

constexpr Option<SignalConfig> kRegistry[] = {
    {.flag = "signal-registry-key",
     .member = &SignalConfig::registry_key,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "Redis hash of peers and the instances that serve them"},
    {.flag = "signal-channel-prefix",
     .member = &SignalConfig::channel_prefix,
     .min = 1,
     .max = 128,
     .check = check_key_prefix,
     .help = "Redis channel of an instance, without its id"},
    {.flag = "signal-peer-ttl",
     .member = &SignalConfig::peer_ttl,
     .min = 1'000,
     .max = kHourMs,
     .help = "time after which a silent instance counts as dead"},
    {.flag = "signal-heartbeat-interval",
     .member = &SignalConfig::heartbeat_interval,
     .min = 100,
     .max = kHourMs,
     .default_text = "a third of the TTL, at most 10s",
     .help = "how often an instance says that it lives; at most half the TTL"},
};

constexpr Option<SignalLimits> kLimits[] = {
    {.flag = "signal-send-timeout",
     .member = &SignalLimits::send_timeout,
     .min = 1,
     .max = 600'000,
     .help = "time for a peer to take a message; then its stream is ended"},
    {.flag = "signal-max-message-bytes",
     .member = &SignalLimits::message_bytes_max,
     .min = 1'024,
     .max = 4 * kMiB,
     .help = "one message between peers"},
    {.flag = "signal-queue-messages",
     .member = &SignalLimits::queue_messages_max,
     .min = 1,
     .max = 100'000,
     .help = "messages waiting for one peer; then the oldest is dropped"},
    {.flag = "signal-queue-bytes",
     .member = &SignalLimits::queue_bytes_max,
     .min = 64 * 1024,
     .max = 1'024 * kMiB,
     .help = "bytes waiting for one peer; then the oldest message is dropped"},
    {.flag = "signal-queue-bytes-total",
     .member = &SignalLimits::queue_bytes_total_max,
     .min = kMiB,
     .max = 1'048'576 * kMiB,
     .help = "bytes waiting for all peers"},
    {.flag = "signal-max-peers",
     .member = &SignalLimits::peers_max,
     .min = 1,
     .max = 100'000'000,
     .help = "peers connected to this instance"},
    {.flag = "signal-max-peer-id-bytes",
     .member = &SignalLimits::peer_id_bytes_max,
     .min = 44,
     .max = 8'192,
     .help = "length of a peer id"},
    {.flag = "signal-replace-burst",
     .member = &SignalLimits::replace_burst,
     .min = 1,
     .max = 1'000'000,
     .help = "new streams of one peer id within the window before they are delayed"},
    {.flag = "signal-replace-window",
     .member = &SignalLimits::replace_window,
     .min = 100,
     .max = kHourMs,
     .help = "that window"},
    {.flag = "signal-source-connects",
     .member = &SignalLimits::source_connects_per_second,
     .max = 1'000'000,
     .help = "new streams per second from one address; 0: no limit"},
    {.flag = "signal-source-sends",
     .member = &SignalLimits::source_sends_per_second,
     .max = 100'000'000,
     .help = "messages per second from one address; 0: no limit"},
    {.flag = "signal-absent-cache",
     .member = &SignalLimits::absent_cache,
     .max = 60'000,
     .help = "how long a peer that is nowhere is not looked up again"},
    {.flag = "signal-absent-cache-entries",
     .member = &SignalLimits::absent_cache_entries,
     .min = 1,
     .max = 100'000'000,
     .help = "peers remembered as absent"},
};
}  // namespace

void add_signal_rows(config::Table& table, SignalConfig& config) {
  add_service_rows(table, config.service, Service::kSignal);
  add_log_rows(table, config.service.log, Service::kSignal);
  add_ha_rows(table, config.service.ha, Service::kSignal);
  add_signal_service_rows(table, config);
  table.without_file();
}

void add_signal_service_rows(config::Table& table, SignalConfig& config) {
  table.section("Registry of peers").add(kRegistry, config);
  table.section("Messages").add(kLimits, config.limits);
  table.rule([&config]() -> Result<> {
    if (2 * config.heartbeat_interval <= config.peer_ttl) return {};
    return fail(Code::kInvalidArgument,
                "--signal-heartbeat-interval {} ms: at most half of --signal-peer-ttl ({} ms)",
                config.heartbeat_interval.count(), config.peer_ttl.count());
  });
  table.rule([&config]() -> Result<> {
    if (config.limits.message_bytes_max <= config.limits.queue_bytes_max) return {};
    return fail(Code::kInvalidArgument,
                "--signal-max-message-bytes must not exceed --signal-queue-bytes");
  });
}

Result<> finish_signal(SignalConfig& config, const config::Table& table,
                       std::vector<std::string>& warnings) {
  NB_TRY(finish_service(config.service, warnings));
  NB_TRY(finish_ha(config.service.ha, table, warnings));
  finish_signal_service(config, table);
  return {};
}

void finish_signal_service(SignalConfig& config, const config::Table& table) {
  if (!table.is_set("--signal-heartbeat-interval"))
    config.heartbeat_interval = std::min(config.heartbeat_interval, config.peer_ttl / 3);
}

config::Command signal_command(config::Table& table, SignalConfig& config,
                               std::function<int(const config::Invocation&)> run) {
  return {.path = "run",
          .help = "Start the signal server",
          .table = &table,
          .finish =
              [&table, &config](const config::Node&, std::vector<std::string>& warnings) {
                return finish_signal(config, table, warnings);
              },
          .run = std::move(run)};
}

}  // namespace nb::cmd
