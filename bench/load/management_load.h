// Load for management servers: agents that register with a setup key, hold Sync and Job streams and
// receive maps while others join.
// Source   contract/management-grpc.md §2, §3, §5.2, §5.3, §9.3
#pragma once

#include "base/result.h"
#include "load/agent_group.h"
#include "load/client_loop.h"
#include "load/histogram.h"
#include "load/process_stat.h"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::bench {

struct ManagementPlan {
  Endpoint target;
  std::vector<Endpoint> others;  // instances beside it; agents go to each in turn
  std::vector<pid_t> pids;       // of all of them
  std::string setup_key;         // reusable, of an account with the default all-to-all policy
  std::uint32_t agents = 100;
  std::uint32_t concurrency = 8;  // logins or first Syncs at once
  std::uint32_t burst = 10;       // joins without a pause, after the single one; 0: no joins at all
  std::uint32_t churn = 0;        // agents that reconnect all the time, for churn_time
  std::chrono::milliseconds churn_time{10'000};
  std::chrono::milliseconds churn_period{2'000};  // in which each of them comes back once
  std::chrono::milliseconds idle_time{5'000};     // in which only pings happen
  bool all_at_once = false;                       // reconnects do not wait for each other
  bool crowd = false;          // everybody arrives at the same moment, with Login
  bool hold = false;           // after the idle time, until standard input ends: no joins, no cuts
  bool register_only = false;  // ends when the agents are registered
  /// Private keys of the agents: read if it is there (then the server knows them), else written.
  std::string keys_file;
  std::chrono::milliseconds quiet{2'500};  // nothing received for so long: the server has settled
  std::chrono::milliseconds step_max{300'000};
};

/// One or more joins and the maps they cause.
struct StormResult {
  double cpu_seconds = 0;
  double mib = 0;              // received by all agents
  double rounds = 0;           // maps / agents
  std::uint64_t first_ns = 0;  // from the login until the first agent knows
  std::uint64_t last_ns = 0;   // … until the last one does
  std::uint32_t stale = 0;     // agents that never learnt of every join
  Histogram server_key;        // GetServerKey of a bystander meanwhile
  Histogram join;              // a write meanwhile: key and Login of each new agent
  std::int64_t rss_peak = 0;   // of the servers, at any moment of it
  double peak_kib_per_agent = 0;
};

struct ManagementResult {
  std::uint32_t agents = 0;
  bool registered = false;  // in this run
  bool opened = false;      // streams: not with register_only
  ProcessStat baseline;
  double login_cpu_ms = 0;  // connection, GetServerKey and Login with the setup key
  Histogram login;
  double sync_cpu_ms = 0;  // GetServerKey, Sync with its first map, GetServerKey, Job
  Histogram first_map;
  double first_map_kib = 0;
  double idle_cpu_percent = 0;
  double reconnect_cpu_ms = 0;
  double reconnect_seconds = 0;    // until everybody has a map again
  Histogram reconnect_server_key;  // GetServerKey of a bystander meanwhile
  std::optional<AgentGroup::Arrival> crowd;
  double crowd_cpu_ms = 0;  // of each
  std::int64_t crowd_rss_peak = 0;
  Histogram crowd_server_key;
  double churn_cpu_percent = 0;
  double churn_per_second = 0;
  double idle_kib_per_agent = 0;
  std::uint64_t held_maps = 0;
  double held_mib = 0;
  StormResult one;
  StormResult burst;
  std::uint64_t serial_fell = 0;
  std::uint64_t failures = 0;
  std::string first_failure;
};

/// Leaves the agents it registered in the account.
/// Errors   kUnavailable: the agents could not register or sync; the text says what the server
/// said.
Result<ManagementResult> run_management(const ManagementPlan& plan);

}  // namespace nb::bench
