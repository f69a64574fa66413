// Settings of netbird-signal (contract/signal-relay-ops.md §2.1, §6.2).
#pragma once

#include "base/config/cli.h"
#include "cmd/common_config.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nb::cmd {

inline constexpr std::uint16_t kSignalLegacyPort = 10'000;
/// What agents are asked to keep their tables of header compression to; the fields that stay the
/// same from message to message take some 400 bytes.
inline constexpr std::uint32_t kSignalPeerTableBytes = 1'024;

/// What one signal instance does with peers and messages.
struct SignalLimits {
  std::chrono::milliseconds send_timeout{10'000};
  std::uint64_t message_bytes_max = 64 * 1024;
  std::uint32_t queue_messages_max = 256;       // per destination peer
  std::uint64_t queue_bytes_max = 1024 * 1024;  // per destination peer
  std::uint64_t queue_bytes_total_max = 512ULL * 1024 * 1024;
  std::uint32_t peers_max = 1'000'000;
  std::uint32_t peer_id_bytes_max = 512;
  std::uint32_t replace_burst = 5;                   // displacements of one id …
  std::chrono::milliseconds replace_window{10'000};  // … in this time, then they are delayed
  std::uint32_t source_connects_per_second = 0;      // per source address; 0: no limit
  std::uint32_t source_sends_per_second = 0;         // per source address; 0: no limit
  std::chrono::milliseconds absent_cache{1'500};  // how long an absent peer stays known as absent
  std::uint32_t absent_cache_entries = 100'000;
};

struct SignalConfig {
  ServiceConfig service;
  std::string registry_key = "nb:signal:registry";
  std::string channel_prefix = "nb:signal:instance:";
  std::chrono::milliseconds peer_ttl{30'000};
  /// Not set: a third of the TTL, at most 10 s.
  std::chrono::milliseconds heartbeat_interval{10'000};
  SignalLimits limits;
};

/// All rows of `netbird-signal run`, bound to `config`, which must outlive the table and not move.
void add_signal_rows(config::Table& table, SignalConfig& config);
/// Those that a process with other services has too: registry and messages, with their rules.
void add_signal_service_rows(config::Table& table, SignalConfig& config);
void finish_signal_service(SignalConfig& config, const config::Table& table);
Result<> finish_signal(SignalConfig& config, const config::Table& table,
                       std::vector<std::string>& warnings);
/// `run` with rows, finish and `run` filled in.
config::Command signal_command(config::Table& table, SignalConfig& config,
                               std::function<int(const config::Invocation&)> run);

}  // namespace nb::cmd
